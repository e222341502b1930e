//! `Route`: which messages of which channels go to which backend, and how hard the router tries.
#![expect(unreachable_pub, reason = "KubeSchema derives a copy of the struct inside of a function")]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    delivery::{Debounce, Delivery, Event, MarkRead, Takeover, Undelivered},
    matching::Match,
    status::ObjectStatus,
    values::SecretKeyRef,
};

/// Which messages of which channels go to which backend.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "whatsapp-router.dev",
    version = "v1alpha1",
    kind = "Route",
    namespaced,
    status = "ObjectStatus",
    derive = "PartialEq",
    shortname = "warte",
    category = "whatsapp-router",
    doc = "Which messages of which channels go to which backend.",
    printcolumn(name = "Channels", type_ = "string", json_path = ".spec.channelRefs[*].name"),
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority"),
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
    validation = Rule::new("size(self.metadata.name) <= 63").message("a route's name has at most 63 characters")
)]
#[x_kube(
    cel,
    validation = Rule::new("self.rules.all(a, self.rules.exists_one(b, a.name == b.name))")
        .message("two rules of a route can't have the same name")
)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// Whose messages it takes.
    #[schemars(length(min = 1, max = 16))]
    pub channel_refs: Vec<ChannelRef>,
    /// Higher goes first. Then the most specific match, the oldest object, the name.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i32,
    /// Of those that match, the most specific takes a message, then the first.
    #[schemars(length(min = 1, max = 16))]
    pub rules: Vec<RouteRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRef {
    /// Name of a Channel in the same namespace.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(
    cel,
    validation = Rule::new("self.backends.exists(b, !has(b.weight) || b.weight > 0)")
        .message("at least one backend needs a weight above 0")
)]
#[serde(rename_all = "camelCase")]
pub struct RouteRule {
    /// A label for logs and metrics.
    #[schemars(length(min = 1, max = 63), pattern(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// One of them has to match; none: every message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<Match>,
    /// Who answers; a conversation stays with the one that was drawn for it.
    #[schemars(length(min = 1, max = 16))]
    pub backends: Vec<BackendRef>,
    /// How hard the router tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// Types of message that the backend is given; left out: whatever has text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 32), pattern(r"^[a-z_]+$")))]
    pub types: Vec<String>,
    /// To be posted to the backend's `/events`; not supported yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub events: Vec<Event>,
    /// Several short messages in a row go to the backend as one call; left out: each has a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Debounce>,
    /// When a person of the business has answered by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Takeover>,
    /// When Meta took a message and does not say that it was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<Undelivered>,
    /// When the person sees blue ticks.
    #[serde(default)]
    pub mark_read: MarkRead,
    /// Signs the calls of the backends (Standard Webhooks); left out: they are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_secret_ref: Option<SecretKeyRef>,
}

#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    cel,
    validation = Rule::new("has(self.url) != has(self.service)").message("a backend has either a url or a service")
)]
#[serde(rename_all = "camelCase")]
pub struct BackendRef {
    /// Where `POST /process` is, without that path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), pattern(r"^https?://[^\s@?#]+$"))]
    pub url: Option<String>,
    /// A Service of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Its part of the conversations, in proportion; 0: none.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Of the Service.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Left out: the namespace of the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    /// Of the Service, not of the container.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: u16,
}
