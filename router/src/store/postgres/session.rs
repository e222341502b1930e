//! One connection with its prepared statements, and several statements on their way at once.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, MaybeDone, maybe_done},
    poll,
};
use tokio_postgres::{Client, Error, Row, Statement, types::ToSql};

use crate::{metrics::OpenConnection, store::StoreError};

pub(super) type Params<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(super) enum Failure {
    Sql(Error),
    /// The call can't be done; nothing of it was written.
    Refused(StoreError),
    /// Something changed between two looks: another attempt will do.
    Again,
    /// The database answered something that our own statements rule out.
    Odd(&'static str),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    /// By the address of the text, which is a constant of the program.
    statements: Mutex<HashMap<usize, Statement>>,
    _open: OpenConnection,
}

impl Session {
    pub(super) fn new(client: Client, open: OpenConnection) -> Self {
        Self { client, statements: Mutex::default(), _open: open }
    }

    /// For what has the connection to itself.
    pub(super) fn into_client(self) -> Client {
        self.client
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, Error> {
        let key = sql.as_ptr() as usize;
        let known = self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).insert(key, statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let statement = self.statement(sql).await?;
        self.client.query(&statement, params).await
    }

    pub(super) async fn execute(
        &self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Error> {
        let statement = self.statement(sql).await?;
        self.client.execute(&statement, params).await
    }

    /// For statements without parameters that are not worth preparing.
    pub(super) async fn run(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }

    pub(super) fn pipe(&self) -> Pipe<'_> {
        Pipe { session: self, sent: Vec::new() }
    }
}

/// The rows of a statement that is on its way.
type Answer<'s> = BoxFuture<'s, Result<Vec<Row>, Error>>;

/// Statements that are sent without waiting for the answers of those before them.
///
/// When one fails inside a transaction, all that follow fail too, `COMMIT` included, so the first error is the cause.
pub(super) struct Pipe<'s> {
    session: &'s Session,
    sent: Vec<Pin<Box<MaybeDone<Answer<'s>>>>>,
}

impl<'s> Pipe<'s> {
    /// Sends it and gives its place among the answers.
    pub(super) async fn push(&mut self, sql: &'static str, params: Params<'s>) -> usize {
        let session = self.session;
        let future = match session.statement(sql).await {
            Ok(statement) => async move { session.client.query(&statement, &params).await }.boxed(),
            Err(error) => std::future::ready(Err(error)).boxed(),
        };
        let mut future = Box::pin(maybe_done(future));
        // The first poll writes the request, and thus in this order.
        let _ = poll!(future.as_mut());
        self.sent.push(future);
        self.sent.len() - 1
    }

    /// All answers, in order.
    pub(super) async fn answers(self) -> Result<Answers, Error> {
        let mut answers = Vec::with_capacity(self.sent.len());
        let mut failed = None;
        for mut future in self.sent {
            future.as_mut().await;
            match future.as_mut().take_output() {
                Some(Ok(rows)) => answers.push(rows),
                Some(Err(error)) => {
                    failed.get_or_insert(error);
                }
                None => {}
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(Answers(answers)),
        }
    }
}

pub(super) struct Answers(Vec<Vec<Row>>);

impl Answers {
    /// Those of the statement at this place; none for `None`, which is one that was not sent.
    pub(super) fn take(&mut self, place: impl Into<Option<usize>>) -> Vec<Row> {
        place.into().and_then(|place| self.0.get_mut(place)).map(std::mem::take).unwrap_or_default()
    }
}

/// Splits rows into columns that are numbers.
pub(super) fn numbers(rows: &[Row]) -> Result<Vec<i64>, Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}
