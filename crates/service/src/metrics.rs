//! One registry per process, made and handed on rather than found in a global. Names follow the OpenTelemetry
//! conventions for HTTP and Prometheus' own for processes; ours carry the service's prefix.

mod catalogue;
mod checks;
mod client;
mod connections;
mod http;
mod process;
mod runtime;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, TextEncoder,
};

pub(crate) use self::http::method_label;
use self::{catalogue::Catalogue, runtime::RuntimeGauges};

pub use self::{
    catalogue::{Declared, to_markdown},
    client::HttpClientMetrics,
    connections::ConnectionMetrics,
    http::{ActiveRequest, HttpServerMetrics, UNMATCHED},
    process::ProcessCollector,
};

/// Buckets in seconds for HTTP durations (OpenTelemetry semantic conventions, `http.server.request.duration`).
pub const HTTP_DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// The same for calls that are made, which are given up after a time that is set and may be longer.
pub const HTTP_CALL_BUCKETS: [f64; 18] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0, 120.0,
];

/// The content type of what [`Metrics::encode`] returns.
pub const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

type Hook = Box<dyn Fn() + Send + Sync>;

/// The registry of a process and the metrics that every service has. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    catalogue: Catalogue,
    prefix: &'static str,
    server: HttpServerMetrics,
    connections: ConnectionMetrics,
    client: HttpClientMetrics,
    panics: IntCounter,
    runtime: RuntimeGauges,
    check_failing: IntGaugeVec,
    ready: IntGauge,
    before_scrape: RwLock<Vec<Hook>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("prefix", &self.inner.prefix).finish_non_exhaustive()
    }
}

impl Metrics {
    /// `prefix` is the service's own, such as `whatsapp_router`; `version` and `revision` end up in
    /// `<prefix>_build_info`.
    pub fn new(prefix: &'static str, version: &str, revision: &str) -> Self {
        let prefix = prefix.trim_end_matches('_');
        let catalogue = Catalogue::default();
        let build = Opts::new(format!("{prefix}_build_info"), "Always 1; the labels say what is running")
            .const_label("version", version)
            .const_label("revision", revision);
        catalogue.add(IntGauge::with_opts(build)).set(1);
        catalogue.add(Ok(ProcessCollector::new()));
        let named = |name: &str, help: &str| Opts::new(format!("{prefix}_{name}"), help);
        let check_failing = named("check_failing", "1 while a check of /health fails, by the check's name");
        let ready = named("ready", "1 while /readyz says that requests may be sent here");
        let inner = Inner {
            server: HttpServerMetrics::new(&catalogue),
            connections: ConnectionMetrics::new(&catalogue),
            client: HttpClientMetrics::new(&catalogue),
            panics: catalogue
                .add(IntCounter::with_opts(named("panics_total", "Panics in any task or request"))),
            runtime: RuntimeGauges::new(&catalogue),
            check_failing: catalogue.add(IntGaugeVec::new(check_failing, &["check"])),
            ready: catalogue.add(IntGauge::with_opts(ready)),
            before_scrape: RwLock::default(),
            catalogue,
            prefix,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What the HTTP edge records into.
    pub fn http_server(&self) -> &HttpServerMetrics {
        &self.inner.server
    }

    /// What listeners record into.
    pub fn connections(&self) -> &ConnectionMetrics {
        &self.inner.connections
    }

    /// What HTTP clients record into.
    pub fn http_client(&self) -> &HttpClientMetrics {
        &self.inner.client
    }

    /// Counts panics; the hook of [`crate::logging::install_panic_hook`] feeds it.
    pub fn panics(&self) -> &IntCounter {
        &self.inner.panics
    }

    /// All that were registered, by name.
    pub fn declared(&self) -> Vec<Declared> {
        self.inner.catalogue.declared()
    }

    fn options(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("{}_{name}", self.inner.prefix), help)
    }

    /// Registers `<prefix>_<name>`. Panics, as all of these do, when the name is taken or malformed: that is a
    /// mistake in the program which its first start shows.
    pub fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.inner.catalogue.add(IntCounter::with_opts(self.options(name, help)))
    }

    /// A counter with labels. Keep the handles of `with_label_values` on hot paths.
    pub fn counter_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.inner.catalogue.add(IntCounterVec::new(self.options(name, help), labels))
    }

    /// A whole number that goes up and down.
    pub fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.inner.catalogue.add(IntGauge::with_opts(self.options(name, help)))
    }

    /// Whole numbers that go up and down, with labels.
    pub fn gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.inner.catalogue.add(IntGaugeVec::new(self.options(name, help), labels))
    }

    /// A number with a fraction, such as an age in seconds.
    pub fn float_gauge(&self, name: &str, help: &str) -> Gauge {
        self.inner.catalogue.add(Gauge::with_opts(self.options(name, help)))
    }

    /// Numbers with a fraction, with labels.
    pub fn float_gauge_vec(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        self.inner.catalogue.add(GaugeVec::new(self.options(name, help), labels))
    }

    /// A histogram with these upper bounds.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts { common_opts: self.options(name, help), buckets: buckets.to_vec() };
        self.inner.catalogue.add(Histogram::with_opts(options))
    }

    /// Histograms with these upper bounds and labels.
    pub fn histogram_vec(&self, name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> HistogramVec {
        let options = HistogramOpts { common_opts: self.options(name, help), buckets: buckets.to_vec() };
        self.inner.catalogue.add(HistogramVec::new(options, labels))
    }

    /// Runs before every scrape, for numbers that are looked up rather than counted. Must be quick and not block.
    pub fn before_scrape(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.inner.before_scrape.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
    }

    /// Everything in the Prometheus text format; see [`TEXT_FORMAT`].
    pub fn encode(&self) -> String {
        for hook in self.inner.before_scrape.read().unwrap_or_else(PoisonError::into_inner).iter() {
            hook();
        }
        let mut text = String::with_capacity(16 * 1024);
        if let Err(error) =
            TextEncoder::new().encode_utf8(&self.inner.catalogue.registry().gather(), &mut text)
        {
            tracing::error!(%error, "metrics cannot be encoded");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn the_text_has_what_every_service_promises_and_our_own_with_the_prefix() {
        let metrics = Metrics::new("whatsapp_test_", "1.2.3", "abc");
        metrics.counter("things_total", "Things").inc_by(3);
        let text = metrics.encode();
        assert!(text.contains("whatsapp_test_build_info{revision=\"abc\",version=\"1.2.3\"} 1\n"), "{text}");
        assert!(text.contains("whatsapp_test_things_total 3\n"), "{text}");
        assert!(text.contains("whatsapp_test_panics_total 0\n"), "{text}");
        assert!(text.contains("http_server_active_requests 0\n"), "{text}");
    }

    #[test]
    fn a_hook_runs_before_each_scrape() {
        let metrics = Metrics::new("whatsapp_test", "1", "r");
        let depth = metrics.gauge("queue_depth", "Depth");
        let source = Arc::new(AtomicI64::new(7));
        let seen = Arc::clone(&source);
        metrics.before_scrape(move || depth.set(seen.load(Ordering::Relaxed)));
        assert!(metrics.encode().contains("whatsapp_test_queue_depth 7\n"));
        source.store(8, Ordering::Relaxed);
        assert!(metrics.encode().contains("whatsapp_test_queue_depth 8\n"));
    }

    #[test]
    #[should_panic(expected = "cannot be registered")]
    fn a_name_that_is_taken_is_noticed_at_once() {
        let metrics = Metrics::new("whatsapp_test", "1", "r");
        let _first = metrics.counter("things_total", "Things");
        let _second = metrics.counter("things_total", "Things");
    }
}
