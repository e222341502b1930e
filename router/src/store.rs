//! Durable work: what Meta handed over, what became of it, and what is still to be done.
//!
//! One narrow trait, so that the engine above never knows which database it runs on. Conversations are leased,
//! not messages: a *lane* is (queue, conversation), it exists while it has work, and whoever holds its lease works
//! through it strictly in order.

#[cfg(test)]
pub(crate) mod conformance;
mod contacts;
pub mod database;
pub mod delivery_state;
mod endings;
mod fair_share;
#[cfg(test)]
mod model;
mod per_channel;
pub mod postgres;
mod sends;
mod shared_state;
pub mod sqlite;
mod statuses;
mod trace;
mod types;
mod upkeep;
mod views;

use std::time::Duration;

use async_trait::async_trait;

pub use self::{
    database::{DatabaseUrl, OpenError, OpenOptions, open},
    delivery_state::DeliveryState,
    endings::{Attempt, Doubt, Finish, Finished, OpenedOutbox, Outcome, Refusal},
    sends::{Enqueued, Idempotency, NewSend},
    shared_state::{ChannelNews, ChannelState, PaceAsk, PaceKind, SHARES_HOLD, Stopped},
    trace::{Cause, Trace},
    types::{
        Accepted, Claim, Claims, Contact, Delivery, Depth, Inbound, Item, Lease, MessageId, Micros, NewEcho,
        NewEvent, NewInbound, NewOutbound, NewStatus, Queue, SeenKey, Standing, now,
    },
    upkeep::{Cutoffs, Remedies, Swept, Undelivered},
    views::{
        ChannelLedger, ConversationFilter, ConversationView, Cursor, DeadLetterFilter, DeadLetterView,
        Direction, LastMessage, MessageFilter, MessageView, Page, PageRequest, QueueView, QueuesView, Replay,
        Replayed,
    },
};

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Disk full, file gone, I/O error: nothing of the call was stored.
    #[error("the database refused the write: {0}")]
    Database(String),
    /// More calls are waiting for a commit than the store is willing to hold in memory.
    #[error("the store has more writes waiting than it accepts")]
    Busy,
    /// The queue's bound, by items or by bytes, is reached.
    #[error("the queue is full")]
    Full,
    /// The lease is no longer ours: somebody else works on this lane and what we know is stale.
    #[error("the lease of this conversation is lost")]
    LeaseLost,
    #[error("the store is closed")]
    Closed,
}

