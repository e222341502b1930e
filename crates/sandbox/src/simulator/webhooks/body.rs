//! The bodies of webhooks, in the documented shape and in the bytes that Meta signs: everything beyond ASCII escaped.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::simulator::{clock, options::BusinessNumber, phone::Contact};

/// One thing that a webhook tells.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Message(Arc<MessageItem>),
    Status(StatusItem),
}

/// Something that a person said.
#[derive(Debug)]
pub(crate) struct MessageItem {
    /// Index of the business number it was said to.
    pub(crate) number: usize,
    pub(crate) wa_id: String,
    pub(crate) id: String,
    contact: Value,
    message: Value,
}

/// What became of something the business said.
#[derive(Debug, Clone)]
pub(crate) struct StatusItem {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) status: StatusKind,
    pub(crate) timestamp: u64,
    pub(crate) recipient_id: String,
    pub(crate) recipient_user_id: Option<String>,
    pub(crate) callback_data: Option<String>,
    /// Code and title of why it failed.
    pub(crate) error: Option<(i64, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StatusKind {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl MessageItem {
    /// `content` is the type's own object, `kind` its name; `extra` are further members such as `context`.
    pub(crate) fn new(
        number: usize,
        from: &Contact,
        id: &str,
        kind: &str,
        content: &Value,
        extra: &Value,
    ) -> Self {
        let contact = serde_json::json!({
            "profile": {"name": from.name}, "wa_id": from.wa_id, "user_id": from.user_id,
        });
        let mut message = serde_json::json!({
            "from": from.wa_id, "from_user_id": from.user_id, "id": id,
            "timestamp": clock::unix_seconds().to_string(), "type": kind,
        });
        message[kind] = content.clone();
        for (name, value) in extra.as_object().into_iter().flatten() {
            message[name.as_str()] = value.clone();
        }
        Self { number, wa_id: from.wa_id.clone(), id: id.to_owned(), contact, message }
    }
}

/// Renders a batch: one change per business number and kind, in the order in which they first appear.
pub(crate) fn render(waba_id: &str, numbers: &[BusinessNumber], items: &[Item]) -> Vec<u8> {
    let mut changes: Vec<Change<'_>> = Vec::new();
    for item in items {
        let (number, is_status) = match item {
            Item::Message(message) => (message.number, false),
            Item::Status(status) => (status.number, true),
        };
        let at = changes.iter().position(|change| change.number == number && change.is_status == is_status);
        let at = at.unwrap_or_else(|| {
            changes.push(Change::new(number, is_status, &numbers[number]));
            changes.len() - 1
        });
        let value = &mut changes[at].value;
        match item {
            Item::Message(message) => {
                if !value.contacts.contains(&&message.contact) {
                    value.contacts.push(&message.contact);
                }
                value.messages.push(&message.message);
            }
            Item::Status(status) => value.statuses.push(StatusOut::new(status)),
        }
    }
    let body = Envelope { object: "whatsapp_business_account", entry: [Entry { id: waba_id, changes }] };
    // Only maps with keys that are no strings could fail here.
    escape_beyond_ascii(serde_json::to_string(&body).unwrap_or_default())
}

/// `ä` becomes `\u00e4`, an emoji a pair of surrogates: lowercase hex, as Meta writes it.
pub(crate) fn escape_beyond_ascii(json: String) -> Vec<u8> {
    if json.is_ascii() {
        return json.into_bytes();
    }
    let mut escaped = Vec::with_capacity(json.len() + json.len() / 4);
    let mut units = [0; 2];
    for character in json.chars() {
        if let Ok(byte) = u8::try_from(character)
            && byte.is_ascii()
        {
            escaped.push(byte);
            continue;
        }
        for unit in character.encode_utf16(&mut units) {
            escaped.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                escaped.push(b"0123456789abcdef"[usize::from((*unit >> shift) & 15)]);
            }
        }
    }
    escaped
}

#[derive(Serialize)]
struct Envelope<'a> {
    object: &'a str,
    entry: [Entry<'a>; 1],
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    changes: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    #[serde(skip)]
    number: usize,
    #[serde(skip)]
    is_status: bool,
    value: ChangeValue<'a>,
    field: &'a str,
}

#[derive(Serialize)]
struct ChangeValue<'a> {
    messaging_product: &'a str,
    metadata: Metadata<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contacts: Vec<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<&'a Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<StatusOut<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    display_phone_number: String,
    phone_number_id: &'a str,
}

impl<'a> Change<'a> {
    fn new(number: usize, is_status: bool, business: &'a BusinessNumber) -> Self {
        let metadata =
            Metadata { display_phone_number: business.digits(), phone_number_id: &business.phone_number_id };
        let value = ChangeValue {
            messaging_product: "whatsapp",
            metadata,
            contacts: Vec::new(),
            messages: Vec::new(),
            statuses: Vec::new(),
        };
        Self { number, is_status, value, field: "messages" }
    }
}

#[derive(Serialize)]
struct StatusOut<'a> {
    id: &'a str,
    status: StatusKind,
    timestamp: String,
    recipient_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    biz_opaque_callback_data: Option<&'a str>,
    // There is no `conversation` since v24.0; the price comes with `sent` and with one of the later two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[StatusError; 1]>,
}

#[derive(Serialize)]
struct Pricing {
    billable: bool,
    pricing_model: &'static str,
    category: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct StatusError {
    code: i64,
    title: &'static str,
    message: &'static str,
    error_data: ErrorData,
    href: &'static str,
}

#[derive(Serialize)]
struct ErrorData {
    details: &'static str,
}

impl<'a> StatusOut<'a> {
    fn new(status: &'a StatusItem) -> Self {
        let pricing = matches!(status.status, StatusKind::Sent | StatusKind::Delivered).then_some(Pricing {
            billable: false,
            pricing_model: "PMP",
            category: "service",
            kind: "free_customer_service",
        });
        Self {
            id: &status.id,
            status: status.status,
            timestamp: status.timestamp.to_string(),
            recipient_id: &status.recipient_id,
            recipient_user_id: status.recipient_user_id.as_deref(),
            biz_opaque_callback_data: status.callback_data.as_deref(),
            pricing,
            errors: status.error.map(|(code, title)| {
                [StatusError {
                    code,
                    title,
                    message: title,
                    error_data: ErrorData { details: title },
                    href: "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
                }]
            }),
        }
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
