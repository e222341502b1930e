//! What became of a message that we sent (Meta, webhooks messages/status).

use serde::Deserialize;

use crate::{
    error::{GraphError, listed},
    lenient,
    message::Unreadable,
    raw,
};

/// One item of `value.statuses`.
#[derive(Clone, PartialEq)]
pub struct Status {
    /// The wamid of the message that it is about.
    pub id: String,
    pub status: StatusKind,
    /// Unix seconds.
    pub timestamp: Option<i64>,
    /// The phone number; absent for contacts who hide it behind a username.
    pub recipient_id: Option<String>,
    pub recipient_user_id: Option<String>,
    pub recipient_parent_user_id: Option<String>,
    /// `group` when the message went to a group.
    pub recipient_type: Option<String>,
    /// Whose status it is when the message went to a group: one item for each participant.
    pub recipient_participant_id: Option<String>,
    pub recipient_participant_user_id: Option<String>,
    /// `biz_opaque_callback_data` of the send, echoed.
    pub callback_data: Option<String>,
    pub errors: Vec<GraphError>,
}

/// How far a message came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusKind {
    Sent,
    Delivered,
    Read,
    /// A voice message was listened to.
    Played,
    Failed,
    /// One that Meta's page does not list, such as the former `deleted` and `warning`.
    Other(String),
}

impl StatusKind {
    /// The word in Meta's webhook. Not bounded: see [`StatusKind::label`].
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(other) => other,
            known => known.label(),
        }
    }

    /// A bounded label for metrics: `other` for what is not known.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Played => "played",
            Self::Failed => "failed",
            Self::Other(_) => "other",
        }
    }
}

impl From<String> for StatusKind {
    fn from(word: String) -> Self {
        match word.as_str() {
            "sent" => Self::Sent,
            "delivered" => Self::Delivered,
            "read" => Self::Read,
            "played" => Self::Played,
            "failed" => Self::Failed,
            _ => Self::Other(word),
        }
    }
}

impl Status {
    /// Reads one item of `value.statuses`.
    pub fn from_json(json: &str) -> Result<Self, Unreadable> {
        let wire: Wire = raw::object(json)?;
        let missing = |field: &str| Unreadable(format!("the status has no {field}"));
        Ok(Self {
            id: wire.id.ok_or_else(|| missing("id"))?,
            status: wire.status.ok_or_else(|| missing("status"))?.into(),
            timestamp: wire.timestamp,
            recipient_id: wire.recipient_id,
            recipient_user_id: wire.recipient_user_id,
            recipient_parent_user_id: wire.recipient_parent_user_id,
            recipient_type: wire.recipient_type,
            recipient_participant_id: wire.recipient_participant_id.or(wire.participant_recipient_id),
            recipient_participant_user_id: wire.recipient_participant_user_id,
            callback_data: wire.biz_opaque_callback_data,
            errors: wire.errors,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    #[serde(deserialize_with = "lenient::given")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    status: Option<String>,
    #[serde(deserialize_with = "lenient::seconds")]
    timestamp: Option<i64>,
    #[serde(deserialize_with = "lenient::given")]
    recipient_id: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    recipient_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    recipient_parent_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    recipient_type: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    recipient_participant_id: Option<String>,
    /// An example on Meta's page spells it so.
    #[serde(deserialize_with = "lenient::given")]
    participant_recipient_id: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    recipient_participant_user_id: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    biz_opaque_callback_data: Option<String>,
    #[serde(deserialize_with = "listed")]
    errors: Vec<GraphError>,
}
