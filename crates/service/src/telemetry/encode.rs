//! Spans as OTLP's protobuf (opentelemetry-proto 1.x, `ExportTraceServiceRequest`), written straight from the spans. The
//! numbers are those of the fields in `trace.proto`, `common.proto` and `resource.proto`.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Span, SpanContext, Value, semconv::SCHEMA_URL};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

const SCOPE: &str = "whatsapp-router";
const STATUS_ERROR: u64 = 2;
/// The W3C flags; whether the parent is of another process is not said.
const SAMPLED: u32 = 1;

/// What is the same in every request of a process, encoded once.
pub(super) struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
    schema: Vec<u8>,
}

impl Envelope {
    pub(super) fn new(resource: &BTreeMap<String, String>) -> Self {
        let mut envelope = Self { resource: Vec::new(), scope: Vec::new(), schema: Vec::new() };
        message(&mut envelope.resource, 1, |out| {
            for (key, value) in resource {
                attribute(out, 1, key, |out| bytes(out, 1, value.as_bytes()));
            }
        });
        message(&mut envelope.scope, 1, |out| {
            bytes(out, 1, SCOPE.as_bytes());
            bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
        });
        bytes(&mut envelope.schema, 3, SCHEMA_URL.as_bytes());
        envelope
    }

    /// One request with these spans, as [`span`] has written them.
    pub(super) fn around(&self, spans: &[u8]) -> Vec<u8> {
        let mut scope_spans = Vec::with_capacity(8);
        let length = self.scope.len() + spans.len() + self.schema.len();
        head(&mut scope_spans, 2, length);
        let resource_spans = self.resource.len() + scope_spans.len() + length + self.schema.len();
        let mut out = Vec::with_capacity(16 + resource_spans);
        head(&mut out, 1, resource_spans);
        for part in [&self.resource, &scope_spans, &self.scope, spans, &self.schema, &self.schema] {
            out.extend_from_slice(part);
        }
        out
    }
}

/// Writes a span as one of the list in a request.
pub(super) fn span(out: &mut Vec<u8>, one: &Span) {
    // Its length goes in front and is known only afterwards: two bytes are right for nearly every span.
    const LENGTH: usize = 2;
    tag(out, 2, BYTES);
    let at = out.len();
    out.extend([0; LENGTH]);
    fields(out, one);
    let length = out.len() - at - LENGTH;
    if (0x80..0x4000).contains(&length) {
        out[at] = (length & 0x7f) as u8 | 0x80;
        out[at + 1] = (length >> 7) as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        varint(&mut prefix, length as u64);
        out.splice(at..at + LENGTH, prefix);
    }
}

fn fields(out: &mut Vec<u8>, span: &Span) {
    bytes(out, 1, &span.context.trace.to_bytes());
    bytes(out, 2, &span.context.span.to_bytes());
    if let Some(parent) = span.parent {
        bytes(out, 4, &parent.to_bytes());
    }
    bytes(out, 5, span.name.as_bytes());
    number(out, 6, span.kind as u64);
    fixed64(out, 7, nanoseconds(span.start));
    fixed64(out, 8, nanoseconds(span.end.max(span.start)));
    for (key, value) in &span.attributes {
        attribute(out, 9, key, |out| match value {
            Value::Number(value) => number(out, 3, value.cast_unsigned()),
            text => bytes(out, 1, text.as_text().unwrap_or_default().as_bytes()),
        });
    }
    for other in &span.links {
        message(out, 13, |out| link(out, other));
    }
    if span.failed {
        message(out, 15, |out| number(out, 3, STATUS_ERROR));
    }
    fixed32(out, 16, SAMPLED);
}

fn link(out: &mut Vec<u8>, other: &SpanContext) {
    bytes(out, 1, &other.trace.to_bytes());
    bytes(out, 2, &other.span.to_bytes());
    fixed32(out, 6, u32::from(other.sampled));
}

