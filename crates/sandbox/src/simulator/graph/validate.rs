//! Decides what a body of `POST /{phone_number_id}/messages` asks for, and refuses it as Meta would.

use serde_json::Value;

use super::error::GraphError;
use crate::simulator::options::digits;

/// What the body asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Send(Outgoing),
    /// Blue ticks for a person's message, and "typing…" if asked for.
    MarkRead {
        message_id: String,
        typing: bool,
    },
}

/// A message that may go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// As the caller spelt it: the `input` of the answer.
    pub(crate) input: String,
    pub(crate) recipient: Recipient,
    pub(crate) kind: String,
    /// What a person reads: body, caption, or the like. Empty when there is nothing to read.
    pub(crate) text: String,
    pub(crate) callback_data: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// Digits of a phone number.
    Phone(String),
    /// A business-scoped user id such as `US.13491208655302741918`.
    UserId(String),
}

impl Recipient {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Phone(id) | Self::UserId(id) => id,
        }
    }
}

const TYPES: &[&str] = &[
    "text",
    "image",
    "audio",
    "video",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
    "template",
    "pin",
];

pub(crate) fn validate(body: &[u8]) -> Result<(Command, Value), GraphError> {
    let body: Value = serde_json::from_slice(body).map_err(|_| GraphError::malformed_json())?;
    if !body.is_object() {
        return Err(GraphError::malformed_json());
    }
    let command = command(&body)?;
    Ok((command, body))
}

fn command(body: &Value) -> Result<Command, GraphError> {
    match body.get("messaging_product") {
        None | Some(Value::Null) => return Err(GraphError::required("messaging_product")),
        Some(Value::String(product)) if product == "whatsapp" => {}
        Some(_) => {
            return Err(GraphError::parameter("Param messaging_product must be one of {WHATSAPP}"));
        }
    }
    if body.get("status").is_some() {
        return mark_read(body);
    }
    let (input, recipient) = recipient(body)?;
    if let Some(kind) = body.get("recipient_type")
        && !matches!(kind.as_str(), Some("individual" | "group"))
    {
        return Err(GraphError::parameter("Param recipient_type must be one of {INDIVIDUAL, GROUP}"));
    }
    let kind = match body.get("type") {
        // Meta takes a text without a type for a text.
        None | Some(Value::Null) if body.get("text").is_some() => "text",
        None | Some(Value::Null) => return Err(GraphError::required("type")),
        Some(kind) => {
            kind.as_str().and_then(|kind| TYPES.iter().find(|known| **known == kind)).ok_or_else(|| {
                GraphError::parameter(format!("Param type must be one of {{{}}}", TYPES.join(", ")))
            })?
        }
    };
    let content = match body.get(kind) {
        None | Some(Value::Null) => return Err(GraphError::required(kind)),
        Some(content) => content,
    };
    let text = content_text(kind, content)?;
    let callback_data = match body.get("biz_opaque_callback_data") {
        None | Some(Value::Null) => None,
        Some(Value::String(data)) if data.chars().count() <= 512 => Some(data.clone()),
        Some(_) => {
            return Err(GraphError::parameter(
                "Param biz_opaque_callback_data must be a string of at most 512 characters",
            ));
        }
    };
    Ok(Command::Send(Outgoing { input, recipient, kind: kind.to_owned(), text, callback_data }))
}

fn mark_read(body: &Value) -> Result<Command, GraphError> {
    if body["status"] != "read" {
        return Err(GraphError::parameter("Param status must be one of {READ}"));
    }
    let message_id = match body.get("message_id").and_then(Value::as_str) {
        None => return Err(GraphError::required("message_id")),
        Some(id) if id.starts_with("wamid.") => id.to_owned(),
        Some(_) => return Err(GraphError::value("Param message_id is not a valid message id")),
    };
    let typing = match body.get("typing_indicator") {
        None | Some(Value::Null) => false,
        Some(indicator) if indicator["type"] == "text" => true,
        Some(_) => return Err(GraphError::parameter("Param typing_indicator['type'] must be one of {TEXT}")),
    };
    Ok(Command::MarkRead { message_id, typing })
}

/// `to` wins over `recipient` when both are there.
fn recipient(body: &Value) -> Result<(String, Recipient), GraphError> {
    let text_of = |name| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(GraphError::parameter(format!("Param {name} must be a string"))),
    };
    if let Some(to) = text_of("to")? {
        if body["recipient_type"] == "group" {
            return Ok((to.to_owned(), Recipient::UserId(to.to_owned())));
        }
        let number = digits(to);
        let only_number = to.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c));
        if !only_number || !(5..=15).contains(&number.len()) {
            return Err(GraphError::value("Parameter 'to' is not a valid phone number"));
        }
        return Ok((to.to_owned(), Recipient::Phone(number)));
    }
    match text_of("recipient")? {
        Some(id) if is_user_id(id) => Ok((id.to_owned(), Recipient::UserId(id.to_owned()))),
        Some(_) => Err(GraphError::value("Parameter 'recipient' is not a valid business-scoped user id")),
        None => Err(GraphError::required("to")),
    }
}

