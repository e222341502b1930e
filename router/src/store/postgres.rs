//! The store on PostgreSQL: for several routers on one database, which share the work by leases.
//!
//! A few tasks own a connection each and commit together what has queued up ([`writer`]). The statements take whole
//! batches as arrays, so that a message costs few of them. What others hold is found out by row locks and fencing
//! tokens, never by what this process remembers: nothing read in one transaction is believed in the next.

mod accept;
mod address;
mod alone;
mod backend;
mod book;
mod channels;
mod connect;
mod dead_letters;
mod expiry;
mod finish;
mod jobs;
mod lanes;
mod listen;
mod orphans;
mod outbox;
mod pace;
mod people;
mod reader;
mod schema;
mod sends;
mod session;
mod statuses;
mod store;
mod sweep;
mod tally;
mod text;
mod views;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, mpsc::UnboundedSender, oneshot};
use uuid::Uuid;

use self::{
    accept::{AcceptCall, Accepts},
    connect::{Connector, Purpose},
    expiry::Expiries,
    finish::{Ends, LaneCall},
    jobs::{Job, Jobs},
    lanes::Tokens,
    reader::Reader,
    sends::{SendCall, Sends},
    tally::Gauges,
};
pub use self::{
    address::Address,
    alone::connect_alone,
    connect::{ConnectError, describe},
    schema::SchemaError,
};
use super::{Micros, Queue, StoreError, database::OpenOptions};
use crate::clock::{Clock, micros};

/// Webhooks waiting for a commit at most; past it the answer is "busy" at once.
const WAITING_ACCEPTS: usize = 4_096;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{place} can't be used: {source}")]
    Schema { place: String, source: SchemaError },
}

/// What all tasks of a store know.
#[derive(Debug)]
struct Shared {
    /// Names this run of the process in leases.
    owner: String,
    gauges: Arc<Gauges>,
    lease_time: Duration,
    uncertain_wait: Micros,
    expiries: Expiries,
    clock: Clock,
    /// How far the database's clock is ahead of ours, when that is worth a word.
    skew: AtomicI64,
    /// Something is due that nobody here has room for.
    news: Notify,
    /// Work may be due that another process has left, or a lost commit of ours.
    elsewhere: Notify,
}

impl Shared {
    /// Told what the database takes for the present, now and then.
    fn compare_clocks(&self, theirs: Micros) {
        let skew = theirs.saturating_sub(self.clock.now());
        // Less is the way there and back.
        let skew = if skew.abs() < 1_000_000 { 0 } else { skew };
        let before = self.skew.swap(skew, Ordering::Relaxed);
        if (skew - before).abs() > 1_000_000 {
            tracing::warn!(
                ahead_ms = skew / 1_000,
                "this machine's clock and the database's differ; the database's counts"
            );
        }
    }

    /// A time by our clock as the database counts.
    fn at_the_database(&self, at: Micros) -> Micros {
        at.saturating_add(self.skew.load(Ordering::Relaxed))
    }

    fn lease_micros(&self) -> Micros {
        micros(self.lease_time)
    }

    fn slot(&self, writer: &str) -> i16 {
        tally::slot(&self.owner, writer)
    }

    fn tell_others(&self) {
        self.news.notify_one();
    }

    fn ring(&self) {
        self.elsewhere.notify_one();
    }
}

/// See the module.
#[derive(Debug)]
pub struct PostgresStore {
    shared: Arc<Shared>,
    accepts: UnboundedSender<AcceptCall>,
    inbox: UnboundedSender<LaneCall>,
    outbox: UnboundedSender<LaneCall>,
    /// Claims and renewals, which must not wait for anything long.
    claims: UnboundedSender<Job>,
    /// What the API wants sent.
    sends: UnboundedSender<SendCall>,
    /// All other writes.
    upkeep: UnboundedSender<Job>,
    reader: Reader,
    swept: Arc<sweep::Place>,
    closed: Arc<Notify>,
}

