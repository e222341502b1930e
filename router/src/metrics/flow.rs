//! What is counted of leases, bounds, undelivered messages and what was deleted.

use prometheus::{GaugeVec, IntCounter, IntCounterVec};
use service::metrics::Metrics;

#[derive(Debug, Clone)]
pub struct FlowMetrics {
    pub leases_lost: IntCounter,
    pub results_dropped: IntCounterVec,
    pub refused_full: IntCounter,
    pub undelivered: IntCounterVec,
    pub swept: IntCounterVec,
    pub joined: IntCounter,
    pub echoes: IntCounter,
    pub dropped: IntCounter,
    pub read_marks: IntCounterVec,
    pub last_message: GaugeVec,
}

impl FlowMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            leases_lost: metrics.counter(
                "leases_lost_total",
                "Conversations that another router took over because this one was silent for too long",
            ),
            results_dropped: metrics.counter_vec(
                "stale_results_total",
                "Results that were dropped because another router has the conversation",
                &["queue"],
            ),
            refused_full: metrics.counter(
                "webhooks_refused_full_total",
                "Webhooks that were refused because a queue had reached its bound; Meta sends them again",
            ),
            undelivered: metrics.counter_vec(
                "undelivered_total",
                "Messages that Graph took and that were not delivered by their deadline",
                &["channel", "action"],
            ),
            swept: metrics.counter_vec(
                "swept_rows_total",
                "Rows that were deleted because they were older than they are kept for",
                &["kind"],
            ),
            joined: metrics.counter(
                "messages_joined_total",
                "Messages that went to a backend in the call of another one of the same burst",
            ),
            dropped: metrics.counter(
                "dead_letters_dropped_total",
                "Work that was given up and not kept, because its rule says so",
            ),
            read_marks: metrics.counter_vec(
                "read_marks_total",
                "Messages of people that were to be shown as read, by what came of it",
                &["outcome"],
            ),
            last_message: metrics.float_gauge_vec(
                "channel_last_message_timestamp_seconds",
                "When the channel last received a message, in Unix seconds",
                &["channel"],
            ),
            echoes: metrics.counter(
                "echoes_received_total",
                "Messages that a person of the business typed on the phone",
            ),
        }
    }
}