fn is_user_id(id: &str) -> bool {
    id.split_once('.').is_some_and(|(country, rest)| {
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && (1..=135).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    })
}

/// Checks the type's own object and answers what a person would read of it.
fn content_text(kind: &str, content: &Value) -> Result<String, GraphError> {
    let object = || {
        content
            .as_object()
            .ok_or_else(|| GraphError::parameter(format!("Param {kind} must be a JSON object")))
    };
    match kind {
        "text" => {
            object()?;
            required_text(content, "text", "body", 4096)
        }
        "image" | "audio" | "video" | "document" | "sticker" => {
            object()?;
            if content["id"].as_str().is_none() && content["link"].as_str().is_none() {
                return Err(GraphError::missing(&format!("{kind}['id'] or {kind}['link']")));
            }
            optional_text(content, kind, "caption", 1024)
        }
        "location" => {
            object()?;
            for field in ["latitude", "longitude"] {
                let number = &content[field];
                if !number.is_number() && number.as_str().is_none_or(|text| text.parse::<f64>().is_err()) {
                    return Err(GraphError::missing(&format!("location['{field}']")));
                }
            }
            Ok(content["name"].as_str().unwrap_or_default().to_owned())
        }
        "contacts" => match content.as_array().map(Vec::len) {
            Some(1..=257) => Ok(content[0]["name"]["formatted_name"].as_str().unwrap_or_default().to_owned()),
            _ => Err(GraphError::parameter("Param contacts must be a list of 1 to 257 items")),
        },
        "reaction" => {
            object()?;
            required_text(content, "reaction", "message_id", 4096)?;
            Ok(content["emoji"].as_str().unwrap_or_default().to_owned())
        }
        "interactive" => {
            object()?;
            interactive_text(content)
        }
        "template" => {
            object()?;
            let name = required_text(content, "template", "name", 512)?;
            match content["language"]["code"].as_str() {
                Some(_) => Ok(name),
                None => Err(GraphError::missing("template['language']['code']")),
            }
        }
        _ => object().map(|_| String::new()),
    }
}

fn interactive_text(interactive: &Value) -> Result<String, GraphError> {
    let kind = required_text(interactive, "interactive", "type", 64)?;
    let body_limit = if kind == "list" { 4096 } else { 1024 };
    let text = match interactive.get("body") {
        None | Some(Value::Null) if matches!(kind.as_str(), "product" | "catalog_message") => String::new(),
        body => required_text(body.unwrap_or(&Value::Null), "interactive['body']", "text", body_limit)?,
    };
    optional_text(&interactive["footer"], "interactive['footer']", "text", 60)?;
    let action = &interactive["action"];
    if !action.is_object() {
        return Err(GraphError::missing("interactive['action']"));
    }
    match kind.as_str() {
        "button" => {
            let buttons = action["buttons"].as_array().map_or(&[][..], Vec::as_slice);
            if !(1..=3).contains(&buttons.len()) {
                return Err(GraphError::value(
                    "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3",
                ));
            }
            for button in buttons {
                required_text(&button["reply"], "interactive['action']['buttons']['reply']", "title", 20)?;
                required_text(&button["reply"], "interactive['action']['buttons']['reply']", "id", 256)?;
            }
        }
        "list" => {
            required_text(action, "interactive['action']", "button", 20)?;
            let sections = action["sections"].as_array().map_or(&[][..], Vec::as_slice);
            let rows: Vec<&Value> =
                sections.iter().filter_map(|section| section["rows"].as_array()).flatten().collect();
            if !(1..=10).contains(&sections.len()) || !(1..=10).contains(&rows.len()) {
                return Err(GraphError::value("Total row count exceed max allowed count: 10"));
            }
            for row in rows {
                required_text(row, "interactive['action']['sections']['rows']", "title", 24)?;
                required_text(row, "interactive['action']['sections']['rows']", "id", 200)?;
                optional_text(row, "interactive['action']['sections']['rows']", "description", 72)?;
            }
        }
        _ => {}
    }
    Ok(text)
}

fn required_text(object: &Value, path: &str, field: &str, limit: usize) -> Result<String, GraphError> {
    match object.get(field) {
        None | Some(Value::Null) => Err(GraphError::missing(&format!("{path}['{field}']"))),
        Some(Value::String(text)) if text.is_empty() => {
            Err(GraphError::parameter(format!("Param {path}['{field}'] cannot be empty")))
        }
        Some(_) => optional_text(object, path, field, limit),
    }
}

fn optional_text(object: &Value, path: &str, field: &str, limit: usize) -> Result<String, GraphError> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) if text.chars().count() <= limit => Ok(text.clone()),
        Some(Value::String(_)) => Err(GraphError::parameter(format!(
            "Param {path}['{field}'] must be at most {limit} characters long."
        ))),
        Some(_) => Err(GraphError::parameter(format!("Param {path}['{field}'] must be a string"))),
    }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
