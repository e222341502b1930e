//! What monitoring sees of secrets.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use prometheus::{IntCounterVec, IntGauge};

use crate::metrics::Metrics;

/// What one reading of the files came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Changed,
    Unchanged,
    Unreadable,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Changed, Self::Unchanged, Self::Unreadable];

    fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Unreadable => "unreadable",
        }
    }
}

#[derive(Debug)]
pub(super) struct Meters {
    reloads: IntCounterVec,
    unreadable: IntGauge,
    read_at: Arc<Mutex<Instant>>,
}

impl Meters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let reloads = metrics.counter_vec(
            "secret_reloads_total",
            "Readings of the folder of secrets by what they came to: changed, unchanged, unreadable",
            &["result"],
        );
        for outcome in Outcome::ALL {
            reloads.with_label_values(&[outcome.as_str()]);
        }
        let unreadable = metrics
            .gauge("secrets_unreadable", "Files and folders of secrets that are there and can't be read");
        let age = metrics.float_gauge(
            "secrets_age_seconds",
            "Since the folder of secrets was last read; more than SECRETS_POLL_INTERVAL: the file system hangs",
        );
        let read_at = Arc::new(Mutex::new(Instant::now()));
        metrics.before_scrape({
            let read_at = Arc::clone(&read_at);
            move || age.set(read_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed().as_secs_f64())
        });
        Self { reloads, unreadable, read_at }
    }

    pub(super) fn read(&self, outcome: Outcome, unreadable: usize) {
        self.reloads.with_label_values(&[outcome.as_str()]).inc();
        self.unreadable.set(i64::try_from(unreadable).unwrap_or(i64::MAX));
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}
