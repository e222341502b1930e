//! The values that cross the border between the engine and the store.

use std::sync::Arc;

use bytes::Bytes;
use service::telemetry::{SpanContext, TraceId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{delivery_state::DeliveryState, trace::Trace};

/// Unix time in microseconds, UTC.
pub type Micros = i64;

/// The present as the store writes it.
pub fn now() -> Micros {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Micros::try_from(since_epoch.as_micros()).unwrap_or(Micros::MAX)
}

/// Our own name for a message, in either direction: a UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub Uuid);

impl MessageId {
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads what a status webhook carries in `biz_opaque_callback_data`; foreign data gives `None`.
    pub fn from_callback_data(data: &str) -> Option<Self> {
        Uuid::try_parse(data).ok().map(Self)
    }
}

impl std::fmt::Display for MessageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The two kinds of durable work. The numbers are what the database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Messages of people, to be given to a backend.
    Inbox = 1,
    /// Messages of the business, to be sent through the Graph API.
    Outbox = 2,
}

impl Queue {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inbox => "inbox",
            Self::Outbox => "outbox",
        }
    }
}

/// What makes an item recognisable when Meta delivers it again: the first half of a SHA-256, or less of it behind a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenKey(pub [u8; 16]);

impl SeenKey {
    /// `parts` are joined with a byte that can't occur in UTF-8, so that ("a", "bc") and ("ab", "c") differ.
    pub fn new(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.as_bytes());
            hash.update([0xff]);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }

    /// For items with a time that is part of what they are, in seconds: their keys lie in the order of time, so that
    /// those of the moment share a few pages of the database, however many there are in all.
    pub fn in_time(seconds: i64, parts: &[&str]) -> Self {
        let mut key = Self::new(parts);
        key.0[..4].copy_from_slice(&u32::try_from(seconds).unwrap_or_default().to_be_bytes());
        key
    }
}

/// The person at the other end, as far as Meta told us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The conversation key: business-scoped user id if it was known first, else the WhatsApp id.
    pub key: String,
    pub wa_id: Option<String>,
    pub user_id: Option<String>,
    pub username: Option<String>,
    pub name: Option<String>,
}

/// One webhook, taken apart.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub received_at: Micros,
    /// The bytes as Meta signed them.
    pub body: Bytes,
    pub messages: Vec<NewInbound>,
    pub statuses: Vec<NewStatus>,
    pub echoes: Vec<NewEcho>,
    pub events: Vec<NewEvent>,
    /// The channels that any of it is about, each once.
    pub channels: Vec<Arc<str>>,
    /// The span of the request that brought it, when that is sampled.
    pub trace: Option<SpanContext>,
}

impl Delivery {
    /// Says by which span it is told about, and so by which trace each of its messages is.
    pub fn trace_by(&mut self, request: SpanContext) {
        if request.sampled {
            self.trace = Some(request);
            let count = self.messages.len();
            for message in &mut self.messages {
                message.trace = Some(Trace::brought_by(request, count));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.statuses.is_empty()
            && self.echoes.is_empty()
            && self.events.is_empty()
    }
}

/// A person's message that is new to the caller; whether it is new to the store, the store decides.
#[derive(Debug, Clone)]
pub struct NewInbound {
    pub id: MessageId,
    pub seen_key: SeenKey,
    pub channel: Arc<str>,
    pub contact: Arc<Contact>,
    pub wamid: Arc<str>,
    pub message_type: &'static str,
    /// The message's JSON exactly as it came.
    pub raw: Arc<str>,
    /// When the person sent it, by Meta's clock.
    pub sent_at: Option<Micros>,
    /// Only when it is sampled.
    pub trace: Option<Trace>,
}

/// What became of a message that we sent.
#[derive(Debug, Clone)]
pub struct NewStatus {
    pub seen_key: SeenKey,
    pub wamid: String,
    /// Our id, when Meta echoed it in `biz_opaque_callback_data`.
    pub message: Option<MessageId>,
    pub state: DeliveryState,
    pub at: Micros,
    pub error: Option<String>,
    /// `at` is Meta's own and there is one recipient: a message with this time for this state has had this status.
    pub is_plain: bool,
}

/// A message that a person of the business typed on the phone (`smb_message_echoes`): stored as an outbound message
/// that was sent, and the conversation is theirs until `taken_over_until`.
#[derive(Debug, Clone)]
pub struct NewEcho {
    pub id: MessageId,
    pub seen_key: SeenKey,
    pub channel: Arc<str>,
    /// Whom it went to.
    pub contact: Arc<Contact>,
    pub wamid: Arc<str>,
    pub message_type: &'static str,
    pub raw: Arc<str>,
    pub sent_at: Option<Micros>,
    /// Only ever moves a takeover further; `None` leaves it as it is.
    pub taken_over_until: Option<Micros>,
}

/// Anything else of a webhook: account-level changes, errors, items that can't be read. Kept as it came.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub seen_key: SeenKey,
    pub channel: Option<Arc<str>>,
    pub field: String,
    pub raw: String,
}

/// What the store made of a [`Delivery`].
#[derive(Debug, Default)]
pub struct Accepted {
    /// By position in `Delivery::messages`: was it new?
    pub new_messages: Vec<bool>,
    pub duplicates: usize,
    pub claims: Vec<Claim>,
    /// Some lane is due but was not leased to the caller: whoever claims should look.
    pub left_work: bool,
}

/// The right to work on a lane. `token` fences: a call with a stale one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub queue: Queue,
    pub conversation: i64,
    pub token: i64,
}

