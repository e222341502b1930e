//! The one thread that writes: it commits together whatever has queued up while the last commit was on its way
//! to the disk. One fsync is thus shared by many webhooks, and nobody waits for a lock.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
        mpsc,
    },
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    checkpoint,
    identity::Identity,
    session::{Failure, Memory, Session},
};
use crate::{
    clock::Clock,
    metrics::WriterMetrics,
    store::{
        Accepted, Claims, Delivery, Depth, Finish, Finished, Item, Lease, Micros, Outcome, Queue, Refusal,
        StoreError,
    },
};

/// Calls, and items of webhooks, in one transaction at most, so that the first of them does not wait for long.
const LARGEST_BATCH: usize = 512;
const MOST_ITEMS: usize = 2_000;

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What a task comes to.
type Product = Box<dyn Any + Send>;

type Run = dyn Fn(&mut Session<'_>, Micros) -> Result<Product, Failure> + Send;

/// Something that is asked for seldom. It may be run twice: once more alone, when a transaction that it shared failed.
pub(super) struct Task {
    run: Box<Run>,
    reply: Box<dyn FnOnce(Result<Product, StoreError>) + Send>,
}

impl Task {
    pub(super) fn new<T: Send + 'static>(
        run: impl Fn(&mut Session<'_>, Micros) -> Result<T, Failure> + Send + 'static,
        reply: Reply<T>,
    ) -> Self {
        Self {
            run: Box::new(move |session, now| Ok(Box::new(run(session, now)?))),
            reply: Box::new(move |result| {
                let result = result.and_then(|product| product.downcast().map_err(|_| StoreError::Closed));
                let _ = reply.send(result.map(|product| *product));
            }),
        }
    }
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) enum Call {
    Accept(Box<Delivery>, usize, Reply<Accepted>),
    Claim {
        queue: Queue,
        limit: usize,
        at: Option<Micros>,
        reply: Reply<Claims>,
    },
    Finish {
        lease: Lease,
        item: Box<Item>,
        outcome: Outcome,
        with: Finish,
        reply: Reply<Finished>,
    },
    Defer {
        lease: Lease,
        seq: i64,
        refusal: Refusal,
        due_at: Micros,
        reply: Reply<()>,
    },
    Release(Lease, Option<Micros>, Reply<()>),
    Probe(Reply<()>),
    Task(Task),
    /// Copy the rest of the WAL, between two transactions.
    Checkpoint,
}

impl Call {
    /// How much work it is, by the number of things to be stored.
    fn items(&self) -> usize {
        match self {
            Self::Accept(delivery, ..) => {
                delivery.messages.len()
                    + delivery.statuses.len()
                    + delivery.echoes.len()
                    + delivery.events.len()
            }
            _ => 1,
        }
    }
}

/// What a call came to, kept until the commit is on disk.
enum Done {
    Accepted(Accepted),
    Claims(Claims),
    Finished(Box<Finished>),
    Nothing,
    Product(Product),
    Refused(StoreError),
}

/// Numbers that others read while the writer works.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) inbox: AtomicI64,
    pub(super) outbox: AtomicI64,
    pub(super) dead_letters: AtomicI64,
    pub(super) bytes: AtomicI64,
    pub(super) waiting_accepts: AtomicUsize,
}

impl Gauges {
    pub(super) fn add(&self, change: Depth) {
        self.inbox.fetch_add(change.inbox, Ordering::Relaxed);
        self.outbox.fetch_add(change.outbox, Ordering::Relaxed);
        self.dead_letters.fetch_add(change.dead_letters, Ordering::Relaxed);
        self.bytes.fetch_add(change.bytes, Ordering::Relaxed);
    }

    pub(super) fn depth(&self) -> Depth {
        Depth {
            inbox: self.inbox.load(Ordering::Relaxed),
            outbox: self.outbox.load(Ordering::Relaxed),
            dead_letters: self.dead_letters.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) memory: Memory,
    pub(super) identity: Identity,
    pub(super) gauges: Arc<Gauges>,
    pub(super) clock: Clock,
    pub(super) metrics: WriterMetrics,
}

impl Writer {
    /// Serves calls until every sender is gone.
    pub(super) fn run(mut self, calls: &mpsc::Receiver<Call>) {
        let mut batch = Vec::with_capacity(LARGEST_BATCH);
        while let Ok(first) = calls.recv() {
            let mut items = first.items();
            batch.push(first);
            while batch.len() < LARGEST_BATCH && items < MOST_ITEMS {
                let Ok(call) = calls.try_recv() else { break };
                items += call.items();
                batch.push(call);
            }
            let asked = batch.len();
            batch.retain(|call| !matches!(call, Call::Checkpoint));
            if batch.len() < asked {
                checkpoint::copy_rest(&self.connection);
            }
            if !batch.is_empty() {
                self.serve(&mut batch);
            }
        }
    }

    fn serve(&mut self, batch: &mut Vec<Call>) {
        match self.transaction(batch) {
            Ok(done) => answer(batch.drain(..).zip(done), &self.gauges),
            // One call may have spoilt it for all: each gets a transaction of its own.
            Err(Broken::Within(_)) if batch.len() > 1 => {
                for call in batch.drain(..) {
                    let alone = [call];
                    let result = self.transaction(&alone);
                    let [call] = alone;
                    match result {
                        Ok(done) => answer([call].into_iter().zip(done), &self.gauges),
                        Err(broken) => self.refuse([call], &broken),
                    }
                }
            }
            // The database as a whole: each alone would only wait for the same answer.
            Err(broken) => self.refuse(batch.drain(..), &broken),
        }
    }

