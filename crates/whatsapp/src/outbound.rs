//! What can be sent: bodies in the shape of the Cloud API, checked before they are stored.

mod split;

use serde_json::{Map, Value, json};

pub use split::split_text;

/// Characters of a text message, at most (Meta, text-messages). Characters, not bytes.
pub const TEXT_LIMIT: usize = 4096;

/// Bytes of `biz_opaque_callback_data`, at most.
pub const CALLBACK_DATA_LIMIT: usize = 512;

/// Why a message can't be sent.
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipient {
    /// The phone number in digits, without `+`.
    pub wa_id: Option<String>,
    /// The business-scoped user id.
    pub user_id: Option<String>,
}

/// A message without its envelope: a JSON object with `type` and the object of that name.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboundMessage {
    body: Map<String, Value>,
    message_type: &'static str,
}

/// Checks the object of one type.
type Check = fn(&Value) -> Result<(), Invalid>;

/// The types that can be sent, each with the check of its own object. Those without limits here only need the
/// object; Meta checks the rest.
const TYPES: &[(&str, Check)] = &[
    ("text", check_text),
    ("image", check_nothing),
    ("audio", check_nothing),
    ("video", check_nothing),
    ("document", check_nothing),
    ("sticker", check_nothing),
    ("location", check_nothing),
    ("contacts", check_nothing),
    ("reaction", check_nothing),
    ("interactive", check_nothing),
    ("template", check_nothing),
];

/// Set by us for every message; a caller's own would be lost or would send it to somebody else.
const ENVELOPE: [&str; 5] =
    ["messaging_product", "recipient_type", "to", "recipient", "biz_opaque_callback_data"];

impl OutboundMessage {
    /// A text of at most [`TEXT_LIMIT`] characters; see [`split_text`].
    pub fn text(body: &str) -> Self {
        let mut map = Map::new();
        map.insert("type".to_owned(), Value::from("text"));
        map.insert("text".to_owned(), json!({ "body": body }));
        Self { body: map, message_type: "text" }
    }

    /// Checks a body in the shape of the Cloud API. Fields of the envelope are not taken from it.
    pub fn from_json(value: Value) -> Result<Self, Invalid> {
        let Value::Object(mut body) = value else { return Err(invalid("", "is not an object")) };
        for field in ENVELOPE {
            body.remove(field);
        }
        let Some(name) = body.get("type").and_then(Value::as_str) else {
            return Err(invalid("type", "is missing; write the type of the message, such as \"text\""));
        };
        let Some((message_type, check)) = TYPES.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
            return Err(invalid("type", format!("is none of {}", known.join(", "))));
        };
        let Some(object) = body.get(*message_type).filter(|object| object.is_object() || object.is_array())
        else {
            return Err(invalid(
                *message_type,
                format!("is missing; a message of type {message_type} needs it"),
            ));
        };
        check(object)?;
        Ok(Self { body, message_type })
    }

    pub fn as_json(&self) -> &Map<String, Value> {
        &self.body
    }

    pub fn to_json_string(&self) -> String {
        Value::from(self.body.clone()).to_string()
    }

    pub fn message_type(&self) -> &'static str {
        self.message_type
    }

    /// The body of `POST /{phone-number-id}/messages`. `callback_data` comes back in the message's statuses.
    ///
    /// `to` is written with `+`, without which Meta takes the business' own country for granted; where no number is
    /// known, `recipient` names the user id (Meta, send-messages and business-scoped-user-ids).
    pub fn request(&self, to: &Recipient, callback_data: &str) -> Result<Vec<u8>, Invalid> {
        if callback_data.len() > CALLBACK_DATA_LIMIT {
            return Err(invalid("biz_opaque_callback_data", format!("is longer than {CALLBACK_DATA_LIMIT}")));
        }
        let mut request = Map::new();
        request.insert("messaging_product".to_owned(), Value::from("whatsapp"));
        request.insert("recipient_type".to_owned(), Value::from("individual"));
        match (&to.wa_id, &to.user_id) {
            (Some(number), _) => {
                request.insert("to".to_owned(), Value::from(format!("+{}", number.trim_start_matches('+'))));
            }
            (None, Some(user)) => {
                request.insert("recipient".to_owned(), Value::from(user.as_str()));
            }
            (None, None) => return Err(invalid("to", "is missing: neither a number nor a user id is known")),
        }
        request.insert("biz_opaque_callback_data".to_owned(), Value::from(callback_data));
        request.extend(self.body.iter().map(|(name, value)| (name.clone(), value.clone())));
        serde_json::to_vec(&request).map_err(|error| invalid("", error.to_string()))
    }
}