/// A `KeyValue`; `value` writes the `AnyValue`.
fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    message(out, field, |out| {
        bytes(out, 1, key.as_bytes());
        message(out, 2, value);
    });
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(out: &mut Vec<u8>, field: u32, kind: u32) {
    varint(out, u64::from(field << 3 | kind));
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn fixed64(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, FIXED64);
    out.extend(value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    tag(out, field, FIXED32);
    out.extend(value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    head(out, field, value.len());
    out.extend_from_slice(value);
}

/// What stands in front of so many bytes.
fn head(out: &mut Vec<u8>, field: u32, length: usize) {
    tag(out, field, BYTES);
    varint(out, length as u64);
}

/// A message within a message. Its length goes in front of it and is known only afterwards; most are short enough for
/// the one byte that is left for it.
fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, BYTES);
    let at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - at - 1;
    if length < 0x80 {
        out[at] = length as u8;
    } else {
        let mut prefix = Vec::with_capacity(10);
        varint(&mut prefix, length as u64);
        out.splice(at..=at, prefix);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        common::v1::any_value::Value as Decoded,
        trace::v1::{span::SpanKind, status::StatusCode},
    };
    use prost::Message as _;

    use super::*;
    use crate::telemetry::{Kind, SpanId, TraceId};

    fn context() -> SpanContext {
        SpanContext { trace: TraceId::random(), span: SpanId::random(), sampled: true }
    }

    /// Read back by the standard's own code.
    fn decoded(resource: &BTreeMap<String, String>, spans: &[Span]) -> ExportTraceServiceRequest {
        let mut list = Vec::new();
        spans.iter().for_each(|one| span(&mut list, one));
        ExportTraceServiceRequest::decode(&Envelope::new(resource).around(&list)[..]).unwrap()
    }

    #[test]
    fn everything_of_a_span_is_read_back() {
        let (parent, other) = (context(), context());
        let start = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let name: Arc<str> = Arc::from("orders");
        let span = Span::under(parent, Kind::Client, "POST /process", start)
            .until(start + Duration::from_millis(5))
            .with("http.response.status_code", 503_u16)
            .with("whatsapp_router.route", &name)
            .with("long", "x".repeat(20_000))
            .linked_to(other)
            .failed("503");
        let resource = BTreeMap::from([("service.name".to_owned(), "whatsapp-router".to_owned())]);
        let request = decoded(&resource, std::slice::from_ref(&span));
        let [of_resource] = &request.resource_spans[..] else { panic!("{request:?}") };
        let attributes = &of_resource.resource.as_ref().unwrap().attributes;
        assert_eq!(attributes[0].key, "service.name");
        let [of_scope] = &of_resource.scope_spans[..] else { panic!("{of_resource:?}") };
        assert_eq!(of_scope.schema_url, SCHEMA_URL);
        let [read] = &of_scope.spans[..] else { panic!("{of_scope:?}") };
        assert_eq!(read.trace_id, parent.trace.to_bytes());
        assert_eq!(read.span_id, span.context.span.to_bytes());
        assert_eq!(read.parent_span_id, parent.span.to_bytes());
        assert_eq!((read.name.as_str(), read.kind()), ("POST /process", SpanKind::Client));
        assert_eq!(read.start_time_unix_nano, 1_700_000_000_123_456_789);
        assert_eq!(read.end_time_unix_nano - read.start_time_unix_nano, 5_000_000);
        let value = |key: &str| {
            let found = read.attributes.iter().find(|attribute| attribute.key == key).unwrap();
            found.value.clone().unwrap().value.unwrap()
        };
        assert_eq!(value("http.response.status_code"), Decoded::IntValue(503));
        assert_eq!(value("whatsapp_router.route"), Decoded::StringValue("orders".to_owned()));
        assert_eq!(value("long"), Decoded::StringValue("x".repeat(20_000)));
        assert_eq!(value("error.type"), Decoded::StringValue("503".to_owned()));
        assert_eq!(read.links[0].trace_id, other.trace.to_bytes());
        assert_eq!(read.links[0].span_id, other.span.to_bytes());
        assert_eq!(read.status.as_ref().unwrap().code(), StatusCode::Error);
    }

    #[test]
    fn spans_of_every_length_are_read_back() {
        // 62 bytes and more: one, two and three bytes of length.
        for length in [0, 10, 40, 100, 16_000, 16_400, 3_000_000] {
            let span = Span::new(context(), Kind::Internal, "x".repeat(length), UNIX_EPOCH).until(UNIX_EPOCH);
            let request = decoded(&BTreeMap::new(), &[span.clone(), span]);
            let read = &request.resource_spans[0].scope_spans[0].spans;
            assert!(read.iter().all(|span| span.name.len() == length) && read.len() == 2, "{length}");
        }
    }

    #[test]
    fn a_root_has_no_parent_and_no_time_runs_backwards() {
        let start = UNIX_EPOCH + Duration::from_secs(5);
        let spans: Vec<_> =
            (0..300).map(|_| Span::new(context(), Kind::Server, "GET /", start).until(UNIX_EPOCH)).collect();
        let request = decoded(&BTreeMap::new(), &spans);
        let read = &request.resource_spans[0].scope_spans[0].spans;
        assert_eq!(read.len(), 300);
        assert!(read[0].parent_span_id.is_empty());
        assert_eq!(read[0].end_time_unix_nano, read[0].start_time_unix_nano);
        assert!(read[0].status.is_none());
    }
}
