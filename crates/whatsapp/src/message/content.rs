//! What a message holds, by type: the part that routing and answering need.

/// The typed core of a message's content.
#[derive(Clone, PartialEq)]
pub enum Content {
    Text {
        body: String,
    },
    /// A template's quick reply was tapped.
    Button {
        text: Option<String>,
        payload: Option<String>,
    },
    Interactive(InteractiveReply),
    /// An image, video, audio, document or sticker: see `InboundMessage::media`.
    Media,
    Location {
        latitude: Option<f64>,
        longitude: Option<f64>,
        name: Option<String>,
        address: Option<String>,
    },
    Reaction {
        message_id: Option<String>,
        /// `None` when the reaction was taken back.
        emoji: Option<String>,
    },
    /// Such as a changed phone number or user id.
    System {
        kind: Option<String>,
        body: Option<String>,
        /// The new phone number.
        wa_id: Option<String>,
        /// The new business-scoped user id.
        user_id: Option<String>,
    },
    Edit {
        original_message_id: Option<String>,
    },
    Revoke {
        original_message_id: Option<String>,
    },
    /// Any other type, or a documented one whose object is missing.
    Other,
}

/// The answer to an interactive message.
#[derive(Clone, PartialEq, Eq)]
pub enum InteractiveReply {
    Button {
        id: Option<String>,
        title: Option<String>,
    },
    List {
        id: Option<String>,
        title: Option<String>,
        description: Option<String>,
    },
    /// A flow or an address form (`nfm_reply`).
    Form {
        name: Option<String>,
        body: Option<String>,
        /// JSON in a string, as Meta sends it.
        response_json: Option<String>,
    },
    /// Any other, by Meta's name.
    Other(Option<String>),
}

impl InteractiveReply {
    /// The id that the business gave to the chosen button or row.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Button { id, .. } | Self::List { id, .. } => id.as_deref(),
            Self::Form { .. } | Self::Other(_) => None,
        }
    }
}
