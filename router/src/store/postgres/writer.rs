//! A task that owns a connection and commits together whatever has queued up while the last commit was on its way to
//! the disk. The database's work thus never runs in a future that a client can cancel.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_postgres::error::SqlState;

use super::{
    backend::Backend,
    connect::{Connector, Purpose, describe},
    session::{Failure, Session},
    tally::Gauges,
};
use crate::{
    metrics::WriterMetrics,
    store::{Depth, StoreError},
};

/// Calls, and items of webhooks, in one transaction at most, so that the first of them does not wait for long.
const LARGEST_BATCH: usize = 512;
const MOST_ITEMS: usize = 2_000;

/// Attempts at a transaction that collided with another router's.
const ATTEMPTS: usize = 6;

/// Between attempts to connect; calls that come meanwhile are refused at once.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What became of each call, in order, and by how much the queues changed.
pub(super) type Answers<T> = (Vec<Result<T, StoreError>>, Depth);

/// What a kind of writer does with its calls.
#[async_trait]
pub(super) trait Batch: Send + 'static {
    type Call: Send + Sync + 'static;
    type Done: Send;

    /// How much work it is, by the number of things to be stored.
    fn items(_call: &Self::Call) -> usize {
        1
    }

    /// Two calls with the same key never share a transaction.
    fn key(_call: &Self::Call) -> Option<i64> {
        None
    }

    fn most(&self) -> usize {
        LARGEST_BATCH
    }

    /// An answer may take this long; past it the connection counts as dead.
    fn patience(&self) -> Duration {
        Duration::from_secs(12)
    }

    /// All of `calls` in one transaction, from `BEGIN` to `COMMIT`; what became of each, in order.
    async fn apply(
        &mut self,
        session: &Session,
        calls: &[Self::Call],
    ) -> Result<Answers<Self::Done>, Failure>;

    fn answer(&self, call: Self::Call, result: Result<Self::Done, StoreError>);

    /// After the outcome of a transaction was lost with the connection: puts right what it may have left behind.
    async fn put_right(&mut self, _session: &Session) -> Result<(), Failure> {
        Ok(())
    }
}

/// Batches that are about people, most of whom are known.
#[async_trait]
pub(super) trait OfPeople: Batch {
    /// `None` when contacts have to be changed and `alone` is false; the transaction is open then.
    async fn attempt(
        &mut self,
        session: &Session,
        calls: &[Self::Call],
        alone: bool,
    ) -> Result<Option<Answers<Self::Done>>, Failure>;
}

/// [`Batch::apply`] for them: together with others, and alone only where somebody is new or has changed. Nobody else may
/// look at the contacts of the channel meanwhile.
pub(super) async fn with_people<B: OfPeople>(
    batch: &mut B,
    session: &Session,
    calls: &[B::Call],
) -> Result<Answers<B::Done>, Failure> {
    if let Some(done) = batch.attempt(session, calls, false).await? {
        return Ok(done);
    }
    session.run("ROLLBACK").await?;
    let done = batch.attempt(session, calls, true).await?;
    done.ok_or(Failure::Odd("a contact has no conversation"))
}

pub(super) struct Writer<B: Batch> {
    batch: B,
    name: &'static str,
    connector: Arc<Connector>,
    gauges: Arc<Gauges>,
    metrics: WriterMetrics,
    session: Option<Session>,
    /// Since the last connection was lost.
    down: Option<Down>,
    /// The server's process behind the session.
    backend: Option<Backend>,
    /// A transaction's outcome is not known.
    in_doubt: bool,
    /// The processes that may still be at such a transaction.
    left: Vec<Backend>,
}

struct Down {
    error: String,
    retry_at: Instant,
    wait: Duration,
}

/// Starts the task; it ends when nobody can call it any more.
pub(super) fn start<B: Batch>(
    batch: B,
    name: &'static str,
    connector: Arc<Connector>,
    gauges: Arc<Gauges>,
) -> UnboundedSender<B::Call> {
    let (calls, receiver) = unbounded_channel();
    let metrics = connector.metrics().writer(name);
    let writer = Writer {
        batch,
        name,
        connector,
        gauges,
        metrics,
        session: None,
        down: None,
        backend: None,
        in_doubt: false,
        left: Vec::new(),
    };
    let task = tokio::spawn(writer.run(receiver));
    tokio::spawn(async move {
        // Without a writer nothing works any more, and the next start goes on with everything.
        if task.await.is_err_and(|error| error.is_panic()) {
            tracing::error!(writer = name, "the task that writes has failed, the process ends");
            std::process::exit(1);
        }
    });
    calls
}

