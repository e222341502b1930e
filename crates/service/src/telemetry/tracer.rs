//! The way from the code that is traced to the thread that sends.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{
    Sampler, Span, SpanContext, SpanId, TelemetrySettings, TraceId,
    batch::{Batcher, Counters},
    encode::Envelope,
    export::Exporter,
    pending::Pending,
    resource::resource,
};
use crate::metrics::Metrics;

/// Failures in a second that are written down although their traces are not sampled.
const FAILURES: u32 = 20;

/// Why traces can't be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The file of `OTEL_EXPORTER_OTLP_CERTIFICATE` can't be used.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {} can't be used: {why}; name a readable PEM file", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// TLS can't be set up.
    #[error("an HTTP client for traces can't be made: {0}")]
    Client(String),
    /// The system gives no thread.
    #[error("a thread for traces can't be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The traces of a process, from its start to its end.
#[derive(Debug)]
pub struct Telemetry {
    tracer: Tracer,
}

impl Telemetry {
    /// Starts the thread that sends, if there is somewhere to send to. `service` is the default name, such as
    /// `whatsapp-router`.
    pub fn start(
        settings: &TelemetrySettings,
        service: &str,
        version: &str,
        metrics: &Metrics,
    ) -> Result<Self, TelemetryError> {
        let counters = Counters::new(metrics);
        if !settings.unsupported.is_empty() {
            let variables = settings.unsupported.join(", ");
            tracing::warn!(variables, "these variables are not supported and have no effect; unset them");
        }
        let Some(endpoint) = &settings.endpoint else { return Ok(Self { tracer: Tracer::off() }) };
        let exporter = Exporter::new(endpoint)?;

        let dropped = counters.dropped.clone();
        let resource = resource(settings.service_name.as_deref(), &settings.attributes, service, version);
        let envelope = Envelope::new(&resource, endpoint.protocol);
        let pending = Arc::new(Pending::new(settings.batching, envelope.room()));
        let batcher = Batcher { pending: Arc::clone(&pending), exporter, envelope, counters, failing: false };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("telemetry".to_owned())
            .spawn(move || runtime.block_on(batcher.run()))?;
        let inner = Inner { sampler: settings.sampler, pending, dropped, failures: Mutex::default() };
        tracing::info!(
            collector = endpoint.url.host_str(),
            port = endpoint.url.port_or_known_default(),
            protocol = endpoint.protocol.name(),
            sampler = settings.sampler.name(),
            ratio = settings.sampler.ratio(),
            "traces are on"
        );
        Ok(Self { tracer: Tracer(Some(Arc::new(inner))) })
    }

    /// For whoever has something to write down.
    pub fn tracer(&self) -> &Tracer {
        &self.tracer
    }

    /// Sends what waits, for as long as this at most.
    pub async fn flush(&self, budget: Duration) {
        let Some(inner) = &self.tracer.0 else { return };
        // An error: the thread is gone with everything it had, and there is nothing to wait for.
        if tokio::time::timeout(budget, inner.pending.flush()).await.is_err() {
            tracing::warn!("some traces were not sent before the end");
        }
    }
}

/// Decides what is traced and takes spans that have ended. Cheap to clone, and free where traces are off.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

struct Inner {
    sampler: Sampler,
    pending: Arc<Pending>,
    dropped: prometheus::IntCounter,
    /// The second that is counted, and how many there were in it.
    failures: Mutex<(u64, u32)>,
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("on", &self.is_on()).finish()
    }
}

impl Tracer {
    /// Takes nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether anything is traced at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A new span's name: under the caller's, if there is a caller whose word counts. None when traces are off.
    pub fn begin(&self, caller: Option<SpanContext>) -> Option<SpanContext> {
        let inner = self.0.as_ref()?;
        let trace = caller.map_or_else(TraceId::random, |caller| caller.trace);
        let sampled = inner.sampler.samples(caller.as_ref(), trace);
        Some(SpanContext { trace, span: SpanId::random(), sampled })
    }

    /// Takes a span, if its trace is sampled. Never waits: when too many wait already, it is dropped and counted.
    pub fn record(&self, span: Span) {
        if let Some(inner) = self.0.as_ref().filter(|_| span.is_sampled()) {
            inner.take(span);
        }
    }

    /// Takes a span that tells of a failure also when its trace is not sampled, so that failures can be found; a few in
    /// a second only.
    pub fn record_failure(&self, span: Span) {
        let Some(inner) = &self.0 else { return };
        if span.is_sampled() || (inner.sampler.wants_failures() && inner.has_room_for_failure()) {
            inner.take(span);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pending.close();
    }
}

impl Inner {
    fn take(&self, span: Span) {
        if !self.pending.add(span) {
            self.dropped.inc();
        }
    }

    fn has_room_for_failure(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.0 != now {
            *failures = (now, 0);
        }
        failures.1 += 1;
        failures.1 <= FAILURES
    }
}
