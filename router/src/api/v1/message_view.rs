//! A message as the API shows it.

use poem_openapi::{
    Enum, Object,
    types::{Any, Example},
};
use serde_json::{Value, json};
use whatsapp::message::InboundMessage;

use super::{contact::ContactItem, paging::List};
use crate::{
    api::times::written,
    store::{self, MessageView, Page},
};

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Direction", rename_all = "snake_case")]
pub(super) enum DirectionItem {
    /// A person.
    In,
    /// The business.
    Out,
}

impl From<store::Direction> for DirectionItem {
    fn from(direction: store::Direction) -> Self {
        match direction {
            store::Direction::In => Self::In,
            store::Direction::Out => Self::Out,
        }
    }
}

impl From<DirectionItem> for store::Direction {
    fn from(direction: DirectionItem) -> Self {
        match direction {
            DirectionItem::In => Self::In,
            DirectionItem::Out => Self::Out,
        }
    }
}

/// What a message's `status` can be. Of a person: received, answered, not_answered. Of the business: queued, sent,
/// delivered, read, failed. Of both: dead, discarded.
pub(super) const STATUSES: [&str; 10] = [
    "received",
    "answered",
    "not_answered",
    "queued",
    "sent",
    "delivered",
    "read",
    "failed",
    "dead",
    "discarded",
];

/// One message, in either direction. Times are RFC 3339 in UTC.
#[derive(Debug, Object)]
#[oai(rename = "Message", example)]
pub(super) struct MessageItem {
    /// Ours, a UUID.
    id: String,
    direction: DirectionItem,
    channel: String,
    /// The conversation's id.
    conversation: i64,
    contact: ContactItem,
    /// Such as `text`, `image`, `interactive`, `template`.
    #[oai(rename = "type")]
    kind: String,
    /// In: `received` → `answered` or `not_answered`. Out: `queued` → `sent` → `delivered` → `read`, or `failed`:
    /// Meta took it and could not deliver it. Both: `dead` (given up, see dead letters), `discarded` (its dead letter
    /// was deleted). It only moves forward, but for a replay.
    status: String,
    /// Meta's id; of an outbound message from `sent` on.
    wamid: Option<String>,
    /// What a person reads of it: the text, the caption, the title of what they chose.
    text: Option<String>,
    /// In: as Meta sent it. Out: as it is sent, without recipient.
    payload: Any<Value>,
    /// The inbound message that caused it; its own id when nothing did.
    correlation_id: String,
    /// The route that answered; none when it came through the API.
    route: Option<String>,
    /// When it was stored.
    created_at: String,
    /// In: when the person sent it. Out: when Meta took it.
    sent_at: Option<String>,
    delivered_at: Option<String>,
    read_at: Option<String>,
    failed_at: Option<String>,
    /// When the watchdog found that it was not delivered by its deadline.
    undelivered_at: Option<String>,
    /// Why it failed or was given up.
    error: Option<String>,
    /// What became of a send of which nobody knew whether it had gone out: `settled_by_status`, `repeated` (the person
    /// may have it twice) or `not_repeated` (the person may not have it).
    doubt: Option<String>,
}

impl From<MessageView> for MessageItem {
    fn from(view: MessageView) -> Self {
        let payload = serde_json::from_str(&view.payload).unwrap_or(Value::Null);
        let direction = DirectionItem::from(view.direction);
        Self {
            id: view.id.to_string(),
            direction,
            channel: view.channel.to_string(),
            conversation: view.conversation,
            contact: view.contact.into(),
            kind: view.message_type,
            status: view.state,
            wamid: view.wamid,
            text: text(direction, &view.payload, &payload),
            payload: Any(payload),
            correlation_id: view.correlation.to_string(),
            route: view.route,
            created_at: written(view.created_at),
            sent_at: view.sent_at.map(written),
            delivered_at: view.delivered_at.map(written),
            read_at: view.read_at.map(written),
            failed_at: view.failed_at.map(written),
            undelivered_at: view.undelivered_at.map(written),
            error: view.error,
            doubt: view.doubt.map(|doubt| doubt.as_str().to_owned()),
        }
    }
}

/// An echo of what somebody typed on the business' phone has the form of an inbound message, and none of its meaning.
fn text(direction: DirectionItem, raw: &str, payload: &Value) -> Option<String> {
    match direction {
        DirectionItem::In => InboundMessage::from_json(raw).ok()?.text().map(str::to_owned),
        DirectionItem::Out => {
            let part = &payload[payload["type"].as_str()?];
            [&part["body"], &part["caption"], &part["body"]["text"]]
                .into_iter()
                .find_map(|text| text.as_str().map(str::to_owned))
        }
    }
}

impl Example for MessageItem {
    fn example() -> Self {
        Self {
            id: "019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b".to_owned(),
            direction: DirectionItem::Out,
            channel: "default".to_owned(),
            conversation: 17,
            contact: ContactItem::example(),
            kind: "text".to_owned(),
            status: "delivered".to_owned(),
            wamid: Some("wamid.HBgLMTU1NTAxMDAwMDEVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA".to_owned()),
            text: Some("hello there".to_owned()),
            payload: Any(json!({"type": "text", "text": {"body": "hello there"}})),
            correlation_id: "019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b".to_owned(),
            route: None,
            created_at: "2026-01-31T09:30:00.25Z".to_owned(),
            sent_at: Some("2026-01-31T09:30:00.4Z".to_owned()),
            delivered_at: Some("2026-01-31T09:30:02Z".to_owned()),
            read_at: None,
            failed_at: None,
            undelivered_at: None,
            error: None,
            doubt: None,
        }
    }
}

/// Newest first.
#[derive(Debug, Object)]
#[oai(rename = "Messages", example)]
pub(super) struct MessagePage {
    items: Vec<MessageItem>,
    /// Give it as `cursor` to get the next page; none at the end. A page may have fewer items than asked for, or none,
    /// and still have a next one: a filter that matches rarely is worked through in several calls.
    next_cursor: Option<String>,
}

impl From<Page<MessageView>> for MessagePage {
    fn from(page: Page<MessageView>) -> Self {
        Self {
            items: page.items.into_iter().map(MessageItem::from).collect(),
            next_cursor: page.next.map(|cursor| List::Messages.written(cursor)),
        }
    }
}

impl Example for MessagePage {
    fn example() -> Self {
        Self { items: vec![MessageItem::example()], next_cursor: Some("m1a2b".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_a_person_reads() {
        for (direction, payload, expected) in [
            (DirectionItem::Out, json!({"type": "text", "text": {"body": "hi"}}), Some("hi")),
            (
                DirectionItem::Out,
                json!({"type": "image", "image": {"id": "1", "caption": "look"}}),
                Some("look"),
            ),
            (
                DirectionItem::Out,
                json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "choose"}}}),
                Some("choose"),
            ),
            (DirectionItem::Out, json!({"type": "image", "image": {"id": "1"}}), None),
            (DirectionItem::Out, json!({}), None),
            (
                DirectionItem::In,
                json!({"from": "1", "id": "wamid.1", "timestamp": "1760000000", "type": "text", "text": {"body": "hi"}}),
                Some("hi"),
            ),
        ] {
            assert_eq!(text(direction, &payload.to_string(), &payload).as_deref(), expected, "{payload}");
        }
    }
}