impl PostgresStore {
    /// Connects and brings the schema up to date. Leases of a dead process are left to expire.
    pub async fn open(address: &Address, options: OpenOptions) -> Result<Self, OpenError> {
        let connector = Arc::new(Connector::new(address.clone(), options.clock, options.metrics)?);
        let session = connector.connect(Purpose::Asking, None).await?;
        schema::migrate(&session)
            .await
            .map_err(|source| OpenError::Schema { place: connector.place(), source })?;
        warn_if_unsafe(&session).await;
        let rest = micros(options.uncertain_wait);
        lanes::rest_in_doubt(&session, rest)
            .await
            .map_err(|source| OpenError::Schema { place: connector.place(), source: source.into() })?;
        let gauges = Arc::new(Gauges::default());
        // Zero until the first look otherwise, and a bound on the queues would not hold for that long.
        let mut never = std::time::Instant::now();
        let _ = gauges.look(&session, &mut never).await;
        let shared = Arc::new(Shared {
            owner: Uuid::now_v7().simple().to_string(),
            gauges: gauges.clone(),
            lease_time: options.lease_time,
            uncertain_wait: micros(options.uncertain_wait),
            expiries: Expiries::new(options.lease_time),
            clock: options.clock,
            skew: AtomicI64::new(0),
            news: Notify::new(),
            elsewhere: Notify::new(),
        });
        let jobs = |name| {
            let batch = Jobs { shared: shared.clone(), tokens: Tokens::default(), name };
            writer::start(batch, name, connector.clone(), gauges.clone())
        };
        let ends = |queue: Queue| {
            let batch = Ends { queue, shared: shared.clone(), tokens: Tokens::default() };
            writer::start(batch, queue.as_str(), connector.clone(), gauges.clone())
        };
        let (claims, upkeep) = (jobs("claims"), jobs("upkeep"));
        let sends = Sends { shared: shared.clone(), tokens: Tokens::default() };
        let sends = writer::start(sends, "sends", connector.clone(), gauges.clone());
        let (inbox, outbox) = (ends(Queue::Inbox), ends(Queue::Outbox));
        let (orphans, unknown) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(orphans::run(unknown, upkeep.clone()));
        let accepts = Accepts { shared: shared.clone(), tokens: Tokens::default(), orphans };
        let accepts = writer::start(accepts, "accept", connector.clone(), gauges.clone());
        let closed = Arc::new(Notify::new());
        tokio::spawn(listen::run(connector.clone(), shared.clone(), closed.clone()));
        let (reader, swept) = (Reader::new(connector), Arc::default());
        Ok(Self { shared, accepts, inbox, outbox, claims, sends, upkeep, reader, swept, closed })
    }

    fn ends(&self, queue: Queue) -> &UnboundedSender<LaneCall> {
        match queue {
            Queue::Inbox => &self.inbox,
            Queue::Outbox => &self.outbox,
        }
    }
}

impl Drop for PostgresStore {
    /// The writers end by themselves when nobody can call them.
    fn drop(&mut self) {
        self.closed.notify_one();
    }
}

/// Hands a call to a writer and waits for what became of it.
async fn call<C, T>(writer: &UnboundedSender<C>, call: impl FnOnce(Reply<T>) -> C) -> Result<T, StoreError> {
    let (reply, answer) = oneshot::channel();
    writer.send(call(reply)).map_err(|_| StoreError::Closed)?;
    answer.await.map_err(|_| StoreError::Closed)?
}

/// A server that does not write to its disk before it answers can lose what Meta was told is safe.
async fn warn_if_unsafe(session: &session::Session) {
    for (sql, setting) in [("SHOW fsync", "fsync"), ("SHOW full_page_writes", "full_page_writes")] {
        let Ok(row) = session.client().query_one(sql, &[]).await else { continue };
        if row.try_get::<_, &str>(0).is_ok_and(|value| value == "off") {
            tracing::warn!(
                setting,
                "the database server has this off: what was accepted can be lost when its machine fails"
            );
        }
    }
}