fn check_text(object: &Value) -> Result<(), Invalid> {
    let Some(body) = object.get("body").and_then(Value::as_str) else {
        return Err(invalid("text.body", "is missing; write the text to send"));
    };
    if body.trim().is_empty() {
        return Err(invalid("text.body", "is empty"));
    }
    let length = body.chars().count();
    if length > TEXT_LIMIT {
        return Err(invalid(
            "text.body",
            format!("has {length} characters, at most {TEXT_LIMIT} can be sent"),
        ));
    }
    Ok(())
}

fn check_nothing(_object: &Value) -> Result<(), Invalid> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(to: &Recipient) -> Value {
        let request = OutboundMessage::text("hi").request(to, "id-1").unwrap();
        serde_json::from_slice(&request).unwrap()
    }

    #[test]
    fn the_request_names_the_number_or_else_the_user() {
        let number = Recipient { wa_id: Some("15550100001".into()), user_id: Some("US.1".into()) };
        assert_eq!(
            sent(&number),
            json!({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+15550100001",
                "type": "text", "text": {"body": "hi"}, "biz_opaque_callback_data": "id-1"
            })
        );
        let user = Recipient { wa_id: None, user_id: Some("US.1".into()) };
        assert_eq!((sent(&user)["recipient"].clone(), sent(&user).get("to").cloned()), (json!("US.1"), None));
        let nobody = OutboundMessage::text("hi").request(&Recipient::default(), "id").unwrap_err();
        assert_eq!(nobody.field, "to");
    }

    #[test]
    fn a_caller_cannot_redirect_a_message() {
        let message = OutboundMessage::from_json(json!({
            "type": "text", "text": {"body": "hi"}, "to": "+1", "recipient": "x", "biz_opaque_callback_data": "mine",
            "context": {"message_id": "wamid.1"}
        }))
        .unwrap();
        let to = Recipient { wa_id: Some("2".into()), user_id: None };
        let request: Value = serde_json::from_slice(&message.request(&to, "ours").unwrap()).unwrap();
        assert_eq!((&request["to"], &request["biz_opaque_callback_data"]), (&json!("+2"), &json!("ours")));
        assert_eq!(request["context"]["message_id"], "wamid.1");
        assert!(request.get("recipient").is_none());
    }

    #[test]
    fn what_is_refused_names_the_field() {
        for (body, field) in [
            (json!([]), ""),
            (json!({}), "type"),
            (json!({"type": 1}), "type"),
            (json!({"type": "telegram"}), "type"),
            (json!({"type": "text"}), "text"),
            (json!({"type": "text", "text": "hi"}), "text"),
            (json!({"type": "text", "text": {}}), "text.body"),
            (json!({"type": "text", "text": {"body": " "}}), "text.body"),
            (json!({"type": "text", "text": {"body": "é".repeat(4097)}}), "text.body"),
            (json!({"type": "image"}), "image"),
        ] {
            assert_eq!(OutboundMessage::from_json(body.clone()).unwrap_err().field, field, "{body}");
        }
        OutboundMessage::from_json(json!({"type": "text", "text": {"body": "😀".repeat(4096)}})).unwrap();
        OutboundMessage::from_json(json!({"type": "image", "image": {"id": "1"}})).unwrap();
    }
}
