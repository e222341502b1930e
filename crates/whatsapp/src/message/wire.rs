//! A message as it stands in the webhook, before the type decides which of its objects counts.

use serde::Deserialize;

use super::{
    Contact, Content, Context, InboundMessage, InteractiveReply, Media, ReferredProduct, Unreadable,
};
use crate::{
    error::{GraphError, listed},
    lenient::{boolean, float, given, object, seconds, text},
};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    #[serde(deserialize_with = "given")]
    id: Option<String>,
    #[serde(deserialize_with = "given")]
    from: Option<String>,
    #[serde(deserialize_with = "given")]
    from_user_id: Option<String>,
    #[serde(deserialize_with = "seconds")]
    timestamp: Option<i64>,
    #[serde(rename = "type", deserialize_with = "given")]
    message_type: Option<String>,
    #[serde(deserialize_with = "given")]
    group_id: Option<String>,
    #[serde(deserialize_with = "object")]
    context: Option<WireContext>,
    #[serde(deserialize_with = "object")]
    text: Option<Text>,
    #[serde(deserialize_with = "object")]
    button: Option<Button>,
    #[serde(deserialize_with = "object")]
    interactive: Option<Interactive>,
    #[serde(deserialize_with = "object")]
    image: Option<WireMedia>,
    #[serde(deserialize_with = "object")]
    video: Option<WireMedia>,
    #[serde(deserialize_with = "object")]
    audio: Option<WireMedia>,
    #[serde(deserialize_with = "object")]
    document: Option<WireMedia>,
    #[serde(deserialize_with = "object")]
    sticker: Option<WireMedia>,
    #[serde(deserialize_with = "object")]
    location: Option<Location>,
    #[serde(deserialize_with = "object")]
    reaction: Option<Reaction>,
    #[serde(deserialize_with = "object")]
    system: Option<System>,
    #[serde(deserialize_with = "object")]
    edit: Option<Original>,
    #[serde(deserialize_with = "object")]
    revoke: Option<Original>,
    #[serde(deserialize_with = "listed")]
    errors: Vec<GraphError>,
}

/// Declares objects of the webhook whose fields are all optional and read leniently.
macro_rules! lenient_objects {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $read:literal => $type:ty $(, $rename:literal)?;)+ })+) => {
        $($(#[$meta])* #[derive(Default, Deserialize)]
        #[serde(default)]
        struct $name {
            $(#[serde(deserialize_with = $read $(, rename = $rename)?)]
            $field: Option<$type>,)+
        })+
    };
}

lenient_objects! {
    Text { body: "text" => String; }
    Button { text: "text" => String; payload: "text" => String; }
    Interactive {
        kind: "text" => String, "type";
        button_reply: "object" => Choice;
        list_reply: "object" => Choice;
        nfm_reply: "object" => Form;
    }
    Choice { id: "text" => String; title: "text" => String; description: "text" => String; }
    Form { name: "text" => String; body: "text" => String; response_json: "text" => String; }
    Location {
        latitude: "float" => f64;
        longitude: "float" => f64;
        name: "text" => String;
        address: "text" => String;
    }
    Reaction { message_id: "given" => String; emoji: "given" => String; }
    System {
        kind: "text" => String, "type";
        body: "text" => String;
        wa_id: "given" => String;
        user_id: "given" => String;
    }
    Original { original_message_id: "given" => String; }
    WireContext {
        from: "given" => String;
        id: "given" => String;
        forwarded: "boolean" => bool;
        frequently_forwarded: "boolean" => bool;
        referred_product: "object" => Product;
    }
    Product { catalog_id: "text" => String; product_retailer_id: "text" => String; }
    WireMedia {
        id: "given" => String;
        mime_type: "text" => String;
        sha256: "text" => String;
        filename: "text" => String;
        caption: "text" => String;
        voice: "boolean" => bool;
        animated: "boolean" => bool;
    }
}

impl Message {
    pub(super) fn into_message(mut self) -> Result<InboundMessage, Unreadable> {
        let id = self.id.take().ok_or_else(|| Unreadable("the message has no id".to_owned()))?;
        let message_type = self.message_type.take().unwrap_or_else(|| "unknown".to_owned());
        let media = self.media(&message_type);
        let content = if media.is_some() { Content::Media } else { self.content(&message_type) };
        Ok(InboundMessage {
            id,
            from: self.from.clone(),
            timestamp: self.timestamp,
            message_type,
            group_id: self.group_id,
            contact: Contact { wa_id: self.from, user_id: self.from_user_id, username: None, name: None },
            context: self.context.map(WireContext::into_context),
            media,
            content,
            errors: self.errors,
        })
    }

    fn media(&mut self, message_type: &str) -> Option<Media> {
        let media = match message_type {
            "image" => self.image.take(),
            "video" => self.video.take(),
            "audio" => self.audio.take(),
            "document" => self.document.take(),
            "sticker" => self.sticker.take(),
            _ => None,
        }?;
        let captioned = matches!(message_type, "image" | "video" | "document");
        Some(Media {
            id: media.id,
            mime_type: media.mime_type,
            sha256: media.sha256,
            filename: media.filename,
            caption: media.caption.filter(|_| captioned),
            voice: media.voice,
            animated: media.animated,
        })
    }

    fn content(&mut self, message_type: &str) -> Content {
        let content = match message_type {
            "text" => self.text.take().and_then(|text| text.body).map(|body| Content::Text { body }),
            "button" => self
                .button
                .take()
                .map(|button| Content::Button { text: button.text, payload: button.payload }),
            "interactive" => self.interactive.take().map(|reply| Content::Interactive(reply.into_reply())),
            "location" => self.location.take().map(|place| Content::Location {
                latitude: place.latitude,
                longitude: place.longitude,
                name: place.name,
                address: place.address,
            }),
            "reaction" => self
                .reaction
                .take()
                .map(|reaction| Content::Reaction { message_id: reaction.message_id, emoji: reaction.emoji }),
            "system" => self.system.take().map(|system| Content::System {
                kind: system.kind,
                body: system.body,
                wa_id: system.wa_id,
                user_id: system.user_id,
            }),
            "edit" => {
                self.edit.take().map(|edit| Content::Edit { original_message_id: edit.original_message_id })
            }
            "revoke" => self
                .revoke
                .take()
                .map(|revoke| Content::Revoke { original_message_id: revoke.original_message_id }),
            _ => None,
        };
        content.unwrap_or(Content::Other)
    }
}

impl Interactive {
    /// By the object that is there: it always is, whereas `type` was found missing.
    fn into_reply(self) -> InteractiveReply {
        if let Some(Choice { id, title, .. }) = self.button_reply {
            InteractiveReply::Button { id, title }
        } else if let Some(Choice { id, title, description }) = self.list_reply {
            InteractiveReply::List { id, title, description }
        } else if let Some(Form { name, body, response_json }) = self.nfm_reply {
            InteractiveReply::Form { name, body, response_json }
        } else {
            InteractiveReply::Other(self.kind)
        }
    }
}

impl WireContext {
    fn into_context(self) -> Context {
        Context {
            from: self.from,
            id: self.id,
            forwarded: self.forwarded.unwrap_or(false),
            frequently_forwarded: self.frequently_forwarded.unwrap_or(false),
            referred_product: self.referred_product.map(|product| ReferredProduct {
                catalog_id: product.catalog_id,
                product_retailer_id: product.product_retailer_id,
            }),
        }
    }
}
