//! What is counted of the database: commits, what they share, what fails, connections.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use service::metrics::Metrics;

/// Seconds from the begin of a transaction to its commit on disk.
const COMMIT_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Calls that share a commit; 512 is the most.
const BATCH_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// A call finds a connection at once, or others read.
const WAIT_BUCKETS: [f64; 9] = [0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Handles to it all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    commits: HistogramVec,
    batches: HistogramVec,
    failures: IntCounterVec,
    connections: IntGaugeVec,
    read_waits: Histogram,
}

/// The handles of one writer, which commits again and again.
#[derive(Debug, Clone)]
pub struct WriterMetrics {
    commits: Histogram,
    batches: Histogram,
    failures: IntCounter,
}

/// A connection that counts as open until this is dropped.
#[derive(Debug)]
pub struct OpenConnection(IntGauge);

impl StoreMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            commits: metrics.histogram_vec(
                "store_commit_seconds",
                "Time of a transaction up to its commit on disk, by the writer",
                &COMMIT_BUCKETS,
                &["writer"],
            ),
            batches: metrics.histogram_vec(
                "store_batch_size",
                "Calls that shared one commit, by the writer",
                &BATCH_BUCKETS,
                &["writer"],
            ),
            failures: metrics.counter_vec(
                "store_failures_total",
                "Transactions that the database refused, did not answer, or could not be reached for, by the writer",
                &["writer"],
            ),
            connections: metrics.gauge_vec(
                "store_connections",
                "Open connections to the database, by what they are for (writing, asking, listening)",
                &["purpose"],
            ),
            read_waits: metrics.histogram(
                "store_read_wait_seconds",
                "Time that a call that only reads waited for a connection to the database",
                &WAIT_BUCKETS,
            ),
        }
    }

    /// For a store of its own, whose numbers nobody sees.
    pub fn unseen() -> Self {
        Self::new(&Metrics::new("unseen", "", ""))
    }

    /// `name` is one of a few in the code.
    pub fn writer(&self, name: &str) -> WriterMetrics {
        WriterMetrics {
            commits: self.commits.with_label_values(&[name]),
            batches: self.batches.with_label_values(&[name]),
            failures: self.failures.with_label_values(&[name]),
        }
    }

    /// A call that reads has a connection now.
    pub(crate) fn may_read(&self, waited: Duration) {
        self.read_waits.observe(waited.as_secs_f64());
    }

    /// Counts a connection as long as what this gives is kept.
    pub fn connected(&self, purpose: &str) -> OpenConnection {
        let gauge = self.connections.with_label_values(&[purpose]);
        gauge.inc();
        OpenConnection(gauge)
    }
}

impl WriterMetrics {
    pub(crate) fn committed(&self, calls: usize, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        self.batches.observe(calls as f64);
    }

    pub(crate) fn failed(&self) {
        self.failures.inc();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_until_it_is_gone() {
        let metrics = StoreMetrics::unseen();
        let open = || metrics.connections.with_label_values(&["asking"]).get();
        let (one, two) = (metrics.connected("asking"), metrics.connected("asking"));
        assert_eq!(open(), 2);
        drop((one, two));
        assert_eq!(open(), 0);
    }
}
