//! The span of a request that is served.

use std::time::SystemTime;

use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, Method, StatusCode},
};

use crate::{
    metrics::{UNMATCHED, method_label},
    telemetry::{Kind, Span, SpanContext, TraceId, Tracer, semconv},
};

const TRACEPARENT: &str = "traceparent";
pub(super) const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Asked every few seconds and by machines: nobody looks for these in traces.
const UNTRACED: [&str; 6] = ["/livez", "/readyz", "/health", "/metrics", "/docs", "/openapi.json"];

pub(super) fn is_of_machines(path: &str) -> bool {
    UNTRACED.contains(&path)
}

/// Whose `traceparent` counts. Whoever's does decides what is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Strangers call: each request begins a trace.
    Nobody,
    /// Only that of calls whose path begins so.
    Below(&'static str),
    /// Only we call.
    Everybody,
}

/// The span of the request that a handler answers; find it with `request.data::<RequestTrace>()`. Absent when traces
/// are off.
#[derive(Debug, Clone, Copy)]
pub struct RequestTrace {
    /// The span, to begin others under.
    pub context: SpanContext,
    caller: Option<SpanContext>,
    start: SystemTime,
}

impl RequestTrace {
    pub(super) fn begin(tracer: &Tracer, trust: Trust, request: &Request) -> Option<Self> {
        if !tracer.is_on() || is_of_machines(request.uri().path()) {
            return None;
        }
        let trusted = match trust {
            Trust::Nobody => false,
            Trust::Below(path) => request.uri().path().starts_with(path),
            Trust::Everybody => true,
        };
        let caller =
            if trusted { request.header(TRACEPARENT).and_then(SpanContext::from_traceparent) } else { None };
        Some(Self { context: tracer.begin(caller)?, caller, start: SystemTime::now() })
    }

    /// True when somebody can find the trace by its id.
    fn is_told(&self, status: StatusCode) -> bool {
        self.context.sampled || status.is_server_error()
    }

    /// The trace's id for a line of the log, if the trace is written down whatever comes.
    pub fn trace_id(&self) -> Option<tracing::field::DisplayValue<TraceId>> {
        self.context.sampled.then(|| tracing::field::display(self.context.trace))
    }

    /// The trace's id, if it can be found by it.
    pub(super) fn id(&self, status: StatusCode) -> Option<HeaderValue> {
        let id = || HeaderValue::try_from(self.context.trace.to_string()).ok();
        if self.is_told(status) { id() } else { None }
    }

    pub(super) fn record(&self, tracer: &Tracer, method: &Method, route: &str, response: &Response) {
        let status = response.status();
        if !self.is_told(status) || (self.caller.is_some() && is_refusal(status)) {
            return;
        }
        let method = method_label(method);
        let matched = route != UNMATCHED;
        let name = if matched { format!("{method} {route}") } else { method.to_owned() };
        let span = Span::new(self.context, Kind::Server, name, self.start)
            .child_of(self.caller.map(|caller| caller.span))
            .with(semconv::HTTP_REQUEST_METHOD, method)
            .with(semconv::URL_SCHEME, "http")
            .with_some(semconv::HTTP_ROUTE, matched.then(|| route.to_owned()))
            .with(semconv::HTTP_RESPONSE_STATUS_CODE, status.as_u16());
        if status.is_server_error() {
            tracer.record_failure(span.failed(status.as_str().to_owned()));
        } else {
            tracer.record(span);
        }
    }
}

/// Whoever has no key must not fill the traces by saying that they are wanted.
fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}
