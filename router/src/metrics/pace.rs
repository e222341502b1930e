//! What is counted of limits, of channels that stop, and of circuit breakers.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec, IntGaugeVec};
use service::metrics::Metrics;

use crate::{engine::BreakerState, store::PaceKind};

/// Seconds that a send waited for room.
const WAIT_BUCKETS: [f64; 10] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

/// Handles to it all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PaceMetrics {
    pub waits: IntCounterVec,
    pub wait_seconds: Histogram,
    pub stopped: IntGaugeVec,
    breaker_state: IntGaugeVec,
    breaker_transitions: IntCounterVec,
}

impl PaceMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            waits: metrics.counter_vec(
                "pacing_waits_total",
                "Sends that had to wait for a limit, by the limit",
                &["channel", "kind"],
            ),
            wait_seconds: metrics.histogram(
                "pacing_wait_seconds",
                "How long sends waited for a limit",
                &WAIT_BUCKETS,
            ),
            stopped: metrics.gauge_vec(
                "channel_stopped",
                "1 while Meta refuses everything that the channel sends",
                &["channel"],
            ),
            breaker_state: metrics.gauge_vec(
                "breaker_state",
                "Circuit breakers: 0 closed, 1 half open, 2 open",
                &["kind", "name"],
            ),
            breaker_transitions: metrics.counter_vec(
                "breaker_transitions_total",
                "How often circuit breakers opened and closed",
                &["kind", "name", "state"],
            ),
        }
    }

    /// The series of a channel that is configured no more.
    pub(crate) fn forget_channel(&self, channel: &str) {
        // What was never counted is not there.
        let _ = self.stopped.remove_label_values(&[channel]);
        for kind in PaceKind::ALL.map(PaceKind::as_str).into_iter().chain(["pair"]) {
            let _ = self.waits.remove_label_values(&[channel, kind]);
        }
        self.forget_breaker("channel", channel);
    }

    /// The series of a breaker whose backend or channel is configured no more.
    pub(crate) fn forget_breaker(&self, kind: &str, name: &str) {
        let _ = self.breaker_state.remove_label_values(&[kind, name]);
        for state in [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open] {
            let _ = self.breaker_transitions.remove_label_values(&[kind, name, state.as_str()]);
        }
    }

    pub(crate) fn waited(&self, channel: &str, kind: &str) {
        self.waits.with_label_values(&[channel, kind]).inc();
    }

    pub(crate) fn wait_took(&self, wait: Duration) {
        self.wait_seconds.observe(wait.as_secs_f64());
    }

    pub(crate) fn breaker_is(&self, kind: &str, name: &str, state: BreakerState) {
        self.breaker_state.with_label_values(&[kind, name]).set(state as i64);
    }

    pub(crate) fn breaker_turned(&self, kind: &str, name: &str, state: BreakerState) {
        self.breaker_is(kind, name, state);
        self.breaker_transitions.with_label_values(&[kind, name, state.as_str()]).inc();
    }
}
