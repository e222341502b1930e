//! What a person does on the phone: says something, looks at a chat.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    clock,
    phone::{ChatMessage, DeliveryStatus, Direction},
    shared::Shared,
    statuses::{self, SentMessage},
    wamid::{self, Author},
    webhooks::{
        self, Delivery,
        body::{Item, MessageItem},
    },
};

/// WhatsApp itself lets people write this much.
const LONGEST: usize = 65_536;

/// Something that a person says: a `text`, or a whole `message` as a webhook carries it
/// (`{"type": "image", "image": {…}, "context": {…}}`), without id, sender and time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saying {
    pub(crate) wa_id: String,
    #[serde(default)]
    pub(crate) text: Option<String>,
    #[serde(default)]
    pub(crate) message: Option<Value>,
    /// To which business number; left out: the first one.
    #[serde(default)]
    pub(crate) phone_number_id: Option<String>,
}

/// Puts the message into the chat and its webhook on the way. Answers the new id.
pub(crate) fn say(shared: &Arc<Shared>, saying: &Saying) -> Result<String, String> {
    let number = match &saying.phone_number_id {
        None => 0,
        Some(id) => shared.number(id).ok_or("the business has no number with this phone_number_id")?,
    };
    let from = shared.phone.contact(&saying.wa_id).ok_or("nobody has this number, add the contact first")?;
    let (kind, content, extra) = match (&saying.text, &saying.message) {
        (Some(text), None) if text.trim().is_empty() => {
            return Err("text is empty, write something".to_owned());
        }
        (Some(text), None) if text.chars().count() > LONGEST => {
            return Err(format!("text is longer than {LONGEST} characters, write less"));
        }
        (Some(text), None) => ("text".to_owned(), json!({ "body": text }), Value::Null),
        (None, Some(message)) => parts(message)?,
        _ => return Err("give either a text or a message".to_owned()),
    };
    let id = wamid::fresh(&from.wa_id, Author::Person);
    let item = MessageItem::new(number, &from, &id, &kind, &content, &extra);
    let text = [&content["body"], &content["caption"], &content["emoji"], &content["text"]]
        .into_iter()
        .chain([&content["button_reply"]["title"], &content["list_reply"]["title"]])
        .find_map(Value::as_str);
    shared.phone.put(
        &from.wa_id,
        ChatMessage {
            id: id.clone(),
            direction: Direction::Out,
            text: text.unwrap_or_default().to_owned(),
            at: clock::unix_millis(),
            status: DeliveryStatus::Pending,
            error: None,
            content: (kind != "text").then(|| content.clone()),
            kind,
        },
    );
    let items = vec![Item::Message(Arc::new(item))];
    webhooks::submit(shared, Delivery { items, lane: from.wa_id, accepted: None });
    Ok(id)
}

/// Type, the type's own object, and everything else.
fn parts(message: &Value) -> Result<(String, Value, Value), String> {
    let mut rest = message.as_object().cloned().ok_or("message is no JSON object")?;
    let kind = match rest.remove("type") {
        Some(Value::String(kind)) => kind,
        _ => return Err("message.type is missing".to_owned()),
    };
    let content = rest.remove(&kind).ok_or_else(|| format!("message.{kind} is missing"))?;
    Ok((kind, content, Value::Object(rest)))
}

/// The person looks at the chat: the ticks turn blue, and the business is told. Answers the ids.
pub(crate) fn open(shared: &Arc<Shared>, wa_id: Option<&str>) -> Vec<String> {
    let Some(read) = shared.phone.open(wa_id) else { return Vec::new() };
    let user_id = shared.phone.contact(&read.wa_id).map(|contact| contact.user_id);
    for id in &read.ids {
        let sent = shared.records.messages_where(|message| message.wamid == *id).pop();
        let Some(sent) = sent else { continue };
        statuses::send_read(
            shared,
            &SentMessage {
                number: shared.number(&sent.phone_number_id).unwrap_or_default(),
                id: id.clone(),
                recipient_id: read.wa_id.clone(),
                recipient_user_id: user_id.clone(),
                callback_data: sent.callback_data,
            },
        );
    }
    read.ids
}
