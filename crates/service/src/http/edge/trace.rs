//! The span of a request that is served.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use poem::{
    Request, Response,
    http::{HeaderName, HeaderValue, Method, StatusCode, Version},
};

use crate::{
    metrics::method_label,
    telemetry::{Attributes, Kind, Span, SpanContext, TraceId, Tracer, semconv},
};

const TRACEPARENT: &str = "traceparent";
pub(super) const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");

/// Asked every few seconds, by machines, or by operators about the process: nobody looks for these in traces.
const UNTRACED: [&str; 7] =
    ["/livez", "/readyz", "/health", "/metrics", "/log-level", "/docs", "/openapi.json"];

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

/// Where requests come in, as spans say it.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Attributes);

impl Place {
    pub(super) fn at(address: SocketAddr) -> Self {
        // None where all addresses of the machine are listened on.
        let ip = Some(address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_string());
        Self(
            Attributes::default()
                .with_some(semconv::SERVER_ADDRESS, ip.as_ref())
                .with(semconv::SERVER_PORT, address.port()),
        )
    }
}

/// The span of the request that a handler answers.
#[derive(Debug, Clone, Copy)]
pub struct RequestTrace {
    /// The span, to begin others under.
    pub context: SpanContext,
    caller: Option<SpanContext>,
    start: SystemTime,
    version: Option<&'static str>,
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
        let version = version(request.version());
        Some(Self { context: tracer.begin(caller)?, caller, start: SystemTime::now(), version })
    }

    /// True when somebody can find the trace by its id.
    fn is_told(&self, status: StatusCode) -> bool {
        self.context.sampled || status.is_server_error()
    }

    /// The trace's id for a line of the log, if the trace is written down whatever comes.
    pub fn trace_id(&self) -> Option<tracing::field::DisplayValue<TraceId>> {
        self.context.sampled.then(|| tracing::field::display(self.context.trace))
    }

    /// The same for the line of an answer.
    pub(super) fn told_id(&self, status: StatusCode) -> Option<tracing::field::DisplayValue<TraceId>> {
        self.is_told(status).then(|| tracing::field::display(self.context.trace))
    }

    /// The trace's id as a header, if it can be found by it. Whoever goes on with a trace of its own knows the id, and is
    /// reminded of it when something went wrong only.
    pub(super) fn id(&self, status: StatusCode) -> Option<HeaderValue> {
        let is_known = self.caller.is_some() && status.is_success();
        let id = || HeaderValue::try_from(self.context.trace.to_string()).ok();
        if self.is_told(status) && !is_known { id() } else { None }
    }

    /// `template` is that of the path; None when nothing serves it.
    pub(super) fn record(
        &self,
        tracer: &Tracer,
        place: &Place,
        method: &Method,
        template: Option<&Arc<str>>,
        response: &Response,
    ) {
        let status = response.status();
        if !self.is_told(status) || (self.caller.is_some() && is_refusal(status)) {
            return;
        }
        let method = method_label(method);
        let name = match template {
            Some(template) => [method, " ", template],
            None => [method, "", ""],
        };
        let span = Span::new(self.context, Kind::Server, name, self.start)
            .child_of(self.caller.map(|caller| caller.span))
            .with(semconv::HTTP_REQUEST_METHOD, method)
            .with(semconv::URL_SCHEME, "http")
            .with_some(semconv::URL_PATH, template)
            .with_some(semconv::HTTP_ROUTE, template)
            .with_all(&place.0)
            .with_some(semconv::NETWORK_PROTOCOL_VERSION, self.version)
            .with(semconv::HTTP_RESPONSE_STATUS_CODE, status.as_u16());
        if status.is_server_error() {
            tracer.record_failure(span.failed(status.as_str()));
        } else {
            tracer.record(span);
        }
    }
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

/// Whoever has no key must not fill the traces by saying that they are wanted.
fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}
