//! The store on one SQLite file: for a laptop, a small server, or one pod with a volume.
//!
//! WAL with `synchronous=FULL`: a commit that was reported is on disk even if the power fails the moment after.

mod accept;
mod channels;
mod checkpoint;
mod conversations;
mod dead_letters;
mod finish;
mod identity;
mod known;
mod lanes;
pub mod location;
mod outbox;
mod readers;
mod recovery;
mod schema;
mod session;
mod statuses;
mod sweep;
mod tally;
mod undelivered;
mod values;
mod views;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::Ordering, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{Connection, config::DbConfig};
use tokio::sync::oneshot;
use uuid::Uuid;

use self::{
    identity::Identity,
    readers::Readers,
    session::{Failure, Memory, Session},
    views::{conversations as chats, dead_letters as dead, ledger, messages},
    writer::{Call, Gauges, Reply, Task, Writer},
};
pub use self::{
    location::{Location, LocationError},
    schema::{SCHEMA_VERSION, SchemaError},
};
use super::{
    Accepted, ChannelLedger, ChannelNews, ChannelState, Claims, ConversationFilter, ConversationView,
    Cutoffs, DeadLetterFilter, DeadLetterView, Delivery, Depth, Enqueued, Finish, Finished, Item, Lease,
    MessageFilter, MessageId, MessageView, Micros, NewSend, Outcome, PaceAsk, Page, PageRequest, Queue,
    QueuesView, Refusal, Remedies, Replay, Replayed, Store, StoreError, Swept, Undelivered,
};
use crate::{clock::Clock, metrics::StoreMetrics};

/// Webhooks waiting for a commit at most; past it the answer is "busy" at once. At 3 MiB a body this is bounded
/// far below by the connections that can be open.
const WAITING_ACCEPTS: usize = 4_096;

/// Pages of 4 KiB in the WAL before SQLite copies them back inside a commit: a net under [`checkpoint`], 256 MiB.
const WAL_PAGES: i64 = 64_000;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Location(#[from] LocationError),
    #[error("{path} can't be used: {source}")]
    Schema { path: PathBuf, source: SchemaError },
    #[error("{path} can't be opened as an SQLite database: {source}")]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// See the module.
#[derive(Debug)]
pub struct SqliteStore {
    calls: mpsc::Sender<Call>,
    gauges: Arc<Gauges>,
    readers: Readers,
    clock: Clock,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Dropping it ends the thread that shortens the WAL.
    stop_checkpoints: Option<mpsc::Sender<()>>,
}

impl SqliteStore {
    /// Opens or makes the file, brings its schema up to date and takes over what a dead process left. Sends that
    /// it may have made are not repeated before `uncertain_wait` is over.
    pub fn open(location: &Location, uncertain_wait: Duration, clock: Clock) -> Result<Self, OpenError> {
        Self::open_counted(location, uncertain_wait, clock, &StoreMetrics::unseen())
    }

    /// The same, with its commits counted.
    pub fn open_counted(
        location: &Location,
        uncertain_wait: Duration,
        clock: Clock,
        metrics: &StoreMetrics,
    ) -> Result<Self, OpenError> {
        let (path, exclusive) = location::prepare(&location.0)?;
        let sqlite = |source| OpenError::Sqlite { path: path.clone(), source };
        let mut connection = Connection::open(&path).map_err(sqlite)?;
        configure(&connection).map_err(sqlite)?;
        schema::migrate(&mut connection)
            .map_err(|source| OpenError::Schema { path: path.clone(), source })?;
        let gauges = Arc::new(Gauges::default());
        let memory = Memory::new(Uuid::now_v7().simple().to_string(), clock.now());
        let left = recovery::take_over(&connection, clock.now(), uncertain_wait).map_err(sqlite)?;
        if left > 0 {
            tracing::info!(
                conversations = left,
                "going on with work that an earlier process left unfinished"
            );
        }
        gauges.add(recovery::depth(&connection).map_err(sqlite)?);

        let identity =
            Identity::of(&path).map_err(|source| LocationError::File { path: path.clone(), source })?;

        let (calls, receiver) = mpsc::channel();
        let writer = Writer {
            connection,
            memory,
            identity,
            gauges: gauges.clone(),
            clock,
            metrics: metrics.writer("sqlite"),
        };
        let open = metrics.connected("writing");
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                let _until_the_end = (exclusive, open);
                // Without a writer nothing works any more, and the next start goes on with everything.
                if std::panic::catch_unwind(AssertUnwindSafe(|| writer.run(&receiver))).is_err() {
                    tracing::error!("the thread that writes has failed, the process ends");
                    std::process::exit(1);
                }
            })
            .map_err(|source| LocationError::File { path: path.clone(), source })?;
        let (stop_checkpoints, stop) = mpsc::channel();
        let checkpoints = {
            let (of, calls) = (path.clone(), calls.clone());
            std::thread::Builder::new()
                .name("sqlite-wal".to_owned())
                .spawn(move || {
                    // Without a writer there is nothing left to ask for.
                    let ask = || drop(calls.send(Call::Checkpoint));
                    checkpoint::run(&of, ask, &stop);
                })
                .map_err(|source| LocationError::File { path: path.clone(), source })?
        };
        // Joined in this order: the second lives as long as anybody can still send to it.
        let threads = Mutex::new(vec![checkpoints, thread]);
        let readers = Readers::new(&path, metrics);
        Ok(Self { calls, gauges, readers, threads, clock, stop_checkpoints: Some(stop_checkpoints) })
    }

    async fn call<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(call(reply)).map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn task<T: Send + 'static>(
        &self,
        run: impl Fn(&mut Session<'_>, Micros) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.call(|reply| Call::Task(Task::new(run, reply))).await
    }
}

