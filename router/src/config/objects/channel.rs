//! `Channel`: one business account through which messages flow.
#![expect(unreachable_pub, reason = "KubeSchema derives a copy of the struct inside of a function")]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{
    status::ObjectStatus,
    values::{ConfigDuration, SecretKeyRef},
};

/// A phone number of the WhatsApp Cloud API, with references to its credentials.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "whatsapp-router.dev",
    version = "v1alpha1",
    kind = "Channel",
    namespaced,
    status = "ObjectStatus",
    derive = "PartialEq",
    shortname = "wachan",
    category = "whatsapp-router",
    doc = "A phone number of the WhatsApp Cloud API through which messages flow.",
    printcolumn(name = "Number", type_ = "string", json_path = ".spec.displayPhoneNumber"),
    printcolumn(name = "Number ID", type_ = "string", json_path = ".spec.phoneNumberId"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].status"
    ),
    printcolumn(
        name = "Resolved",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='ResolvedRefs')].status"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Programmed')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Accepted')].reason",
        priority = 1
    ),
    validation = Rule::new("size(self.metadata.name) <= 63").message("a channel's name has at most 63 characters")
)]
#[x_kube(cel)]
#[serde(rename_all = "camelCase")]
pub struct ChannelSpec {
    /// Who carries the messages.
    pub provider: Provider,
    /// Id of the number at Meta (WhatsApp > API Setup), not the phone number itself. Can't be changed.
    #[schemars(length(min = 1, max = 32), pattern(r"^[0-9]+$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("phoneNumberId can't be changed: make another channel"))]
    pub phone_number_id: String,
    /// The phone number as people see it; only shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub display_phone_number: Option<String>,
    /// Id of the WhatsApp Business Account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), pattern(r"^[0-9]+$"))]
    pub waba_id: Option<String>,
    /// Version of the Graph API, such as v25.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8), pattern(r"^v[0-9]+\.[0-9]+$"))]
    pub api_version: Option<String>,
    /// The Graph API token.
    pub access_token_ref: SecretKeyRef,
    /// What webhooks are checked by.
    pub verification: Verification,
    /// What Meta allows the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Provider {
    /// Meta's Cloud API.
    WhatsAppCloud,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The token of the webhook's GET handshake.
    pub verify_token_ref: SecretKeyRef,
    /// The app secret that signs webhooks. Its file may hold several, separated by commas, while it is being changed.
    pub app_secret_ref: SecretKeyRef,
}

/// What is left out is the default of the router's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Sent and received together: 80, 1000 after Meta's upgrade, or 20 for a number that is also in the Business app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub messages_per_second: Option<u32>,
    /// Outside the 24-hour window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub business_initiated_per_second: Option<u32>,
    /// Inside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub user_initiated_per_second: Option<u32>,
    /// Messages to one person in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub pair_burst: Option<u32>,
    /// Between messages to one person in the long run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair_interval: Option<ConfigDuration>,
}
