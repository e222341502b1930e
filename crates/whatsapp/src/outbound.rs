//! What can be sent: bodies in the shape of the Cloud API, checked before they are stored.

mod check;
mod split;

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use split::split_text;

/// Characters of a text message, at most (Meta, text-messages). Characters, not bytes.
pub const TEXT_LIMIT: usize = 4096;

/// Characters of `biz_opaque_callback_data`, at most.
pub const CALLBACK_DATA_LIMIT: usize = 512;

/// Why a message can't be sent. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The path of the field, such as `text.body`.
    pub field: String,
    pub problem: String,
}

fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Invalid {
    Invalid { field: field.into(), problem: problem.into() }
}

/// To whom a message goes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recipient {
    /// The phone number in digits, without `+`.
    pub wa_id: Option<String>,
    /// The business-scoped user id.
    pub user_id: Option<String>,
}

/// A message without its envelope: a JSON object with `type` and the object of that name.
#[derive(Clone, PartialEq)]
pub struct OutboundMessage {
    body: Map<String, Value>,
    message_type: &'static str,
}

impl OutboundMessage {
    /// A text of at most [`TEXT_LIMIT`] characters; see [`split_text`].
    pub fn text(body: &str) -> Self {
        let mut map = Map::new();
        map.insert("type".to_owned(), Value::from("text"));
        map.insert("text".to_owned(), json!({ "body": body }));
        Self { body: map, message_type: "text" }
    }

    /// Checks a body in the shape of the Cloud API. One that says itself to whom it goes, or what comes back in its
    /// statuses, is refused: both are ours to say.
    pub fn from_json(value: Value) -> Result<Self, Invalid> {
        let Value::Object(mut body) = value else { return Err(invalid("", "is not an object")) };
        check::take_envelope(&mut body)?;
        let message_type = check::message(&body)?;
        Ok(Self { body, message_type })
    }

    pub fn as_json(&self) -> &Map<String, Value> {
        &self.body
    }

    pub fn to_json_string(&self) -> String {
        serde_json::to_string(&self.body).expect("names are strings, so it can be written")
    }

    pub fn message_type(&self) -> &'static str {
        self.message_type
    }

    /// The body of `POST /{phone-number-id}/messages`. `callback_data` comes back in the message's statuses; nothing
    /// does when it is empty.
    ///
    /// `to` is written with `+`, without which Meta takes the business' own country for granted; where no number is
    /// known, `recipient` names the user id (Meta, send-messages and business-scoped-user-ids).
    pub fn request(&self, to: &Recipient, callback_data: &str) -> Result<Vec<u8>, Invalid> {
        check::characters("biz_opaque_callback_data", callback_data, CALLBACK_DATA_LIMIT)?;
        let number = to.wa_id.as_deref().map(|number| number.trim().trim_start_matches('+'));
        let number = number.filter(|number| !number.is_empty());
        let user = to.user_id.as_deref().filter(|user| number.is_none() && !user.is_empty());
        if number.is_none() && user.is_none() {
            return Err(invalid("to", "is missing: neither a number nor a user id is known"));
        }
        let request = Request {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to: number.map(|number| format!("+{number}")),
            recipient: user,
            biz_opaque_callback_data: callback_data,
            body: &self.body,
        };
        serde_json::to_vec(&request).map_err(|error| invalid("", error.to_string()))
    }
}

#[derive(Serialize)]
struct Request<'a> {
    messaging_product: &'static str,
    recipient_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    biz_opaque_callback_data: &'a str,
    #[serde(flatten)]
    body: &'a Map<String, Value>,
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
