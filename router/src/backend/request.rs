//! The body of `POST /process`: a backend that only knows `text` works; one that wants more has `message`.

use serde::Serialize;
use serde_json::value::RawValue;
use whatsapp::message::{Context, InboundMessage, Media};

use crate::store::{Contact, MessageId};

#[derive(Debug, Serialize)]
pub struct ProcessRequest<'a> {
    text: &'a str,
    message: Message<'a>,
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

/// Everything that a call is made from.
#[derive(Debug)]
pub struct Call<'a> {
    pub id: MessageId,
    pub channel: &'a str,
    pub phone_number_id: &'a str,
    pub contact: &'a Contact,
    pub message: &'a InboundMessage,
    pub raw: &'a str,
}

impl Call<'_> {
    /// The JSON to send. Fails only if `raw` is no JSON, which the store never holds.
    pub fn body(&self) -> Result<Vec<u8>, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(self.raw)?;
        let request = ProcessRequest {
            text: self.message.text().unwrap_or_default(),
            message: Message {
                id: &self.message.id,
                router_id: self.id.to_string(),
                message_type: &self.message.message_type,
                channel: self.channel,
                phone_number_id: self.phone_number_id,
                contact: ContactOut {
                    id: &self.contact.key,
                    wa_id: self.contact.wa_id.as_deref(),
                    user_id: self.contact.user_id.as_deref(),
                    username: self.contact.username.as_deref(),
                    name: self.contact.name.as_deref(),
                },
                timestamp: self.message.timestamp,
                context: self.message.context.as_ref(),
                media: self.message.media.as_ref(),
                raw,
            },
        };
        serde_json::to_vec(&request)
    }
}
