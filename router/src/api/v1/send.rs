//! Reads the body of `POST /api/v1/messages`: which channel, to whom, what. What a type needs is checked where all
//! outbound messages are, in `whatsapp::outbound`.

use std::sync::Arc;

use poem_openapi::{
    Object,
    types::{Any, Example},
};
use serde_json::{Map, Value, json};
use service::http::Problem;
use sha2::{Digest, Sha256};
use whatsapp::outbound::OutboundMessage;

use super::contact::number;
use crate::{
    api::keys::Hashed,
    routing::{Channel, Table},
    store::{Contact, Idempotency, SeenKey},
};

/// A message in the shape of the Cloud API: `type`, and the object of that name. Beside those named here: `audio`,
/// `contacts`, `document`, `image`, `location`, `reaction`, `sticker`, `video`.
//
// It documents what `Sendable` reads field by field, so that an error can name the field.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct SendMessage {
    /// The channel to send from. May be left out when there is only one.
    channel: Option<String>,
    /// The phone number with its country code. `+`, spaces, hyphens, dots and parentheses are ignored.
    to: Option<String>,
    /// The business-scoped user id, in place of `to`.
    recipient: Option<String>,
    /// `audio`, `contacts`, `document`, `image`, `interactive`, `location`, `reaction`, `sticker`, `template`, `text`
    /// or `video`.
    #[oai(rename = "type")]
    kind: String,
    /// `body` has at most 4,096 characters.
    text: Option<Any<Value>>,
    template: Option<Any<Value>>,
    interactive: Option<Any<Value>>,
    /// `message_id` is the wamid of the message to quote.
    context: Option<Any<Value>>,
}

impl Example for SendMessage {
    fn example() -> Self {
        Self {
            channel: None,
            to: Some("+15550100001".to_owned()),
            recipient: None,
            kind: "text".to_owned(),
            text: Some(Any(json!({"body": "hello there"}))),
            template: None,
            interactive: None,
            context: None,
        }
    }
}

/// A body that can be sent.
#[derive(Debug)]
pub(super) struct Sendable {
    pub(super) channel: Arc<str>,
    pub(super) contact: Contact,
    pub(super) message: OutboundMessage,
}

impl Sendable {
    /// Everything is checked here, before anything is stored.
    pub(super) fn read(mut body: Map<String, Value>, table: &Table) -> Result<Self, Problem> {
        let channel = channel(body.remove("channel"), table)?.name.clone();
        let contact = contact(body.remove("to"), body.remove("recipient"))?;
        let message = OutboundMessage::from_json(Value::Object(body))
            .map_err(|error| invalid(&error.field, &error.problem))?;
        Ok(Self { channel, contact, message })
    }

    /// Only a template reaches somebody who did not write within the last 24 hours (Meta, send-messages).
    pub(super) fn needs_open_window(&self) -> bool {
        self.message.message_type() != "template"
    }
}

fn invalid(field: &str, problem: &str) -> Problem {
    let detail = if field.is_empty() { format!("the body {problem}") } else { format!("{field} {problem}") };
    Problem::bad_request(detail).with_code("invalid_message").with_field(field)
}

fn text(field: &str, value: Option<Value>) -> Result<Option<String>, Problem> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(field, "is not a string; put it into quotes")),
    }
}

fn channel(given: Option<Value>, table: &Table) -> Result<&Arc<Channel>, Problem> {
    let names = || {
        let mut names: Vec<&str> = table.channels().map(|channel| &*channel.name).collect();
        names.sort_unstable();
        names.join(", ")
    };
    let Some(name) = text("channel", given)? else {
        let mut channels = table.channels();
        return match (channels.next(), channels.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(invalid("channel", "can't be chosen: none is configured")),
            _ => Err(invalid("channel", &format!("is missing; write one of {}", names()))),
        };
    };
    table.channel(&name).ok_or_else(|| invalid("channel", &format!("is none of {}", names())))
}

fn contact(to: Option<Value>, recipient: Option<Value>) -> Result<Contact, Problem> {
    let nobody = Contact { key: String::new(), wa_id: None, user_id: None, username: None, name: None };
    match (text("to", to)?, text("recipient", recipient)?) {
        (Some(_), Some(_)) => {
            Err(invalid("recipient", "can't be given together with to; leave one of them out"))
        }
        (None, None) => Err(invalid("to", "is missing; write the phone number with its country code")),
        (Some(to), None) => {
            let digits = number(&to).map_err(|problem| invalid("to", problem))?;
            Ok(Contact { key: digits.clone(), wa_id: Some(digits), ..nobody })
        }
        (None, Some(user)) => {
            if user.is_empty() || user.len() > 128 || !user.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(invalid(
                    "recipient",
                    "is not a business-scoped user id; write it as Meta gave it",
                ));
            }
            Ok(Contact { key: user.clone(), user_id: Some(user), ..nobody })
        }
    }
}

/// What makes the call safe to repeat. `body` is hashed with the names of its fields in order, so that it does not
/// matter how it was written.
pub(super) fn idempotency(
    caller: Hashed,
    key: Option<&str>,
    body: &Map<String, Value>,
) -> Result<Option<Idempotency>, Problem> {
    let Some(key) = key else { return Ok(None) };
    if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = "Idempotency-Key is not 1 to 255 visible ASCII characters; a UUID is a good one";
        return Err(Problem::bad_request(detail).with_field("Idempotency-Key"));
    }
    let mut hash = Sha256::new();
    add(&mut hash, &Value::Object(body.clone()));
    Ok(Some(Idempotency {
        key: SeenKey::new(&["api", &caller.hex(), key]),
        fingerprint: hash.finalize().into(),
    }))
}

/// Each part with its kind and length in front, so that no two values are hashed alike.
fn add(hash: &mut Sha256, value: &Value) {
    let mut part = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match value {
        Value::Null => part(b'n', b""),
        Value::Bool(value) => part(b'b', &[u8::from(*value)]),
        Value::Number(number) => part(b'd', number.to_string().as_bytes()),
        Value::String(text) => part(b's', text.as_bytes()),
        Value::Array(items) => {
            part(b'a', &(items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| add(hash, item));
        }
        Value::Object(fields) => {
            part(b'o', &(fields.len() as u64).to_be_bytes());
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in fields {
                add(hash, &Value::String(name.clone()));
                add(hash, value);
            }
        }
    }
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
