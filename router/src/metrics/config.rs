//! What is counted of the configuration objects. A series appears with its first value:
//! a router without objects has no age of them to alert on.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};
use service::metrics::Metrics;

/// Handles to it all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConfigMetrics {
    reloads: IntCounterVec,
    sync_age: GaugeVec,
    objects: IntGaugeVec,
    held: IntGaugeVec,
    problems: IntGaugeVec,
}

impl ConfigMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            reloads: metrics.counter_vec(
                "config_reloads_total",
                "Times that channels and routes were read again, by source (env, files, kubernetes) and result (ok, partial, failed)",
                &["source", "result"],
            ),
            sync_age: metrics.float_gauge_vec(
                "config_sync_age_seconds",
                "Time since the source of the configuration was last known to be in step with this router",
                &["source"],
            ),
            objects: metrics.gauge_vec(
                "config_objects",
                "Configuration objects by kind and whether they are accepted (true, false)",
                &["kind", "accepted"],
            ),
            held: metrics.gauge_vec(
                "config_routes_held",
                "Routes no version of which can be used, and whose messages wait for them, by source (env, files, kubernetes)",
                &["source"],
            ),
            problems: metrics.gauge_vec(
                "config_problems",
                "What can't be read as objects, by source: files that are not YAML, documents that are no Channel or Route",
                &["source"],
            ),
        }
    }

    /// Shows the source's series from the start: what begins with its first value has no rate of it.
    pub fn expect(&self, source: &str) {
        for result in ["ok", "partial", "failed"] {
            self.reloads.with_label_values(&[source, result]);
        }
    }

    /// How much of the source is no object at all.
    pub fn problems(&self, source: &str, count: usize) {
        self.problems.with_label_values(&[source]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Channels and routes were read again. `result` is `ok`, `partial` (some objects are refused) or `failed`.
    pub fn reloaded(&self, source: &str, result: &str) {
        self.reloads.with_label_values(&[source, result]).inc();
    }

    /// For a source that is watched; to be set before every scrape.
    pub fn sync_age(&self, source: &str, seconds: f64) {
        self.sync_age.with_label_values(&[source]).set(seconds);
    }

    /// How many routes can't be used while their messages wait.
    pub fn held(&self, source: &str, count: usize) {
        self.held.with_label_values(&[source]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many objects of a kind (`Channel`, `Route`) there are.
    pub fn objects(&self, kind: &str, accepted: usize, refused: usize) {
        for (label, count) in [("true", accepted), ("false", refused)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.objects.with_label_values(&[kind, label]).set(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_set_is_not_shown() {
        let metrics = Metrics::new("whatsapp_router", "1", "r");
        let config = ConfigMetrics::new(&metrics);
        assert!(!metrics.encode().contains("whatsapp_router_config"));
        config.objects("Channel", 2, 1);
        config.expect("files");
        config.problems("files", 3);
        let text = metrics.encode();
        for line in [
            "whatsapp_router_config_objects{accepted=\"true\",kind=\"Channel\"} 2\n",
            "whatsapp_router_config_objects{accepted=\"false\",kind=\"Channel\"} 1\n",
            "whatsapp_router_config_reloads_total{result=\"failed\",source=\"files\"} 0\n",
            "whatsapp_router_config_problems{source=\"files\"} 3\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
