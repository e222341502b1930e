//! Work that is done one call to a transaction: claims, renewals, and everything that is rare.

use std::{any::Any, sync::Arc};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    Reply, Shared,
    lanes::Tokens,
    session::{Failure, Session},
    tally::Tallies,
    writer::Batch,
};
use crate::store::{Depth, StoreError};

type Any2 = Box<dyn Any + Send>;

/// What a job works with.
pub(super) struct Scope<'s> {
    pub(super) session: &'s Session,
    pub(super) shared: &'s Shared,
    pub(super) tokens: &'s mut Tokens,
    pub(super) tallies: &'s mut Tallies,
}

/// May be done more than once: a transaction that collides with another is repeated.
type Work = Box<dyn for<'s> Fn(&'s mut Scope<'_>) -> BoxFuture<'s, Result<Any2, Failure>> + Send + Sync>;

pub(super) struct Job {
    work: Work,
    /// Tokens that it may take.
    tokens: usize,
    reply: Reply<Any2>,
}

/// Has `work` done by the writer behind `jobs`, and waits for its end.
pub(super) async fn call<T, F>(jobs: &UnboundedSender<Job>, tokens: usize, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: for<'s> Fn(&'s mut Scope<'_>) -> BoxFuture<'s, Result<T, Failure>> + Send + Sync + 'static,
{
    let (reply, answer) = oneshot::channel();
    let work: Work = Box::new(move |scope| {
        let done = work(scope);
        Box::pin(async move { done.await.map(|value| Box::new(value) as Any2) })
    });
    jobs.send(Job { work, tokens, reply }).map_err(|_| StoreError::Closed)?;
    let value = answer.await.map_err(|_| StoreError::Closed)??;
    value.downcast().map(|value| *value).map_err(|_| StoreError::Closed)
}

pub(super) struct Jobs {
    pub(super) shared: Arc<Shared>,
    pub(super) tokens: Tokens,
    pub(super) name: &'static str,
}

#[async_trait]
impl Batch for Jobs {
    type Call = Job;
    type Done = Any2;

    fn most(&self) -> usize {
        1
    }

    async fn apply(
        &mut self,
        session: &Session,
        calls: &[Job],
    ) -> Result<(Vec<Result<Any2, StoreError>>, Depth), Failure> {
        let Some(job) = calls.first() else { return Ok((Vec::new(), Depth::default())) };
        self.tokens.fill(session, job.tokens).await?;
        session.query("BEGIN", &[]).await?;
        let mut tallies = Tallies::default();
        let mut scope =
            Scope { session, shared: &self.shared, tokens: &mut self.tokens, tallies: &mut tallies };
        let value = match (job.work)(&mut scope).await {
            Ok(value) => value,
            Err(Failure::Refused(error)) => {
                session.query("ROLLBACK", &[]).await?;
                self.tokens.settle();
                return Ok((vec![Err(error)], Depth::default()));
            }
            Err(failure) => return Err(failure),
        };
        let depth = tallies.depth();
        let tally = tallies.columns(self.shared.slot(self.name));
        let mut pipe = session.pipe();
        if let Some(tally) = &tally {
            tally.push(&mut pipe).await;
        }
        pipe.push("COMMIT", vec![]).await;
        pipe.answers().await?;
        self.tokens.settle();
        Ok((vec![Ok(value)], depth))
    }

    fn answer(&self, call: Job, result: Result<Any2, StoreError>) {
        let _ = call.reply.send(result);
    }

    async fn put_right(&mut self, session: &Session) -> Result<(), Failure> {
        self.tokens.give_back(session, &self.shared).await
    }
}
