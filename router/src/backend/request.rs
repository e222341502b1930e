//! The body of `POST /process`: a backend that only knows `text` works; one that wants more has `message`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use whatsapp::message::{Context, InboundMessage, Media};

use crate::store::{Contact, MessageId};

#[derive(Debug, Serialize)]
struct ProcessRequest<'a> {
    text: Cow<'a, str>,
    /// The newest.
    message: Option<&'a Message<'a>>,
    /// All of a burst, in order; only where the route waits for bursts.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<&'a Vec<Message<'a>>>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    /// Meta's id, which a reply can quote.
    id: &'a str,
    /// Our id: the same as in `Idempotency-Key` and in the router's API.
    router_id: String,
    #[serde(rename = "type")]
    message_type: &'a str,
    channel: &'a str,
    phone_number_id: &'a str,
    contact: ContactOut<'a>,
    /// Unix seconds, when the person sent it.
    timestamp: Option<i64>,
    context: Option<&'a Context>,
    media: Option<&'a Media>,
    raw: &'a RawValue,
}

#[derive(Debug, Serialize)]
struct ContactOut<'a> {
    /// The conversation key: stable for this contact on this channel.
    id: &'a str,
    wa_id: Option<&'a str>,
    user_id: Option<&'a str>,
    username: Option<&'a str>,
    name: Option<&'a str>,
}

/// One message of a call.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    pub id: MessageId,
    pub message: &'a InboundMessage,
    pub raw: &'a str,
}

/// Everything that a call is made from.
#[derive(Debug)]
pub struct Call<'a> {
    pub channel: &'a str,
    pub phone_number_id: &'a str,
    pub contact: &'a Contact,
    /// Oldest first; the last one is the `message`.
    pub parts: &'a [Part<'a>],
    /// Whether the backend is told `messages`.
    pub is_burst: bool,
}

impl<'a> Call<'a> {
    /// The JSON to send. Fails only if `raw` is no JSON, which the store never holds.
    pub fn body(&self) -> Result<Vec<u8>, serde_json::Error> {
        let messages = self.parts.iter().map(|part| self.message(part)).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<_> = self
            .parts
            .iter()
            .filter_map(|part| part.message.text())
            .filter(|text| !text.is_empty())
            .collect();
        let request = ProcessRequest {
            text: match texts[..] {
                [text] => Cow::Borrowed(text),
                _ => Cow::Owned(texts.join("\n")),
            },
            message: messages.last(),
            messages: self.is_burst.then_some(&messages),
        };
        serde_json::to_vec(&request)
    }

    fn message(&self, part: &Part<'a>) -> Result<Message<'a>, serde_json::Error> {
        let message = part.message;
        Ok(Message {
            id: &message.id,
            router_id: part.id.to_string(),
            message_type: &message.message_type,
            channel: self.channel,
            phone_number_id: self.phone_number_id,
            contact: ContactOut {
                id: &self.contact.key,
                wa_id: self.contact.wa_id.as_deref(),
                user_id: self.contact.user_id.as_deref(),
                username: self.contact.username.as_deref(),
                name: self.contact.name.as_deref(),
            },
            timestamp: message.timestamp,
            context: message.context.as_ref(),
            media: message.media.as_ref(),
            raw: serde_json::from_str(part.raw)?,
        })
    }
}
