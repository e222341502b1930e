//! The router's own metrics, all in one place. Labels are bounded by configuration or by the code; no number,
//! name, text or id ever is one.

mod calls;
mod config;
mod flow;
mod pace;
mod queues;
mod signatures;
mod store;

use prometheus::{IntCounter, IntCounterVec};
use service::metrics::{Metrics, to_markdown};

pub use self::{
    calls::CallMetrics,
    config::ConfigMetrics,
    flow::FlowMetrics,
    pace::PaceMetrics,
    queues::QueueMetrics,
    signatures::SignatureMetrics,
    store::{OpenConnection, StoreMetrics, WriterMetrics},
};
use crate::{REVISION, VERSION, config::kubernetes::KubernetesMetrics};

/// Handles to everything that is counted. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RouterMetrics {
    pub received: IntCounterVec,
    pub duplicates: IntCounter,
    pub statuses: IntCounterVec,
    pub events: IntCounter,
    pub signatures: SignatureMetrics,
    pub foreign: IntCounter,
    pub unrouted: IntCounterVec,
    pub routed: IntCounterVec,
    pub repeated_sends: IntCounter,
    pub retries: IntCounterVec,
    pub dead_letters: IntCounterVec,
    pub calls: CallMetrics,
    pub queues: QueueMetrics,
    pub store: StoreMetrics,
    pub pace: PaceMetrics,
    pub flow: FlowMetrics,
    pub config: ConfigMetrics,
}

impl RouterMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            received: metrics.counter_vec(
                "messages_received_total",
                "Messages of people that were stored, each once",
                &["channel", "type"],
            ),
            duplicates: metrics
                .counter("duplicates_total", "Items that Meta delivered again and that were recognised"),
            statuses: metrics.counter_vec(
                "statuses_received_total",
                "Statuses of sent messages that were received",
                &["status"],
            ),
            events: metrics.counter(
                "events_received_total",
                "Other changes, errors and unreadable items that were received",
            ),
            signatures: SignatureMetrics::new(metrics),
            foreign: metrics
                .counter("foreign_items_total", "Items for phone numbers that are no channel of this router"),
            unrouted: metrics.counter_vec(
                "messages_unrouted_total",
                "Messages that no rule takes: kept, and not answered",
                &["channel"],
            ),
            routed: metrics.counter_vec(
                "messages_routed_total",
                "Attempts at a backend by what came of them: a message that needs three is counted three times",
                &["channel", "route", "outcome"],
            ),
            repeated_sends: metrics.counter(
                "ambiguous_sends_repeated_total",
                "Sends made again although an earlier one may have gone out",
            ),
            retries: metrics.counter_vec(
                "retries_total",
                "Failed attempts that will be made again",
                &["queue", "reason"],
            ),
            dead_letters: metrics.counter_vec(
                "dead_letters_total",
                "Work that was given up",
                &["queue", "reason"],
            ),
            calls: CallMetrics::new(metrics),
            queues: QueueMetrics::new(metrics),
            store: StoreMetrics::new(metrics),
            pace: PaceMetrics::new(metrics),
            flow: FlowMetrics::new(metrics),
            config: ConfigMetrics::new(metrics),
        }
    }
}

/// The table in docs/OPERATIONS.md.
pub fn reference() -> String {
    let metrics = Metrics::new("whatsapp_router", VERSION, REVISION);
    let _registers = RouterMetrics::new(&metrics);
    let _registers = KubernetesMetrics::new(&metrics);
    service::secrets::declare_metrics(&metrics);
    service::telemetry::declare_metrics(&metrics);
    to_markdown(&metrics.declared())
}
