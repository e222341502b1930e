//! How busy the async runtime is, read from it at each scrape.

use std::sync::{Mutex, PoisonError};

use prometheus::{Counter, IntGauge};
use tokio::runtime::{Handle, RuntimeMetrics};

use super::{Metrics, catalogue::Catalogue};

/// `tokio_workers`, `tokio_alive_tasks`, `tokio_queued_tasks` and `tokio_busy_seconds_total`. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct RuntimeGauges {
    workers: IntGauge,
    alive: IntGauge,
    queued: IntGauge,
    busy: Counter,
}

impl RuntimeGauges {
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let gauge = |name, help| catalogue.add(IntGauge::new(name, help));
        let busy = Counter::new(
            "tokio_busy_seconds_total",
            "Time in which threads of the runtime worked, all together; its rate divided by tokio_workers is how busy they are",
        );
        Self {
            workers: gauge("tokio_workers", "Threads of the async runtime"),
            alive: gauge("tokio_alive_tasks", "Tasks that have not ended"),
            queued: gauge("tokio_queued_tasks", "Tasks that are ready and wait for any thread"),
            busy: catalogue.add(busy),
        }
    }

    fn read(&self, runtime: &RuntimeMetrics) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.workers.set(whole(runtime.num_workers()));
        self.alive.set(whole(runtime.num_alive_tasks()));
        self.queued.set(whole(runtime.global_queue_depth()));
        let busy: f64 = busy_seconds(runtime);
        self.busy.inc_by((busy - self.busy.get()).max(0.0));
    }
}

/// Only counted where the processor has 64-bit atomics.
#[cfg(target_has_atomic = "64")]
fn busy_seconds(runtime: &RuntimeMetrics) -> f64 {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker).as_secs_f64()).sum()
}

#[cfg(not(target_has_atomic = "64"))]
fn busy_seconds(_runtime: &RuntimeMetrics) -> f64 {
    0.0
}

impl Metrics {
    /// Looks at the runtime that this is called in before every scrape; outside of one nothing is shown.
    pub fn watch_runtime(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let gauges = self.inner.runtime.clone();
        // Two scrapes at once must not add the same time twice.
        let reading = Mutex::new(runtime.metrics());
        self.before_scrape(move || gauges.read(&reading.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_runtime_of_the_caller_is_shown() {
        let metrics = Metrics::new("whatsapp_test", "1", "r");
        metrics.watch_runtime();
        let text = metrics.encode();
        assert!(text.contains("\ntokio_workers 2\n"), "{text}");
        assert!(text.contains("\ntokio_busy_seconds_total "), "{text}");
    }
}