/// A leased lane and the item at its head.
#[derive(Debug)]
pub struct Claim {
    pub lease: Lease,
    pub channel: Arc<str>,
    pub contact: Arc<Contact>,
    pub item: Item,
}

#[derive(Debug, Default)]
pub struct Claims {
    pub claims: Vec<Claim>,
    /// When the next lane that is not leased becomes due.
    pub next_due: Option<Micros>,
}

/// One piece of work.
#[derive(Debug, Clone)]
pub struct Item {
    /// Position in the lane, and the message's key in the store.
    pub seq: i64,
    pub id: MessageId,
    /// The id that all work caused by one inbound message shares.
    pub correlation: MessageId,
    pub payload: Arc<str>,
    /// Failed attempts so far.
    pub attempts: u32,
    /// Those of them that count against the limit.
    pub counted: u32,
    /// When it was stored.
    pub created_at: Micros,
    /// Only for an inbox item.
    pub inbound: Option<Inbound>,
    /// The holder before us vanished, or its send was ambiguous: this may have been done already.
    pub uncertain: bool,
    /// Only for an outbox item: Graph is known to have it, because a status came back.
    pub already_sent: bool,
    /// Only for an outbox item: the route whose policy it is sent by; `None` when it came through the API.
    pub route: Option<Arc<str>>,
    /// Of the conversation, as it was when the item was read.
    pub standing: Standing,
    /// Only when it is sampled.
    pub trace: Option<Trace>,
}

impl Item {
    /// For a line of the log.
    pub fn trace_id(&self) -> Option<tracing::field::DisplayValue<TraceId>> {
        self.trace.map(|trace| tracing::field::display(trace.trace))
    }
}

/// What is known of a conversation that decides about its next message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// The customer service window is open for 24 hours from here.
    pub last_inbound_at: Option<Micros>,
    /// A person answers until then, not the backend.
    pub taken_over_until: Option<Micros>,
    /// When the pair's allowance is whole again: each message sent moves it on by the pair's interval.
    pub pair_free_at: Micros,
}

#[derive(Debug, Clone)]
pub struct Inbound {
    pub wamid: Arc<str>,
    pub sent_at: Option<Micros>,
}

/// A message to be sent, in its conversation.
#[derive(Debug, Clone)]
pub struct NewOutbound {
    pub id: MessageId,
    pub message_type: String,
    /// The body without envelope, as JSON.
    pub payload: Arc<str>,
    /// The route whose policy it is sent by; `None` when it comes through the API.
    pub route: Option<Arc<str>>,
    /// Only when it is sampled.
    pub trace: Option<Trace>,
}

/// Items that wait or are being worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    pub inbox: i64,
    pub outbox: i64,
    pub dead_letters: i64,
    /// Of the payloads in both queues.
    pub bytes: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_keys_depend_on_where_the_parts_end() {
        assert_ne!(SeenKey::new(&["a", "bc"]), SeenKey::new(&["ab", "c"]));
        assert_eq!(SeenKey::new(&["a", "bc"]), SeenKey::new(&["a", "bc"]));
        let (early, late) =
            (SeenKey::in_time(1_700_000_000, &["z"]), SeenKey::in_time(1_700_000_001, &["a"]));
        assert!(early.0 < late.0 && early != SeenKey::in_time(1_700_000_000, &["y"]));
        assert_eq!(SeenKey::in_time(-1, &["a"]), SeenKey::in_time(i64::MAX, &["a"]), "no time that can be");
    }

    #[test]
    fn only_our_own_callback_data_is_an_id() {
        let id = MessageId::generate();
        assert_eq!(MessageId::from_callback_data(&id.to_string()), Some(id));
        assert_eq!(MessageId::from_callback_data("order-4711"), None);
        assert_eq!(MessageId::from_callback_data(""), None);
    }
}
