//! What is refused before it is stored: what Meta would refuse for certain, and what is not the caller's to say.

use serde_json::{Map, Value};

use super::{Invalid, TEXT_LIMIT, invalid};

/// Checks the part of a message that has the name of its type.
type Check = fn(&'static str, &Value) -> Result<(), Invalid>;

/// The types that can be sent. Those without limits here only need the object; Meta checks the rest.
const TYPES: &[(&str, Check)] = &[
    ("text", text),
    ("image", object),
    ("audio", object),
    ("video", object),
    ("document", object),
    ("sticker", object),
    ("location", object),
    ("contacts", contacts),
    ("reaction", object),
    ("interactive", object),
    ("template", object),
];

/// What the envelope holds, and the only value that may stand there, if any. `status` makes a read receipt of the
/// whole request, and no message.
const ENVELOPE: [(&str, Option<&str>); 6] = [
    ("messaging_product", Some("whatsapp")),
    ("recipient_type", Some("individual")),
    ("to", None),
    ("recipient", None),
    ("biz_opaque_callback_data", None),
    ("status", None),
];

/// Takes the fields of the envelope out of `body` where they say what is sent anyway.
pub(super) fn take_envelope(body: &mut Map<String, Value>) -> Result<(), Invalid> {
    for (field, only) in ENVELOPE {
        match (body.remove(field), only) {
            (None | Some(Value::Null), _) => {}
            (Some(Value::String(value)), Some(only)) if value == only => {}
            (Some(_), Some(only)) => return Err(invalid(field, format!("is not {only}: leave it out"))),
            (Some(_), None) => {
                return Err(invalid(field, "can't be chosen for this message: leave it out"));
            }
        }
    }
    Ok(())
}

/// The type of a message whose parts are in order.
pub(super) fn message(body: &Map<String, Value>) -> Result<&'static str, Invalid> {
    let Some(name) = body.get("type").and_then(Value::as_str) else {
        return Err(invalid("type", "is missing; write the type of the message, such as \"text\""));
    };
    let Some((message_type, check)) = TYPES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
        return Err(invalid("type", format!("is none of {}", known.join(", "))));
    };
    let Some(part) = body.get(*message_type) else {
        return Err(invalid(*message_type, format!("is missing; a message of type {message_type} needs it")));
    };
    check(message_type, part)?;
    body.get("context").map_or(Ok(()), context)?;
    Ok(message_type)
}

/// At most `limit` characters, whatever they take in bytes.
pub(super) fn characters(field: &str, text: &str, limit: usize) -> Result<(), Invalid> {
    // There are never more characters than bytes, and the bytes need no counting.
    if text.len() <= limit {
        return Ok(());
    }
    match text.chars().count() {
        count if count <= limit => Ok(()),
        count => Err(invalid(field, format!("has {count} characters, at most {limit} can be sent"))),
    }
}

fn object(field: &'static str, part: &Value) -> Result<(), Invalid> {
    if part.is_object() { Ok(()) } else { Err(invalid(field, "is not an object")) }
}

fn text(field: &'static str, part: &Value) -> Result<(), Invalid> {
    object(field, part)?;
    let Some(body) = part.get("body").and_then(Value::as_str) else {
        return Err(invalid("text.body", "is missing; write the text to send"));
    };
    if body.trim().is_empty() {
        return Err(invalid("text.body", "is empty"));
    }
    characters("text.body", body, TEXT_LIMIT)
}

fn contacts(field: &'static str, part: &Value) -> Result<(), Invalid> {
    match part.as_array() {
        Some(list) if !list.is_empty() && list.iter().all(Value::is_object) => Ok(()),
        _ => Err(invalid(field, "is not a list of at least one contact")),
    }
}

/// What the message quotes.
fn context(part: &Value) -> Result<(), Invalid> {
    object("context", part)?;
    match part.get("message_id").and_then(Value::as_str) {
        Some(id) if !id.is_empty() => Ok(()),
        _ => Err(invalid("context.message_id", "is missing; write the id of the message to quote")),
    }
}
