//! The router's own metrics, all in one place. Labels are bounded by configuration or by the code; no number,
//! name, text or id ever is one.

mod config;
mod flow;
mod pace;

use std::{sync::Arc, time::Duration};

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec};
use service::metrics::{HttpClientMetrics, Metrics};
use whatsapp::client::{SendError, Sent};

pub use self::{config::ConfigMetrics, flow::FlowMetrics, pace::PaceMetrics};
use crate::store::Store;

/// Seconds; from a commit or two up to a day of retries.
const LATENCY_BUCKETS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3_600.0, 86_400.0];

/// Handles to everything that is counted. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RouterMetrics {
    pub received: IntCounterVec,
    pub duplicates: IntCounter,
    pub statuses: IntCounterVec,
    pub events: IntCounter,
    pub signature_failures: IntCounterVec,
    pub foreign: IntCounter,
    pub unrouted: IntCounter,
    pub routed: IntCounterVec,
    pub sends: IntCounterVec,
    pub repeated_sends: IntCounter,
    pub retries: IntCounterVec,
    pub dead_letters: IntCounterVec,
    pub send_latency: Histogram,
    pub queue_depth: IntGaugeVec,
    pub pace: PaceMetrics,
    pub flow: FlowMetrics,
    pub config: ConfigMetrics,
    http_client: HttpClientMetrics,
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
            signature_failures: metrics.counter_vec(
                "signature_failures_total",
                "Webhooks that were refused because of their signature",
                &["reason"],
            ),
            foreign: metrics
                .counter("foreign_items_total", "Items for phone numbers that are no channel of this router"),
            unrouted: metrics
                .counter("messages_unrouted_total", "Messages that no rule takes: kept, and not answered"),
            routed: metrics.counter_vec(
                "messages_routed_total",
                "Calls of a backend by what came of them",
                &["channel", "route", "outcome"],
            ),
            sends: metrics.counter_vec(
                "delivery_attempts_total",
                "Sends through the Graph API by what came of them",
                &["outcome"],
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
            send_latency: metrics.histogram(
                "outbox_latency_seconds",
                "Time from a stored reply to Graph's acceptance of it, as stored",
                &LATENCY_BUCKETS,
            ),
            queue_depth: metrics.gauge_vec(
                "queue_depth",
                "Items waiting or being worked on; for dead letters, those kept",
                &["queue"],
            ),
            pace: PaceMetrics::new(metrics),
            flow: FlowMetrics::new(metrics),
            config: ConfigMetrics::new(metrics),
            http_client: metrics.http_client().clone(),
        }
    }

    /// Looks the depth of the queues up before every scrape.
    pub fn watch_depth(&self, metrics: &Metrics, store: Arc<dyn Store>) {
        let [inbox, outbox, dead] =
            ["inbox", "outbox", "dead_letter"].map(|queue| self.queue_depth.with_label_values(&[queue]));
        metrics.before_scrape(move || {
            let depth = store.depth();
            inbox.set(depth.inbox);
            outbox.set(depth.outbox);
            dead.set(depth.dead_letters);
        });
    }

    pub(crate) fn observe_graph(&self, result: &Result<Sent, SendError>, took: Duration) {
        let (outcome, status) = match result {
            Ok(_) => ("sent", Some(200)),
            Err(error) => (error.reason(), error.http_status()),
        };
        self.sends.with_label_values(&[outcome]).inc();
        self.http_client.observe(&poem::http::Method::POST, "graph", status, took);
    }
}