    fn refuse(&self, calls: impl IntoIterator<Item = Call>, broken: &Broken) {
        let refused = || Done::Refused(StoreError::Database(broken.to_string()));
        answer(calls.into_iter().map(|call| (call, refused())), &self.gauges);
    }

    /// All of `calls` or none.
    fn transaction(&mut self, calls: &[Call]) -> Result<Vec<Done>, Broken> {
        let started = Instant::now();
        let result = self.attempt(calls);
        if result.is_ok() {
            self.metrics.committed(calls.len(), started.elapsed());
        } else {
            self.metrics.failed();
            self.memory.forget();
            if !self.connection.is_autocommit() {
                // Nothing to be done should this fail too: the next BEGIN will say so.
                let _ = self.connection.execute_batch("ROLLBACK");
            }
        }
        result
    }

    fn attempt(&mut self, calls: &[Call]) -> Result<Vec<Done>, Broken> {
        execute(&self.connection, "BEGIN IMMEDIATE").map_err(Broken::Outside)?;
        let mut session = Session::new(&self.connection, &mut self.memory);
        let now = self.clock.now();
        let mut done = Vec::with_capacity(calls.len());
        for call in calls {
            done.push(apply(&mut session, call, now).map_err(Broken::Within)?);
        }
        session.tallies.write(&self.connection).map_err(Broken::Within)?;
        let depth = session.depth;
        execute(&self.connection, "COMMIT").map_err(Broken::Outside)?;
        self.identity.check().map_err(Broken::Lost)?;
        self.gauges.add(depth);
        Ok(done)
    }
}

/// Why nothing of a transaction counts.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// A call could not be applied.
    #[error(transparent)]
    Within(rusqlite::Error),
    /// The transaction itself was refused.
    #[error(transparent)]
    Outside(rusqlite::Error),
    /// What was written is in no file that the next start will find.
    #[error("{0}")]
    Lost(String),
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute([])
}

fn apply(session: &mut Session<'_>, call: &Call, now: Micros) -> rusqlite::Result<Done> {
    let result = match call {
        Call::Accept(delivery, claim_limit, _) => {
            session.accept(delivery, *claim_limit).map(Done::Accepted).map_err(Failure::from)
        }
        Call::Claim { queue, limit, at, .. } => {
            session.claim(*queue, *limit, at.unwrap_or(now)).map(Done::Claims).map_err(Failure::from)
        }
        Call::Finish { lease, item, outcome, with, .. } => session
            .finish(*lease, item, outcome, with, now)
            .map(|finished| Done::Finished(Box::new(finished))),
        Call::Defer { lease, seq, refusal, due_at, .. } => {
            session.defer(*lease, *seq, refusal, *due_at).map(|()| Done::Nothing)
        }
        Call::Probe(_) => session.probe(now).map(|()| Done::Nothing).map_err(Failure::from),
        Call::Checkpoint => Ok(Done::Nothing),
        Call::Task(task) => (task.run)(session, now).map(Done::Product),
        Call::Release(lease, in_doubt_until, _) => {
            session.release(*lease, *in_doubt_until, now).map(|()| Done::Nothing).map_err(Failure::from)
        }
    };
    match result {
        Ok(done) => Ok(done),
        Err(Failure::Sqlite(error)) => Err(error),
        Err(refused @ Failure::Refused(_)) => Ok(Done::Refused(refused.into_store_error())),
    }
}

/// Tells the callers. One that no longer listens has lost interest in the answer, not in the write.
fn answer(results: impl IntoIterator<Item = (Call, Done)>, gauges: &Gauges) {
    for (call, done) in results {
        match call {
            Call::Accept(_, _, reply) => {
                gauges.waiting_accepts.fetch_sub(1, Ordering::Relaxed);
                send(
                    reply,
                    done,
                    |done| if let Done::Accepted(accepted) = done { Some(accepted) } else { None },
                );
            }
            Call::Claim { reply, .. } => {
                send(reply, done, |done| if let Done::Claims(claims) = done { Some(claims) } else { None });
            }
            Call::Finish { reply, .. } => {
                send(
                    reply,
                    done,
                    |done| if let Done::Finished(finished) = done { Some(*finished) } else { None },
                );
            }
            Call::Checkpoint => {}
            Call::Task(task) => (task.reply)(match done {
                Done::Product(product) => Ok(product),
                Done::Refused(error) => Err(error),
                _ => Err(StoreError::Closed),
            }),
            Call::Defer { reply, .. } | Call::Release(_, _, reply) | Call::Probe(reply) => {
                send(reply, done, |done| matches!(done, Done::Nothing).then_some(()));
            }
        }
    }
}

fn send<T>(reply: Reply<T>, done: Done, unwrap: impl FnOnce(Done) -> Option<T>) {
    let result = match done {
        Done::Refused(error) => Err(error),
        done => unwrap(done).ok_or(StoreError::Closed),
    };
    let _ = reply.send(result);
}
