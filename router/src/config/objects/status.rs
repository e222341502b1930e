//! What is said of an object: three conditions, as in the Gateway API.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Written by one router at a time, and only when it changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStatus {
    /// The generation that the conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Accepted`, `ResolvedRefs` and `Programmed`; of a channel in use also `Sending` and `Receiving`.
    #[serde(default)]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// A list that is merged by its key: without it server-side apply would fight over the whole list.
fn conditions(_generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 8,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
                "message": {"type": "string", "maxLength": 32768}
            }
        }
    })
}

/// The questions that a status answers, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionType {
    /// Is the object right in itself and beside the others?
    Accepted,
    /// Is everything that it names there?
    ResolvedRefs,
    /// Is this very generation in use?
    Programmed,
}

impl ConditionType {
    pub const ALL: [Self; 3] = [Self::Accepted, Self::ResolvedRefs, Self::Programmed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::Programmed => "Programmed",
        }
    }

    /// For the reference of the objects.
    pub fn question(self) -> &'static str {
        match self {
            Self::Accepted => "Is the object right in itself and beside the others?",
            Self::ResolvedRefs => "Is everything that it names there?",
            Self::Programmed => "Is this very generation in use?",
        }
    }
}

/// Why a condition is what it is. The words are promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    Accepted,
    /// A rule of the schema is broken.
    Invalid,
    /// Another channel has the same phone number id.
    Conflicted,
    /// Everything that it says is said by routes before it.
    Shadowed,
    ResolvedRefs,
    /// A secret is not mounted, is empty, or can't be used.
    SecretNotFound,
    /// A channel that a route names does not exist or is not accepted.
    ChannelNotFound,
    Programmed,
    /// The version before this one is still in use.
    LastGoodVersion,
    /// No version of it is in use, and what it would take waits for it.
    MessagesWait,
    /// No version of it is in use.
    NotProgrammed,
}

impl Reason {
    pub const ALL: [Self; 11] = [
        Self::Accepted,
        Self::Invalid,
        Self::Conflicted,
        Self::Shadowed,
        Self::ResolvedRefs,
        Self::SecretNotFound,
        Self::ChannelNotFound,
        Self::Programmed,
        Self::LastGoodVersion,
        Self::MessagesWait,
        Self::NotProgrammed,
    ];

    /// The condition that it is given with, and what it means; for the reference of the objects.
    pub fn meaning(self) -> (ConditionType, &'static str) {
        use ConditionType::{Accepted, Programmed, ResolvedRefs};
        match self {
            Self::Accepted => (Accepted, "it is"),
            Self::Invalid => {
                (Accepted, "a rule of the schema is broken, or a regular expression can't be used")
            }
            Self::Conflicted => (Accepted, "another channel has the same phone number id, and is older"),
            Self::Shadowed => (Accepted, "everything that it says is said by routes before it"),
            Self::ResolvedRefs => (ResolvedRefs, "it is"),
            Self::SecretNotFound => (ResolvedRefs, "a secret is not mounted, is empty, or can't be used"),
            Self::ChannelNotFound => {
                (ResolvedRefs, "a channel that the route names does not exist or is not accepted")
            }
            Self::Programmed => (Programmed, "it is"),
            Self::LastGoodVersion => (Programmed, "no: the version before this one is still in use"),
            Self::MessagesWait => {
                (Programmed, "no, and no other version of the route: messages that it would take wait for it")
            }
            Self::NotProgrammed => (Programmed, "no, and no other version of it is in use"),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Invalid => "Invalid",
            Self::Conflicted => "Conflicted",
            Self::Shadowed => "Shadowed",
            Self::ResolvedRefs => "ResolvedRefs",
            Self::SecretNotFound => "SecretNotFound",
            Self::ChannelNotFound => "ChannelNotFound",
            Self::Programmed => "Programmed",
            Self::LastGoodVersion => "LastGoodVersion",
            Self::MessagesWait => "MessagesWait",
            Self::NotProgrammed => "NotProgrammed",
        }
    }
}