impl<B: Batch> Writer<B> {
    async fn run(mut self, mut calls: UnboundedReceiver<B::Call>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match calls.recv().await {
                    Some(call) => waiting.push_back(call),
                    None => return,
                }
            }
            while waiting.len() < LARGEST_BATCH {
                match calls.try_recv() {
                    Ok(call) => waiting.push_back(call),
                    Err(_) => break,
                }
            }
            let batch = self.take(&mut waiting);
            self.serve(batch).await;
        }
    }

    /// The calls of the next transaction.
    fn take(&self, waiting: &mut VecDeque<B::Call>) -> Vec<B::Call> {
        let (mut batch, mut keys, mut items) = (Vec::new(), HashSet::new(), 0);
        while batch.len() < self.batch.most() && items < MOST_ITEMS {
            let Some(call) = waiting.front() else { break };
            if B::key(call).is_some_and(|key| !keys.insert(key)) {
                break;
            }
            items += B::items(call);
            batch.extend(waiting.pop_front());
        }
        batch
    }

    async fn serve(&mut self, batch: Vec<B::Call>) {
        match self.transaction(&batch).await {
            Ok(done) => self.answer(batch, done),
            // One call may have spoilt it for all: each gets a transaction of its own.
            Err(Broken::Within(_)) if batch.len() > 1 => {
                for call in batch {
                    let alone = vec![call];
                    match self.transaction(&alone).await {
                        Ok(done) => self.answer(alone, done),
                        Err(broken) => self.refuse(alone, &broken),
                    }
                }
            }
            // The database as a whole: each alone would only wait for the same answer.
            Err(broken) => self.refuse(batch, &broken),
        }
    }

    fn answer(&self, calls: Vec<B::Call>, done: Vec<Result<B::Done, StoreError>>) {
        for (call, done) in calls.into_iter().zip(done) {
            self.batch.answer(call, done);
        }
    }

    fn refuse(&self, calls: Vec<B::Call>, broken: &Broken) {
        let (Broken::Within(cause) | Broken::Outside(cause)) = broken;
        for call in calls {
            self.batch.answer(call, Err(StoreError::Database(cause.clone())));
        }
    }

    async fn transaction(&mut self, calls: &[B::Call]) -> Result<Vec<Result<B::Done, StoreError>>, Broken> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            if let Err(broken) = self.connect().await {
                self.metrics.failed();
                return Err(broken);
            }
            let Some(session) = &self.session else {
                return Err(Broken::Outside("not connected".to_owned()));
            };
            self.gauges.begin();
            let started = Instant::now();
            let result = tokio::time::timeout(self.batch.patience(), self.batch.apply(session, calls)).await;
            self.gauges.end(match &result {
                Ok(Ok((_, depth))) => *depth,
                _ => Depth::default(),
            });
            if matches!(result, Ok(Ok(_))) {
                self.metrics.committed(calls.len(), started.elapsed());
            } else {
                self.metrics.failed();
            }
            let failure = match result {
                Ok(Ok((done, _))) => return Ok(done),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    self.lose();
                    return Err(Broken::Outside("the database did not answer in time".to_owned()));
                }
            };
            // Behind a proxy that takes everything and hands on nothing this would wait for ever.
            let is_lost = session.client().is_closed()
                || !matches!(
                    tokio::time::timeout(self.batch.patience(), session.run("ROLLBACK")).await,
                    Ok(Ok(()))
                );
            if is_lost {
                self.lose();
            }
            match judge(&failure) {
                Verdict::Again if attempt < ATTEMPTS && self.session.is_some() => {
                    tracing::debug!(
                        writer = self.name,
                        attempt,
                        "a transaction collided with another and is repeated"
                    );
                    tokio::time::sleep(Duration::from_millis(5 * attempt as u64)).await;
                }
                Verdict::Again | Verdict::Outside => return Err(Broken::Outside(text(failure))),
                Verdict::Within => return Err(Broken::Within(text(failure))),
            }
        }
    }

    /// The connection is of no use any more, and what was under way may or may not have been committed.
    fn lose(&mut self) {
        self.session = None;
        self.in_doubt = true;
        self.left.extend(self.backend.take());
    }

    async fn connect(&mut self) -> Result<(), Broken> {
        if self.session.as_ref().is_some_and(|session| !session.client().is_closed()) {
            return Ok(());
        }
        self.session = None;
        if let Some(down) = &self.down
            && Instant::now() < down.retry_at
        {
            return Err(Broken::Outside(down.error.clone()));
        }
        let error = match self.connector.connect(Purpose::Writing, None).await {
            Ok(session) => match self.put_right(&session).await {
                Ok(()) => {
                    if self.down.take().is_some() {
                        tracing::info!(writer = self.name, "the database is back");
                    }
                    self.session = Some(session);
                    return Ok(());
                }
                Err(failure) => text(failure),
            },
            Err(error) => error.to_string(),
        };
        let wait = match &self.down {
            Some(down) => (down.wait * 2).min(RECONNECT.1),
            None => {
                tracing::error!(writer = self.name, error, "the database can't be reached");
                RECONNECT.0
            }
        };
        self.down = Some(Down { error: error.clone(), retry_at: Instant::now() + wait, wait });
        Err(Broken::Outside(error))
    }

    async fn put_right(&mut self, session: &Session) -> Result<(), Failure> {
        let patience = self.batch.patience();
        let right = async {
            self.backend = Backend::of(session).await?;
            // Committed after this it would leave leases behind that nobody was told of.
            while let Some(backend) = self.left.last() {
                backend.end(session).await?;
                self.left.pop();
            }
            if self.in_doubt {
                self.batch.put_right(session).await?;
                self.in_doubt = false;
            }
            Ok(())
        };
        match tokio::time::timeout(patience, right).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Odd("the database did not answer in time")),
        }
    }
}

/// Why nothing of a transaction counts.
enum Broken {
    /// A call could not be applied.
    Within(String),
    /// The transaction itself was refused.
    Outside(String),
}

enum Verdict {
    Again,
    Within,
    Outside,
}

fn judge(failure: &Failure) -> Verdict {
    let error = match failure {
        Failure::Sql(error) => error,
        Failure::Again => return Verdict::Again,
        Failure::Refused(_) | Failure::Odd(_) => return Verdict::Within,
    };
    match error.code() {
        Some(&SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE) => Verdict::Again,
        // Data or a constraint: some call of the batch is at fault.
        Some(code) if matches!(&code.code()[..2], "21" | "22" | "23" | "42" | "P0" | "54") => Verdict::Within,
        // Full disk, shutdown, read-only, time limits, the connection itself.
        _ => Verdict::Outside,
    }
}

fn text(failure: Failure) -> String {
    match failure {
        Failure::Sql(error) => describe(&error),
        Failure::Refused(error) => error.to_string(),
        Failure::Odd(what) => what.to_owned(),
        Failure::Again => "what is written changed all the time".to_owned(),
    }
}
