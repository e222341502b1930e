//! A message that a person sent to a business (Meta, webhooks messages).

mod contact;
mod content;
mod wire;

use serde::Serialize;

pub use self::{
    contact::Contact,
    content::{Content, InteractiveReply},
};
use crate::{error::GraphError, raw};

/// One item of `value.messages`. The typed core: whatever else Meta sent is in the item's raw text.
#[derive(Clone, PartialEq)]
pub struct InboundMessage {
    /// Meta's id of the message (wamid).
    pub id: String,
    /// The phone number; absent for people who hide it behind a username.
    pub from: Option<String>,
    /// Unix seconds.
    pub timestamp: Option<i64>,
    /// Meta's `type`. Not bounded: see [`InboundMessage::type_label`].
    pub message_type: String,
    pub group_id: Option<String>,
    pub contact: Contact,
    /// What it answers or where it was forwarded from.
    pub context: Option<Context>,
    /// The file of an image, video, audio, document or sticker.
    pub media: Option<Media>,
    pub content: Content,
    /// Why Meta could not hand over the message, such as 131051 for an unsupported one.
    pub errors: Vec<GraphError>,
}

/// What a message refers to.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Context {
    /// Who sent the quoted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The wamid of the quoted message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub forwarded: bool,
    pub frequently_forwarded: bool,
    /// The product that the person asks about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referred_product: Option<ReferredProduct>,
}

/// A product of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferredProduct {
    pub catalog_id: Option<String>,
    pub product_retailer_id: Option<String>,
}

/// A file at Meta: fetched with its id, for seven days.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Media {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// Whether the audio was recorded as a voice message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<bool>,
    /// Whether the sticker moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub animated: Option<bool>,
}

/// Why an item can't be read. Never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// The types of Meta's documentation: the bounded set behind [`InboundMessage::type_label`].
const KNOWN_TYPES: &[&str] = &[
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "reaction",
    "order",
    "system",
    "edit",
    "revoke",
    "unsupported",
    "unknown",
    "request_welcome",
];

impl InboundMessage {
    /// Reads one item of `value.messages`. The contact is what the message itself says: names are in
    /// `value.contacts`, which [`crate::webhook::parse`] merges.
    pub fn from_json(json: &str) -> Result<Self, Unreadable> {
        raw::object::<wire::Message>(json)?.into_message()
    }

    /// What the person said, as they saw it: the body, the caption, or the title of the chosen reply.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text { body } => Some(body),
            Content::Button { text, .. } => text.as_deref(),
            Content::Interactive(
                InteractiveReply::Button { title, .. } | InteractiveReply::List { title, .. },
            ) => title.as_deref(),
            Content::Interactive(InteractiveReply::Form { body, .. }) => body.as_deref(),
            Content::Media => self.media.as_ref()?.caption.as_deref(),
            _ => None,
        }
    }

    /// The type if Meta documents it, else `other`: a bounded label for metrics.
    pub fn type_label(&self) -> &'static str {
        KNOWN_TYPES.iter().copied().find(|known| *known == self.message_type).unwrap_or("other")
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