impl Drop for SqliteStore {
    /// Waits until the last commit is done and the file is free for the next process.
    fn drop(&mut self) {
        self.stop_checkpoints = None;
        self.readers.close();
        let (closed, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.calls, closed));
        let threads = self.threads.get_mut().map(std::mem::take).unwrap_or_default();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, delivery: Delivery, claim_limit: usize) -> Result<Accepted, StoreError> {
        if self.gauges.waiting_accepts.fetch_add(1, Ordering::Relaxed) >= WAITING_ACCEPTS {
            self.gauges.waiting_accepts.fetch_sub(1, Ordering::Relaxed);
            return Err(StoreError::Busy);
        }
        self.call(|reply| Call::Accept(Box::new(delivery), claim_limit, reply)).await
    }

    async fn claim_as_of(
        &self,
        queue: Queue,
        limit: usize,
        at: Option<Micros>,
    ) -> Result<Claims, StoreError> {
        self.call(|reply| Call::Claim { queue, limit, at, reply }).await
    }

    async fn finish(
        &self,
        lease: Lease,
        item: &Item,
        outcome: Outcome,
        with: Finish,
    ) -> Result<Finished, StoreError> {
        let item = Box::new(item.clone());
        self.call(|reply| Call::Finish { lease, item, outcome, with, reply }).await
    }

    async fn defer(
        &self,
        lease: Lease,
        item: &Item,
        refusal: Refusal,
        due_at: Micros,
    ) -> Result<(), StoreError> {
        let seq = item.seq;
        self.call(|reply| Call::Defer { lease, seq, refusal, due_at, reply }).await
    }

    async fn release(&self, lease: Lease, in_doubt_until: Option<Micros>) -> Result<(), StoreError> {
        self.call(|reply| Call::Release(lease, in_doubt_until, reply)).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.call(Call::Probe).await
    }

    async fn renew(&self, _leases: Vec<Lease>) -> Result<Vec<Lease>, StoreError> {
        Ok(Vec::new())
    }

    async fn pending(&self, lease: Lease, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.task(move |session, _| session.pending(lease, limit)).await
    }

    async fn enqueue(&self, send: NewSend, claim: bool) -> Result<Enqueued, StoreError> {
        self.task(move |session, now| session.enqueue(&send, claim, now)).await
    }

    async fn hurry(&self, queue: Queue, channel: &str, limit: usize) -> Result<usize, StoreError> {
        let channel: Arc<str> = Arc::from(channel);
        self.task(move |session, now| Ok(session.hurry(queue, &channel, limit, now)?)).await
    }

    async fn take_over(&self, conversation: i64, until: Option<Micros>) -> Result<bool, StoreError> {
        self.task(move |session, _| Ok(session.take_over(conversation, until)?)).await
    }

    /// Nobody shares the database: every limit is ours.
    async fn share_pace(&self, asks: Vec<PaceAsk>) -> Result<Vec<u32>, StoreError> {
        Ok(asks.into_iter().map(|ask| ask.limit).collect())
    }

    async fn channel_states(&self) -> Result<Vec<ChannelState>, StoreError> {
        self.readers.read(channels::states).await
    }

    async fn note_channel(&self, channel: &str, news: ChannelNews) -> Result<(), StoreError> {
        let channel = channel.to_owned();
        self.task(move |session, now| Ok(session.note_channel(&channel, &news, now)?)).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageView>, StoreError> {
        self.readers.read(move |sql| messages::one(sql, id)).await
    }

    async fn messages(
        &self,
        filter: MessageFilter,
        page: PageRequest,
    ) -> Result<Page<MessageView>, StoreError> {
        self.readers.read(move |sql| messages::page(sql, &filter, page)).await
    }

    async fn conversation(&self, id: i64) -> Result<Option<ConversationView>, StoreError> {
        self.readers.read(move |sql| chats::one(sql, id)).await
    }

    async fn conversations(
        &self,
        filter: ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<ConversationView>, StoreError> {
        self.readers.read(move |sql| chats::page(sql, &filter, page)).await
    }

    async fn dead_letter(&self, id: MessageId) -> Result<Option<DeadLetterView>, StoreError> {
        self.readers.read(move |sql| dead::one(sql, id)).await
    }

    async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        page: PageRequest,
    ) -> Result<Page<DeadLetterView>, StoreError> {
        self.readers.read(move |sql| dead::page(sql, &filter, page)).await
    }

    async fn replay(&self, which: Replay) -> Result<Replayed, StoreError> {
        match which {
            Replay::One(id) => self.task(move |session, now| Ok(session.replay_one(id, now)?)).await,
            // Found without keeping the writer: it takes those of them that are still dead then.
            Replay::Matching { filter, limit } => {
                let found = self.readers.read(move |sql| dead::oldest(sql, &filter, limit)).await?;
                self.task(move |session, now| Ok(session.replay(&found, now)?)).await
            }
        }
    }

    async fn discard(&self, id: MessageId) -> Result<bool, StoreError> {
        self.task(move |session, _| Ok(session.discard(id)?)).await
    }

    async fn queues(&self) -> Result<QueuesView, StoreError> {
        let now = self.clock.now();
        self.readers.read(move |sql| ledger::queues(sql, now)).await
    }

    async fn ledger(&self) -> Result<Vec<ChannelLedger>, StoreError> {
        self.readers.read(ledger::ledger).await
    }

    async fn take_undelivered(
        &self,
        at: Micros,
        remedies: Remedies,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError> {
        self.task(move |session, now| Ok(session.take_undelivered(at, &remedies, limit, now)?)).await
    }

    async fn sweep(&self, cutoffs: Cutoffs, limit: usize) -> Result<Swept, StoreError> {
        self.task(move |session, _| Ok(session.sweep(&cutoffs, limit)?)).await
    }

    fn depth(&self) -> Depth {
        self.gauges.depth()
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_384)?; // KiB
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    // A plan made once is good for every parameter: these are all look-ups by key.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}
