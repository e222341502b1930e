//! Traces in the form of OpenTelemetry, without its SDK: a span is written down once, when it has ended, so that one
//! span can begin in one process and end in another, and what is not sampled costs nothing.

mod attributes;
mod batch;
mod callee;
mod encode;
mod export;
pub mod ids;
mod pending;
mod resource;
mod sampler;
pub mod semconv;
mod settings;
mod span;
mod tracer;

pub use self::{
    attributes::{Attributes, Value},
    callee::Callee,
    ids::{SpanContext, SpanId, TraceId},
    sampler::Sampler,
    settings::{Protocol, TelemetrySettings},
    span::{Kind, Span},
    tracer::{Telemetry, TelemetryError, Tracer},
};

/// Registers what is counted of traces, for the reference of all metrics.
pub fn declare_metrics(metrics: &crate::metrics::Metrics) {
    let _registers = batch::Counters::new(metrics);
}
