//! Durable work: what Meta handed over, what became of it, and what is still to be done.
//!
//! One narrow trait, so that the engine above never knows which database it runs on. Conversations are leased,
//! not messages: a *lane* is (queue, conversation), it exists while it has work, and whoever holds its lease works
//! through it strictly in order.

#[cfg(test)]
mod conformance;
pub mod delivery_state;
pub mod sqlite;
mod types;

use async_trait::async_trait;

pub use self::{
    delivery_state::DeliveryState,
    types::{
        Accepted, Attempt, Claim, Claims, Contact, Delivery, Depth, Finished, Inbound, Item, Lease,
        MessageId, Micros, NewEvent, NewInbound, NewOutbound, NewStatus, OpenedOutbox, Outcome, Queue,
        Refusal, SeenKey, now,
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
        self.claim_as_of(queue, limit, now()).await
    }

    /// The same, with what is due at the time `at`.
    async fn claim_as_of(&self, queue: Queue, limit: usize, at: Micros) -> Result<Claims, StoreError>;

    /// Ends the item at the head of the lane and gives the next one, or releases the lane when there is none.
    /// Replies of an inbox item are put into the outbox in the same transaction; their lane is leased at once
    /// when it was idle and `claim_outbox` says there is room.
    async fn finish(
        &self,
        lease: Lease,
        item: &Item,
        outcome: Outcome,
        claim_outbox: bool,
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

    /// Writes something small, to find out whether writes are taken.
    async fn probe(&self) -> Result<(), StoreError>;

    /// The state of a message, in either direction, by its word in the API; `None` when there is no such message.
    async fn message_state(&self, id: MessageId) -> Result<Option<String>, StoreError>;

    /// How much work is waiting or being done.
    fn depth(&self) -> Depth;
}
