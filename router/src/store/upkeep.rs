//! What the store is asked for from time to time: deleting what is old, and finding what was never delivered.

use std::{collections::HashMap, sync::Arc};

use super::{MessageId, Micros, NewOutbound};

/// Everything older than this may go, kind by kind. `None` keeps it for ever. Unfinished work, dead letters and the
/// messages of both stay, whatever their age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cutoffs {
    /// Raw webhooks.
    pub webhooks: Option<Micros>,
    /// Messages of both directions, by when they were stored.
    pub messages: Option<Micros>,
    pub events: Option<Micros>,
    /// Keys that recognise what Meta delivers again.
    pub seen: Option<Micros>,
    /// Statuses of messages that we do not know.
    pub orphan_statuses: Option<Micros>,
    /// Keys of API calls.
    pub idempotency_keys: Option<Micros>,
    pub dead_letters: Option<Micros>,
}

/// Rows that one call of the sweep removed, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub webhooks: usize,
    pub messages: usize,
    pub events: usize,
    pub seen: usize,
    pub orphan_statuses: usize,
    pub idempotency_keys: usize,
    pub dead_letters: usize,
}

impl Swept {
    pub fn total(&self) -> usize {
        self.webhooks
            + self.messages
            + self.events
            + self.seen
            + self.orphan_statuses
            + self.idempotency_keys
            + self.dead_letters
    }
}

/// What is sent, by route, in place of a message that was accepted by Graph and never delivered. The id is made anew
/// for each.
pub type Remedies = HashMap<Arc<str>, NewOutbound>;

/// A message that was not delivered by its deadline. It is reported once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    pub id: MessageId,
    pub correlation: MessageId,
    pub channel: Arc<str>,
    pub route: Option<Arc<str>>,
    pub sent_at: Option<Micros>,
    /// What was put into the outbox in its place.
    pub remedy: Option<MessageId>,
}
