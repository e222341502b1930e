//! What is counted of the writing of conditions.

use prometheus::{IntCounterVec, IntGauge};
use service::metrics::Metrics;

#[derive(Debug, Clone)]
pub struct KubernetesMetrics {
    pub leader: IntGauge,
    pub status_writes: IntCounterVec,
    pub events: IntCounterVec,
}

impl KubernetesMetrics {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            leader: metrics
                .gauge("leader", "1 while this router holds the Lease and writes the conditions of objects"),
            status_writes: metrics.counter_vec(
                "config_status_writes_total",
                "Conditions of objects written to Kubernetes by what came of it",
                &["result"],
            ),
            events: metrics.counter_vec(
                "config_events_total",
                "Events about objects sent to Kubernetes by what came of it",
                &["result"],
            ),
        }
    }
}
