//! The ids of a request, for what its handler says in the log.

use poem::Request;
use service::{
    http::{RequestFacts, RequestId, RequestTrace},
    telemetry::TraceId,
};
use tracing::field::DisplayValue;

/// By which a line is found that begins with an answer's headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestIds<'r>(Option<&'r RequestFacts>);

impl<'r> RequestIds<'r> {
    pub(super) fn of(request: &'r Request) -> Self {
        Self(RequestFacts::of(request))
    }

    pub(super) fn request_id(self) -> Option<&'r str> {
        self.0.map(RequestFacts::id).map(RequestId::as_str)
    }

    pub(super) fn trace_id(self) -> Option<DisplayValue<TraceId>> {
        self.trace().and_then(RequestTrace::trace_id)
    }

    /// The same when the answer is 5xx: then the trace is written down even if it is not sampled.
    pub(super) fn trace_id_of_failure(self) -> Option<DisplayValue<TraceId>> {
        self.trace().map(|trace| tracing::field::display(trace.context.trace))
    }

    pub(super) fn trace(self) -> Option<&'r RequestTrace> {
        self.0.and_then(RequestFacts::trace)
    }

    /// The handler has said why it refuses, with these ids.
    pub(super) fn told(self) {
        if let Some(facts) = self.0 {
            facts.told();
        }
    }
}
