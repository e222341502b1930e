//! Collects spans and sends them, on a thread of its own: neither a collector that is slow nor one that is gone costs the
//! service more than a counter.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use prometheus::IntCounter;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};

use super::{Span, encode, export::Exporter, settings::Batching};
use crate::metrics::Metrics;

/// Between two looks at the queue. Nobody is woken for a span: that would cost more than the span.
const TICK: Duration = Duration::from_millis(50);

/// Waits before a batch is tried again; after the last of them it is given up.
const BACKOFF: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

pub(super) enum Message {
    Span(Box<Span>),
    /// Answered when everything before it was sent or given up.
    Flush(oneshot::Sender<()>),
}

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
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) exporter: Exporter,
    pub(super) resource: BTreeMap<String, String>,
    pub(super) batching: Batching,
    pub(super) counters: Counters,
    /// The last attempt failed, and the log has said so.
    pub(super) failing: bool,
}

impl Batcher {
    /// Until every tracer is gone.
    pub(super) async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let (spans, flush) = self.collect(first).await;
            if !spans.is_empty() {
                self.send(&spans).await;
            }
            if let Some(flush) = flush {
                // Whoever asked may have stopped waiting.
                let _ = flush.send(());
            }
        }
    }

    /// A batch: a full one, or what there is when the first of it has waited long enough.
    async fn collect(&mut self, first: Message) -> (Vec<Span>, Option<oneshot::Sender<()>>) {
        let until = Instant::now() + self.batching.delay;
        let mut spans = Vec::with_capacity(self.batching.batch);
        let mut next = Some(first);
        loop {
            while let Some(message) = next.take() {
                match message {
                    Message::Span(span) => spans.push(*span),
                    Message::Flush(flush) => return (spans, Some(flush)),
                }
                if spans.len() < self.batching.batch {
                    next = self.queue.try_recv().ok();
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if spans.len() >= self.batching.batch || left.is_zero() || self.queue.is_closed() {
                return (spans, None);
            }
            sleep(left.min(TICK)).await;
            next = self.queue.try_recv().ok();
        }
    }

    async fn send(&mut self, spans: &[Span]) {
        let request = Bytes::from(encode::request(&self.resource, spans));
        let mut waits = BACKOFF.iter();
        loop {
            let refused = match self.exporter.send(request.clone()).await {
                Ok(rejected) => {
                    let rejected = rejected.min(spans.len() as u64);
                    self.counters.exported.inc_by(spans.len() as u64 - rejected);
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
                    self.counters.failed.inc_by(spans.len() as u64);
                    return;
                }
            }
        }
    }
}
