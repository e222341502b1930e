//! How hard a rule tries, and what it does when that does not help.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::ConfigDuration;

/// What is left out is the default of the router's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// For one call of the backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<ConfigDuration>,
    /// When a failed call is made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What to do with a send of which nobody knows whether it went out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ambiguous: Option<Ambiguous>,
    /// What becomes of a message that was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetter>,
    /// A message that is older than this when it arrives is not answered by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_max_age: Option<ConfigDuration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Failed attempts that count, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub attempts: Option<u32>,
    /// Upper bound of the first wait; it doubles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<ConfigDuration>,
    /// Upper bound of any wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_backoff: Option<ConfigDuration>,
    /// Older work is not tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<ConfigDuration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Ambiguous {
    /// The person may get it twice.
    Repeat,
    /// The person may not get it.
    NeverRepeat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeadLetter {
    /// Kept, listed and replayed on demand.
    Store,
    /// Only counted.
    Drop,
}

/// Several short messages in a row go to the backend as one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Debounce {
    /// Silence that ends a burst.
    pub quiet: ConfigDuration,
    /// From the first message of a burst, at most.
    pub max: ConfigDuration,
}

/// A person of the business answers by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Takeover {
    /// Since their last message, after which the backend answers again.
    pub idle: ConfigDuration,
}

/// Taken by Meta, and not delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Undelivered {
    /// Since Meta took it.
    pub after: ConfigDuration,
    /// What is done then: nothing, an alarm (a metric), or a template message in its place.
    pub action: UndeliveredAction,
    /// For the action `Template`: its name and language, as `name/language`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 560), pattern(r"^[a-z0-9_]+/[A-Za-z_]+$"))]
    pub template: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UndeliveredAction {
    Leave,
    Alarm,
    Template,
}

/// What the backend's `/events` is told besides messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    Statuses,
}

/// When the person sees blue ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum MarkRead {
    OnReceive,
    OnReply,
    #[default]
    Never,
}
