//! The configuration objects `Channel` and `Route`: one schema for files and for Kubernetes, where they are custom
//! resources. What an object may say is declared here once; the API server and `check-config` hold it to the same rules.

pub mod channel;
pub mod delivery;
pub mod matching;
pub mod route;
pub mod status;
pub mod values;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use self::{
    channel::{Channel, ChannelSpec, Limits, Provider, Verification},
    delivery::{
        Ambiguous, DeadLetter, Debounce, Delivery, Event, MarkRead, Retry, Takeover, Undelivered,
        UndeliveredAction,
    },
    matching::{Match, TextMatch, TextMatchType},
    route::{BackendRef, ChannelRef, Route, RouteRule, RouteSpec, ServiceRef},
    status::{ConditionType, ObjectStatus, Reason},
    values::{ConfigDuration, SecretKeyRef},
};

pub const GROUP: &str = "whatsapp-router.dev";
pub const VERSION: &str = "v1alpha1";
pub const API_VERSION: &str = "whatsapp-router.dev/v1alpha1";

/// What has to be installed in a cluster, in the order of the kinds' names.
pub fn definitions() -> [CustomResourceDefinition; 2] {
    [Channel::crd(), Route::crd()]
}
