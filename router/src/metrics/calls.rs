//! What is counted of calls to backends and of sends through the Graph API, and how long people wait.

use std::time::Duration;

use prometheus::{Histogram, HistogramVec, IntCounterVec};
use service::metrics::{HTTP_CALL_BUCKETS, HttpClientMetrics, Metrics};
use whatsapp::{
    client::{SendError, Sent},
    error::ErrorClass,
};

use crate::store::{Item, Micros};

/// Seconds; from a commit or two up to a day of retries. Close together around a minute or two, as long as most trouble
/// lasts: a percentile is only as good as the bucket it falls into.
const LATENCY_BUCKETS: [f64; 20] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
    1_800.0, 3_600.0, 86_400.0,
];

/// Handles to it all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CallMetrics {
    attempts: IntCounterVec,
    durations: HistogramVec,
    answered: HistogramVec,
    sends: IntCounterVec,
    send_durations: HistogramVec,
    outbox: Histogram,
    replied: HistogramVec,
    http_client: HttpClientMetrics,
}

impl CallMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            attempts: metrics.counter_vec(
                "delivery_attempts_total",
                "Calls of a backend by what came of them (ok, or the reason)",
                &["backend", "outcome"],
            ),
            durations: metrics.histogram_vec(
                "delivery_duration_seconds",
                "How long calls of a backend took, by what came of them",
                &HTTP_CALL_BUCKETS,
                &["backend", "outcome"],
            ),
            answered: metrics.histogram_vec(
                "delivery_latency_seconds",
                "Time from a message's arrival to its backend's good answer, retries included",
                &LATENCY_BUCKETS,
                &["route"],
            ),
            sends: metrics.counter_vec(
                "send_attempts_total",
                "Sends through the Graph API by what came of them (sent, or the reason), and what class of error that is: none, replay, wait, ambiguous, stop_channel (nothing of the channel goes out), final (this message never will)",
                &["channel", "outcome", "class"],
            ),
            send_durations: metrics.histogram_vec(
                "send_duration_seconds",
                "How long sends through the Graph API took, by what came of them",
                &HTTP_CALL_BUCKETS,
                &["outcome"],
            ),
            outbox: metrics.histogram(
                "outbox_latency_seconds",
                "Time from a stored reply to Graph's acceptance of it, as stored",
                &LATENCY_BUCKETS,
            ),
            replied: metrics.histogram_vec(
                "reply_latency_seconds",
                "Time from a message's arrival to Graph's acceptance of a reply to it, as stored",
                &LATENCY_BUCKETS,
                &["channel"],
            ),
            http_client: metrics.http_client().clone(),
        }
    }

    /// One call of a backend; `outcome` is `ok` or a reason.
    pub(crate) fn asked(&self, backend: &str, outcome: &str, took: Duration) {
        self.attempts.with_label_values(&[backend, outcome]).inc();
        self.durations.with_label_values(&[backend, outcome]).observe(took.as_secs_f64());
    }

    /// A message has its answer.
    pub(crate) fn answered(&self, route: &str, item: &Item, now: Micros) {
        self.answered.with_label_values(&[route]).observe(seconds(item.created_at, now));
    }

    /// A send to the host `graph`.
    pub(crate) fn tried_to_send(
        &self,
        channel: &str,
        graph: &str,
        result: &Result<Sent, SendError>,
        took: Duration,
    ) {
        let (outcome, class) = match result {
            Ok(_) => ("sent", "none"),
            Err(error) => (error.reason(), word(error.class())),
        };
        self.sends.with_label_values(&[channel, outcome, class]).inc();
        self.send_durations.with_label_values(&[outcome]).observe(took.as_secs_f64());
        self.called_graph(graph, result, took);
    }

    /// Any call of the host `graph`.
    pub(crate) fn called_graph<T>(&self, graph: &str, result: &Result<T, SendError>, took: Duration) {
        let (status, failure) = match result {
            Ok(_) => (Some(200), None),
            Err(error) => (error.http_status(), Some(error.reason())),
        };
        self.http_client.observe(&poem::http::Method::POST, graph, status, failure, took);
    }

    /// The store knows that a message was sent.
    pub(crate) fn sent(&self, channel: &str, item: &Item, now: Micros) {
        self.outbox.observe(seconds(item.created_at, now));
        if let Some(arrived) = arrival(item) {
            self.replied.with_label_values(&[channel]).observe(seconds(arrived, now));
        }
    }
}

fn word(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Replay | ErrorClass::WaitMaintenance => "replay",
        ErrorClass::WaitPair | ErrorClass::WaitNumber | ErrorClass::WaitApp => "wait",
        ErrorClass::StopChannel => "stop_channel",
        ErrorClass::Ambiguous => "ambiguous",
        ErrorClass::Final => "final",
    }
}

/// When the message arrived that this one answers: its id has the time in it (UUIDv7, RFC 9562). `None` for what the
/// API sends, which answers nothing.
fn arrival(item: &Item) -> Option<Micros> {
    if item.correlation == item.id {
        return None;
    }
    let (seconds, nanos) = item.correlation.0.get_timestamp()?.to_unix();
    Some(
        Micros::try_from(seconds).ok()?.saturating_mul(1_000_000).saturating_add(Micros::from(nanos / 1_000)),
    )
}

fn seconds(from: Micros, to: Micros) -> f64 {
    (to - from).max(0) as f64 / 1e6
}
