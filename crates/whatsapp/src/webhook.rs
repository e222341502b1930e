//! Takes a webhook apart into its items, each with its exact JSON text. Whatever is not as documented is
//! kept as far as it can be told apart, and never costs the items beside it.

/// Declares objects of the envelope, of which every field is optional and keeps its text. Stands before the modules that
/// use it, too.
macro_rules! envelope {
    ($($name:ident { $($field:ident),+ })+) => {
        $(#[derive(Default, Deserialize)]
        #[serde(default)]
        struct $name<'a> {
            $(#[serde(borrow)]
            $field: Option<&'a RawValue>,)+
        })+
    };
}

mod contacts;
mod numbers;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use self::numbers::each_number;

use self::contacts::Contacts;
use crate::{
    error::GraphError,
    message::{InboundMessage, Unreadable},
    raw::{elements, fields, given, object, objects, text},
    status::Status,
};

/// The largest body that Meta sends (Meta, webhooks overview: 3 MB).
pub const MAX_BYTES: usize = 3 * 1024 * 1024;

/// The only `object` whose entries are read.
const OBJECT: &str = "whatsapp_business_account";
/// The field whose changes hold messages and statuses.
const MESSAGES: &str = "messages";
/// The field whose changes hold what a person of the business typed on the phone (Meta, coexistence).
const ECHOES: &str = "smb_message_echoes";

/// The body is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the body is not JSON: send the webhook exactly as Meta does")]
pub struct NotJson;

/// One POST of Meta, up to 1,000 items.
#[derive(Debug)]
pub struct Webhook<'a> {
    /// `whatsapp_business_account`; with any other, no items are read.
    pub object: Option<Cow<'a, str>>,
    pub items: Vec<Item<'a>>,
}

/// One update.
pub struct Item<'a> {
    /// The WhatsApp Business Account, from `entry.id`.
    pub waba_id: Option<Cow<'a, str>>,
    /// Absent from changes of the account as a whole.
    pub phone_number_id: Option<Cow<'a, str>>,
    pub display_phone_number: Option<Cow<'a, str>>,
    /// The change's field; empty when Meta left it out.
    pub field: Cow<'a, str>,
    pub kind: ItemKind,
    /// The JSON text, byte for byte: of one message, status or error, else of the change's value.
    pub raw: &'a str,
}

/// What an item is.
#[derive(Debug)]
pub enum ItemKind {
    Message(Box<InboundMessage>),
    Status(Box<Status>),
    /// A message that a person of the business typed on the phone.
    Echo(Box<Echo>),
    /// An error of the account, the app or Meta itself.
    Error(GraphError),
    /// A change of any other field.
    Change,
    /// An item of the field `messages` that can't be typed, and what is wrong with it.
    Unreadable(String),
}

/// See [`ItemKind::Echo`].
#[derive(Debug)]
pub struct Echo {
    pub message: InboundMessage,
    /// The phone number of the person it was written to.
    pub to: String,
}

envelope! {
    Body { object, entry }
    Entry { id, changes }
    Change { field, value }
    Value { metadata, contacts, messages, statuses, errors, message_echoes }
    Addressed { to }
    Metadata { phone_number_id, display_phone_number }
}

/// Takes `body` apart. Only what is not JSON (or not UTF-8) is an error.
pub fn parse(body: &[u8]) -> Result<Webhook<'_>, NotJson> {
    let json = std::str::from_utf8(body).map_err(|_| NotJson)?;
    let body: Body<'_> = match object(json) {
        Ok(body) => body,
        Err(_) => serde_json::from_str::<&RawValue>(json).map(|_| Body::default()).map_err(|_| NotJson)?,
    };
    let mut webhook = Webhook { object: text(body.object), items: Vec::new() };
    if webhook.object.as_deref() != Some(OBJECT) {
        return Ok(webhook);
    }
    for entry in objects::<Entry<'_>>(body.entry) {
        let waba_id = given(entry.id);
        for change in objects::<Change<'_>>(entry.changes) {
            read_change(waba_id.as_ref(), &change, &mut webhook.items);
        }
    }
    Ok(webhook)
}

fn read_change<'a>(waba_id: Option<&Cow<'a, str>>, change: &Change<'a>, items: &mut Vec<Item<'a>>) {
    if change.field.is_none() && change.value.is_none() {
        return;
    }
    let value: Value<'a> = fields(change.value);
    let metadata: Metadata<'a> = fields(value.metadata);
    let phone_number_id = given(metadata.phone_number_id);
    let display_phone_number = given(metadata.display_phone_number);
    let field = text(change.field).unwrap_or_default();
    let (is_messages, is_echoes) = (field == MESSAGES, field == ECHOES);
    let mut push = |kind, raw| {
        items.push(Item {
            waba_id: waba_id.cloned(),
            phone_number_id: phone_number_id.clone(),
            display_phone_number: display_phone_number.clone(),
            field: field.clone(),
            kind,
            raw,
        });
    };
    let found =
        is_messages && read_messages(&value, &mut push) || is_echoes && read_echoes(&value, &mut push);
    if !found {
        push(ItemKind::Change, change.value.map_or("null", RawValue::get));
    }
}

/// Pushes the items of a `messages` value, and tells whether there were any.
fn read_messages<'a>(value: &Value<'a>, push: &mut impl FnMut(ItemKind, &'a str)) -> bool {
    let mut found = false;
    let mut each = |list: Option<&'a RawValue>,
                    read: &dyn Fn(&'a str, usize) -> Result<ItemKind, Unreadable>| {
        let Some(list) = list else { return };
        if !list.get().starts_with('[') {
            found = true;
            push(ItemKind::Unreadable("not a list".to_owned()), list.get());
            return;
        }
        let items = elements(Some(list));
        for item in &items {
            found = true;
            let kind = read(item.get(), items.len());
            push(kind.unwrap_or_else(|Unreadable(problem)| ItemKind::Unreadable(problem)), item.get());
        }
    };
    let contacts = Contacts::read(value.contacts);
    each(value.messages, &|json, count| {
        let mut message = InboundMessage::from_json(json)?;
        contacts.complete(&mut message.contact, count);
        Ok(ItemKind::Message(Box::new(message)))
    });
    each(value.statuses, &|json, _| Ok(ItemKind::Status(Box::new(Status::from_json(json)?))));
    each(value.errors, &|json, _| Ok(ItemKind::Error(GraphError::from_json(json)?)));
    found
}

/// The same for a value of the echoes.
fn read_echoes<'a>(value: &Value<'a>, push: &mut impl FnMut(ItemKind, &'a str)) -> bool {
    let echoes = elements(value.message_echoes);
    for echo in &echoes {
        let kind = read_echo(echo.get()).map(|echo| ItemKind::Echo(Box::new(echo)));
        push(kind.unwrap_or_else(|Unreadable(problem)| ItemKind::Unreadable(problem)), echo.get());
    }
    !echoes.is_empty()
}

fn read_echo(json: &str) -> Result<Echo, Unreadable> {
    let message = InboundMessage::from_json(json)?;
    let to = given(object::<Addressed<'_>>(json)?.to);
    let to = to.ok_or_else(|| Unreadable("an echo that does not say to whom".to_owned()))?.into_owned();
    Ok(Echo { message, to })
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
