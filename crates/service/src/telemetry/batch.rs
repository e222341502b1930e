//! Sends batches of spans, on a thread of its own: neither a collector that is slow nor one that is gone costs the service
//! more than a counter.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::time::sleep;

use super::{
    encode::Envelope,
    export::Exporter,
    pending::{Batch, Next, Pending},
};
use crate::metrics::Metrics;

/// Waits before a batch is tried again; after the last of them it is given up.
const BACKOFF: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// `<prefix>_telemetry_…`
#[derive(Debug, Clone)]
pub(super) struct Counters {
    exported: IntCounter,
    failed: IntCounter,
    pub(super) dropped: IntCounter,
    failures: IntCounter,
}

impl Counters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let spans = metrics.counter_vec(
            "telemetry_spans_total",
            "Spans by what became of them: exported, failed (the collector did not take them), dropped (too many waited)",
            &["outcome"],
        );
        let [exported, failed, dropped] =
            ["exported", "failed", "dropped"].map(|outcome| spans.with_label_values(&[outcome]));
        let failures = metrics.counter(
            "telemetry_export_failures_total",
            "Attempts to send spans that the collector did not take",
        );
        Self { exported, failed, dropped, failures }
    }
}

pub(super) struct Batcher {
    pub(super) pending: Arc<Pending>,
    pub(super) exporter: Exporter,
    pub(super) envelope: Envelope,
    pub(super) counters: Counters,
    /// The last attempt failed, and the log has said so.
    pub(super) failing: bool,
}

impl Batcher {
    /// Until every tracer is gone.
    pub(super) async fn run(mut self) {
        while let Some(next) = self.pending.next().await {
            match next {
                Next::Batch(batch) => self.send(batch).await,
                // Whoever asked may have stopped waiting.
                Next::Flush(done) => drop(done.send(())),
            }
        }
    }

    async fn send(&mut self, batch: Batch) {
        let spans = batch.spans as u64;
        let request = self.envelope.around(batch.list);
        self.deliver(&request, spans).await;
        self.pending.give_back(request);
    }

    async fn deliver(&mut self, request: &Bytes, spans: u64) {
        let mut waits = BACKOFF.iter();
        loop {
            let refused = match self.exporter.send(request.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(spans);
                    self.counters.exported.inc_by(spans - rejected);
                    self.counters.failed.inc_by(rejected);
                    if std::mem::take(&mut self.failing) {
                        tracing::info!("traces are taken by the collector again");
                    }
                    return;
                }
                Err(refused) => refused,
            };
            self.counters.failures.inc();
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(
                    error = %refused.why,
                    "traces are not taken by the collector; this is said once, metrics count what is lost"
                );
            }
            match waits.next() {
                Some(wait) if refused.later => sleep(*wait).await,
                _ => {
                    self.counters.failed.inc_by(spans);
                    return;
                }
            }
        }
    }
}
