//! Which messages a rule is about.
#![expect(unreachable_pub, reason = "KubeSchema derives a copy of the struct inside of a function")]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// All that is given has to be true of a message.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[x_kube(
    cel,
    validation = Rule::new("has(self.types) || has(self.text) || has(self.from) || has(self.replyId)")
        .message("a match needs at least one of types, text, from and replyId; leave `matches` out to match everything")
)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Types of message, such as text, image or interactive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 32), pattern(r"^[a-z_]+$")))]
    pub types: Vec<String>,
    /// What a person wrote, or read on the button that they pressed. Letters' case does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextMatch>,
    /// The sender's number: digits with country code, without "+".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<TextMatch>,
    /// The id of the button or list row that was chosen, or a template button's payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub reply_id: Option<String>,
}

#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextMatch {
    /// The whole text, its beginning, or a regular expression that is found anywhere in it.
    #[serde(rename = "type", default)]
    pub match_type: TextMatchType,
    /// What is compared. A regular expression is one of the Rust crate regex: no look-around, linear time.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub enum TextMatchType {
    #[default]
    Exact,
    Prefix,
    Regex,
}