/// The durable queues and the message store.
///
/// Every call is one atomic write that is on disk when the future resolves. Calls may be shared in one commit
/// (group commit). Dropping a future does not undo the write, so a caller that must see the result runs the call
/// in a task that nobody cancels.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync + 'static {
    /// Stores a webhook with its items, each once, and leases up to `claim_limit` inbox lanes that were idle.
    async fn accept(&self, delivery: Delivery, claim_limit: usize) -> Result<Accepted, StoreError>;

    /// Leases up to `limit` lanes of `queue` that are due, the longest waiting first.
    async fn claim(&self, queue: Queue, limit: usize) -> Result<Claims, StoreError> {
        self.claim_as_of(queue, limit, None).await
    }

    /// The same, with what is due at the time `at`; `None` is the present by the store's own clock, which is the one
    /// that leases expire by.
    async fn claim_as_of(&self, queue: Queue, limit: usize, at: Option<Micros>)
    -> Result<Claims, StoreError>;

    /// Which database it is, as OpenTelemetry calls it.
    fn system(&self) -> &'static str {
        "sqlite"
    }

    /// How long a lease holds without [`renew`](Self::renew); `None` when nobody else can take it, because the
    /// database belongs to this process alone. When the holder of an expired lease is gone, its lane is due again
    /// and marked uncertain; an outbox lane rests for the wait that the store was opened with first.
    fn lease_time(&self) -> Option<Duration> {
        None
    }

    /// Prolongs leases; gives back those that are lost.
    async fn renew(&self, leases: Vec<Lease>) -> Result<Vec<Lease>, StoreError>;

    /// The first items of a leased lane, the head included: for a backend that is asked about several at once.
    async fn pending(&self, lease: Lease, limit: usize) -> Result<Vec<Item>, StoreError>;

    /// Ends the item at the head of the lane and gives the next one, or releases the lane when there is none.
    /// Replies of an inbox item are put into the outbox in the same transaction; their lane is leased at once
    /// when it was idle and `with.claim_outbox` says there is room.
    async fn finish(
        &self,
        lease: Lease,
        item: &Item,
        outcome: Outcome,
        with: Finish,
    ) -> Result<Finished, StoreError>;

    /// Keeps the item at the head of the lane for another attempt at `due_at` and releases the lane until then.
    async fn defer(
        &self,
        lease: Lease,
        item: &Item,
        refusal: Refusal,
        due_at: Micros,
    ) -> Result<(), StoreError>;

    /// Gives a lane back, so that another worker can go on with it: now if its head was not touched, else at
    /// `in_doubt_until` and marked as one that may have been done.
    async fn release(&self, lease: Lease, in_doubt_until: Option<Micros>) -> Result<(), StoreError>;

    /// What waits for later in this queue of a channel is due now, at most `limit` conversations; says how many. Those
    /// stay as they are whose head may have been sent: they wait for the status that tells.
    async fn hurry(&self, queue: Queue, channel: &str, limit: usize) -> Result<usize, StoreError>;

    /// Stores a message that a call of the API wants sent; its conversation is opened when there is none. `claim`:
    /// there is room to lease its lane.
    async fn enqueue(&self, send: NewSend, claim: bool) -> Result<Enqueued, StoreError>;

    /// Resolves when another process says that work is due which nobody holds; may resolve without reason. Where no
    /// other process can be, it never does.
    async fn work_elsewhere(&self) {
        std::future::pending::<()>().await;
    }

    /// Writes something small, to find out whether writes are taken.
    async fn probe(&self) -> Result<(), StoreError>;

    /// How much work is waiting or being done. May lag a little where other processes write too.
    fn depth(&self) -> Depth;

    /// Sets or ends (`None`) the time in which a person answers; false when there is no such conversation.
    async fn take_over(&self, conversation: i64, until: Option<Micros>) -> Result<bool, StoreError>;

    /// This router's shares of the limits asked for, in the order of `asks`; together they never exceed a limit. A
    /// share holds until the next call, which has to come within [`SHARES_HOLD`] and [`lease_time`](Self::lease_time).
    async fn share_pace(&self, asks: Vec<PaceAsk>) -> Result<Vec<u32>, StoreError>;

    /// What is known of channels, those of which nothing is known left out.
    async fn channel_states(&self) -> Result<Vec<ChannelState>, StoreError>;

    async fn note_channel(&self, channel: &str, news: ChannelNews) -> Result<(), StoreError>;

    /// The state of a message, in either direction, by its word in the API; `None` when there is no such message.
    async fn message_state(&self, id: MessageId) -> Result<Option<String>, StoreError> {
        Ok(self.message(id).await?.map(|message| message.state))
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageView>, StoreError>;

    async fn messages(
        &self,
        filter: MessageFilter,
        page: PageRequest,
    ) -> Result<Page<MessageView>, StoreError>;

    async fn conversation(&self, id: i64) -> Result<Option<ConversationView>, StoreError>;

    async fn conversations(
        &self,
        filter: ConversationFilter,
        page: PageRequest,
    ) -> Result<Page<ConversationView>, StoreError>;

    async fn dead_letter(&self, id: MessageId) -> Result<Option<DeadLetterView>, StoreError>;

    async fn dead_letters(
        &self,
        filter: DeadLetterFilter,
        page: PageRequest,
    ) -> Result<Page<DeadLetterView>, StoreError>;

    /// Puts dead letters back into their queues, at the place in the conversation that they had, with fresh attempts.
    async fn replay(&self, which: Replay) -> Result<Replayed, StoreError>;

    /// Deletes a dead letter; its message stays in the list as `discarded`. False when there is none.
    async fn discard(&self, id: MessageId) -> Result<bool, StoreError>;

    async fn queues(&self) -> Result<QueuesView, StoreError>;

    /// By channel, in the order of their names.
    async fn ledger(&self) -> Result<Vec<ChannelLedger>, StoreError>;

    /// Messages that Graph took and that were not delivered by their deadline, each once, at most `limit`. Where their
    /// route has a remedy it is put into the outbox in the same transaction.
    async fn take_undelivered(
        &self,
        at: Micros,
        remedies: Remedies,
        limit: usize,
    ) -> Result<Vec<Undelivered>, StoreError>;

    /// Deletes what is older than the cutoffs, at most `limit` rows of each kind.
    async fn sweep(&self, cutoffs: Cutoffs, limit: usize) -> Result<Swept, StoreError>;
}
