//! What the API shows of the store, and by what it can be filtered.

use std::sync::Arc;

use super::{Contact, Doubt, MessageId, Micros, Queue};

/// One page of a list, newest first. The cursor is stable: what is stored meanwhile never repeats or hides an item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; `None` at the end. A page may hold fewer items than asked for and still have a
    /// next one: a filter that matches rarely must not make one call read the whole database.
    pub next: Option<Cursor>,
}

/// Everything before this position, which is `seq` for messages and dead letters, the id for conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(pub i64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// `None` begins with the newest.
    pub before: Option<Cursor>,
    /// Items, at most.
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    In,
    Out,
}

impl Direction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// All that is given has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    pub channel: Option<String>,
    /// Any identifier by which the contact was ever seen.
    pub contact: Option<String>,
    pub conversation: Option<i64>,
    pub direction: Option<Direction>,
    /// A state by its word: `received`, `answered`, `not_answered`, or one of an outbound message.
    pub state: Option<String>,
    pub message_type: Option<String>,
    /// Stored at or after this time.
    pub since: Option<Micros>,
    /// Stored before this time.
    pub until: Option<Micros>,
    /// Only those that the delivery watchdog found.
    pub undelivered: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    pub seq: i64,
    pub id: MessageId,
    pub conversation: i64,
    pub channel: Arc<str>,
    pub contact: Contact,
    pub direction: Direction,
    pub wamid: Option<String>,
    pub message_type: String,
    pub state: String,
    /// JSON: inbound as Meta sent it, outbound without the envelope.
    pub payload: String,
    /// The inbound message that caused it; its own id when nothing did.
    pub correlation: MessageId,
    pub route: Option<String>,
    pub created_at: Micros,
    pub sent_at: Option<Micros>,
    pub delivered_at: Option<Micros>,
    pub read_at: Option<Micros>,
    pub failed_at: Option<Micros>,
    /// When the delivery watchdog found it.
    pub undelivered_at: Option<Micros>,
    pub error: Option<String>,
    pub doubt: Option<Doubt>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    pub channel: Option<String>,
    pub contact: Option<String>,
    /// Only those that a person has taken over and not given back, as of this time.
    pub taken_over_at: Option<Micros>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationView {
    pub id: i64,
    pub channel: Arc<str>,
    pub contact: Contact,
    pub created_at: Micros,
    pub last_inbound_at: Option<Micros>,
    pub taken_over_until: Option<Micros>,
    pub last_message: Option<LastMessage>,
    /// Unfinished work.
    pub inbox: i64,
    pub outbox: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastMessage {
    pub id: MessageId,
    pub direction: Direction,
    pub message_type: String,
    pub state: String,
    pub created_at: Micros,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeadLetterFilter {
    pub channel: Option<String>,
    pub queue: Option<Queue>,
    pub reason: Option<String>,
    pub contact: Option<String>,
    /// Died at or after this time.
    pub since: Option<Micros>,
    /// Died before this time.
    pub until: Option<Micros>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterView {
    pub seq: i64,
    pub id: MessageId,
    pub conversation: i64,
    pub channel: Arc<str>,
    pub contact: Contact,
    pub queue: Queue,
    pub message_type: String,
    pub reason: String,
    pub error: String,
    pub attempts: u32,
    pub died_at: Micros,
    pub created_at: Micros,
    pub doubt: Option<Doubt>,
}

/// Which dead letters are to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    One(MessageId),
    /// The oldest first, at most `limit` in one transaction.
    Matching {
        filter: DeadLetterFilter,
        limit: usize,
    },
}

/// What replaying put back into the queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    pub inbox: usize,
    pub outbox: usize,
}

/// One queue as an operator sees it, in items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueView {
    /// Due and held by nobody, or waiting behind such an item.
    pub ready: i64,
    /// Being worked on.
    pub in_progress: i64,
    /// In conversations that wait for a time (a retry, a limit, a quiet window).
    pub delayed: i64,
    /// When the oldest unfinished item was stored.
    pub oldest_at: Option<Micros>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueuesView {
    pub inbox: QueueView,
    pub outbox: QueueView,
    pub dead_letters: i64,
}

/// The account of one channel. Both lines must add up:
/// `accepted = answered + not_to_be_answered + in_flight + dead` and `queued = sent + in_flight + dead + discarded`.
/// What was accepted and how it ended is counted in the transaction that does it; what is in flight and dead is
/// counted in the queues themselves, so the two sides are independent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelLedger {
    pub channel: Arc<str>,
    /// Messages of people, each once.
    pub accepted: i64,
    pub answered: i64,
    /// By rule, or because an operator deleted the dead letter.
    pub not_to_be_answered: i64,
    pub inbox_in_flight: i64,
    pub inbox_dead: i64,
    /// Messages to people: replies and what came through the API.
    pub queued: i64,
    pub sent: i64,
    pub outbox_in_flight: i64,
    pub outbox_dead: i64,
    /// Dead letters that an operator deleted.
    pub discarded: i64,
}

impl ChannelLedger {
    /// Of a channel through which nothing has come yet.
    pub fn empty(channel: Arc<str>) -> Self {
        Self {
            channel,
            accepted: 0,
            answered: 0,
            not_to_be_answered: 0,
            inbox_in_flight: 0,
            inbox_dead: 0,
            queued: 0,
            sent: 0,
            outbox_in_flight: 0,
            outbox_dead: 0,
            discarded: 0,
        }
    }

    /// What is missing on the right side of the first line: 0 when nothing is lost.
    pub fn inbox_gap(&self) -> i64 {
        self.accepted - self.answered - self.not_to_be_answered - self.inbox_in_flight - self.inbox_dead
    }

    /// The same for the second line.
    pub fn outbox_gap(&self) -> i64 {
        self.queued - self.sent - self.outbox_in_flight - self.outbox_dead - self.discarded
    }
}
