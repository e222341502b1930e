//! Spans as OTLP's protobuf (opentelemetry-proto 1.x, `ExportTraceServiceRequest`), written as they are put together. The
//! numbers are those of the fields in `trace.proto`, `common.proto` and `resource.proto`; fields may come in any order.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Kind, SpanContext, SpanId, Value, semconv::SCHEMA_URL, settings::Protocol};

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

const SCOPE: &str = "whatsapp-router";
const STATUS_ERROR: u64 = 2;
/// The W3C flags; whether the parent is of another process is not said.
const SAMPLED: u32 = 1;
/// The longest head of a message within a message.
const HEAD: usize = 11;
/// What stands in front of a message of gRPC: that it is not compressed, and its length (gRPC over HTTP/2,
/// "Length-Prefixed-Message").
const FRAME: usize = 5;

/// What is the same in every request of a process, encoded once.
pub(super) struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
    schema: Vec<u8>,
    protocol: Protocol,
}

impl Envelope {
    pub(super) fn new(resource: &BTreeMap<String, String>, protocol: Protocol) -> Self {
        let mut attributes = Vec::new();
        for (key, value) in resource {
            attribute_as(&mut attributes, 1, key, Value::Text(value));
        }
        let (mut resource, mut scope, mut schema) = (Vec::new(), Vec::new(), Vec::new());
        bytes(&mut resource, 1, &attributes);
        let mut name = Vec::new();
        bytes(&mut name, 1, SCOPE.as_bytes());
        bytes(&mut name, 2, env!("CARGO_PKG_VERSION").as_bytes());
        bytes(&mut scope, 1, &name);
        bytes(&mut schema, 3, SCHEMA_URL.as_bytes());
        Self { resource, scope, schema, protocol }
    }

    /// Room to leave in front of a list of spans.
    pub(super) fn room(&self) -> usize {
        FRAME + HEAD + self.resource.len() + HEAD + self.scope.len()
    }

    /// The body of one request: what stands behind [`Self::room`] in `list` are spans, as [`span`] has written them.
    pub(super) fn around(&self, mut list: Vec<u8>) -> Bytes {
        let room = self.room();
        let of_scope = self.scope.len() + (list.len() - room) + self.schema.len();
        let of_resource = self.resource.len() + within(of_scope) + self.schema.len();
        let mut front = Vec::with_capacity(room);
        if self.protocol == Protocol::Grpc {
            front.push(0);
            front.extend(u32::try_from(within(of_resource)).unwrap_or(u32::MAX).to_be_bytes());
        }
        head(&mut front, 1, of_resource);
        front.extend_from_slice(&self.resource);
        head(&mut front, 2, of_scope);
        front.extend_from_slice(&self.scope);
        let at = room - front.len();
        list[at..room].copy_from_slice(&front);
        list.extend_from_slice(&self.schema);
        list.extend_from_slice(&self.schema);
        Bytes::from(list).slice(at..)
    }
}

/// Writes a span as one of the list in a request.
pub(super) fn span(list: &mut Vec<u8>, fields: &[u8]) {
    bytes(list, 2, fields);
}

/// What is known when a span begins.
pub(super) fn begin(out: &mut Vec<u8>, context: &SpanContext, kind: Kind, name: &[&str], start: u64) {
    bytes(out, 1, &context.trace.to_bytes());
    bytes(out, 2, &context.span.to_bytes());
    head(out, 5, name.iter().map(|part| part.len()).sum());
    name.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
    number(out, 6, kind as u64);
    fixed64(out, 7, start);
    fixed32(out, 16, SAMPLED);
}

pub(super) fn parent(out: &mut Vec<u8>, parent: SpanId) {
    bytes(out, 4, &parent.to_bytes());
}

pub(super) fn end(out: &mut Vec<u8>, end: u64) {
    fixed64(out, 8, end);
}

pub(super) fn failure(out: &mut Vec<u8>) {
    head(out, 15, 2);
    number(out, 3, STATUS_ERROR);
}

pub(super) fn link(out: &mut Vec<u8>, other: &SpanContext) {
    let (trace, span) = (other.trace.to_bytes(), other.span.to_bytes());
    head(out, 13, within(trace.len()) + within(span.len()) + 5);
    bytes(out, 1, &trace);
    bytes(out, 2, &span);
    fixed32(out, 6, u32::from(other.sampled));
}

/// One of a span.
pub(super) fn attribute(out: &mut Vec<u8>, key: &str, value: Value<'_>) {
    attribute_as(out, 9, key, value);
}

/// A `KeyValue` with an `AnyValue` in it.
fn attribute_as(out: &mut Vec<u8>, field: u32, key: &str, value: Value<'_>) {
    let of_value = match value {
        Value::Text(text) => within(text.len()),
        Value::Number(number) => 1 + width(number.cast_unsigned()),
    };
    let of_all = within(key.len()) + within(of_value);
    out.reserve(within(of_all));
    head(out, field, of_all);
    bytes(out, 1, key.as_bytes());
    head(out, 2, of_value);
    match value {
        Value::Text(text) => bytes(out, 1, text.as_bytes()),
        Value::Number(value) => number(out, 3, value.cast_unsigned()),
    }
}

/// How many bytes so many take as a message within a message of ours, whose fields have small numbers.
fn within(length: usize) -> usize {
    1 + width(length as u64) + length
}

/// Of a varint: seven bits in each byte.
fn width(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
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
    out.extend_from_slice(&value.to_le_bytes());
}

fn fixed32(out: &mut Vec<u8>, field: u32, value: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

#[inline]
fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    head(out, field, value.len());
    out.extend_from_slice(value);
}

/// What stands in front of so many bytes.
#[inline]
fn head(out: &mut Vec<u8>, field: u32, length: usize) {
    if field < 16 && length < 0x80 {
        out.extend_from_slice(&[(field << 3 | BYTES) as u8, length as u8]);
    } else {
        tag(out, field, BYTES);
        varint(out, length as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, UNIX_EPOCH},
    };

    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        common::v1::any_value::Value as Decoded,
        trace::v1::{span::SpanKind, status::StatusCode},
    };
    use prost::Message as _;

    use super::*;
    use crate::telemetry::{Attributes, Span, TraceId};

    fn context() -> SpanContext {
        SpanContext { trace: TraceId::random(), span: SpanId::random(), sampled: true }
    }

    /// Read back by the standard's own code.
    fn decoded(resource: &BTreeMap<String, String>, spans: Vec<Span>) -> ExportTraceServiceRequest {
        let envelope = Envelope::new(resource, Protocol::Http);
        let mut list = vec![0; envelope.room()];
        spans.into_iter().for_each(|one| one.encoded(|fields| span(&mut list, fields)));
        let framed = Envelope::new(resource, Protocol::Grpc).around(list.clone());
        let plain = envelope.around(list);
        assert_eq!(framed[5..], plain[..]);
        assert_eq!(framed[..5], [&[0][..], &u32::try_from(plain.len()).unwrap().to_be_bytes()].concat());
        ExportTraceServiceRequest::decode(plain).unwrap()
    }

    #[test]
    fn everything_of_a_span_is_read_back() {
        let (parent, other) = (context(), context());
        let start = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let name: Arc<str> = Arc::from("orders");
        let child = SpanContext { span: SpanId::random(), ..parent };
        let common = Attributes::default().with("server.port", 8080_u16).with_some("none", None::<&str>);
        let span = Span::new(child, Kind::Client, ["POST", " ", "/process"], start)
            .child_of(Some(parent.span))
            .with_all(&common)
            .until(start + Duration::from_millis(5))
            .with("http.response.status_code", 503_u16)
            .with("whatsapp_router.route", &name)
            .with("long", &"x".repeat(20_000))
            .linked_to(other)
            .failed("503");
        let resource = BTreeMap::from([("service.name".to_owned(), "whatsapp-router".to_owned())]);
        let request = decoded(&resource, vec![span]);
        let [of_resource] = &request.resource_spans[..] else { panic!("{request:?}") };
        let attributes = &of_resource.resource.as_ref().unwrap().attributes;
        assert_eq!(attributes[0].key, "service.name");
        let [of_scope] = &of_resource.scope_spans[..] else { panic!("{of_resource:?}") };
        assert_eq!(of_scope.schema_url, SCHEMA_URL);
        let [read] = &of_scope.spans[..] else { panic!("{of_scope:?}") };
        assert_eq!(read.trace_id, parent.trace.to_bytes());
        assert_eq!(read.span_id, child.span.to_bytes());
        assert_eq!(read.parent_span_id, parent.span.to_bytes());
        assert_eq!((read.name.as_str(), read.kind()), ("POST /process", SpanKind::Client));
        assert_eq!(read.start_time_unix_nano, 1_700_000_000_123_456_789);
        assert_eq!(read.end_time_unix_nano - read.start_time_unix_nano, 5_000_000);
        let value = |key: &str| {
            let found = read.attributes.iter().find(|attribute| attribute.key == key).unwrap();
            found.value.clone().unwrap().value.unwrap()
        };
        assert_eq!(value("http.response.status_code"), Decoded::IntValue(503));
        assert_eq!(value("server.port"), Decoded::IntValue(8080));
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
            let name = "x".repeat(length);
            let span = || Span::new(context(), Kind::Internal, [&*name], UNIX_EPOCH).until(UNIX_EPOCH);
            let request = decoded(&BTreeMap::new(), vec![span(), span()]);
            let read = &request.resource_spans[0].scope_spans[0].spans;
            assert!(read.iter().all(|span| span.name.len() == length) && read.len() == 2, "{length}");
        }
    }

    #[test]
    fn a_root_has_no_parent_and_no_time_runs_backwards() {
        let start = UNIX_EPOCH + Duration::from_secs(5);
        let span = |_| Span::new(context(), Kind::Server, ["GET /"], start).until(UNIX_EPOCH);
        let request = decoded(&BTreeMap::new(), (0..300).map(span).collect());
        let read = &request.resource_spans[0].scope_spans[0].spans;
        assert_eq!(read.len(), 300);
        assert!(read[0].parent_span_id.is_empty());
        assert_eq!(read[0].end_time_unix_nano, read[0].start_time_unix_nano);
        assert!(read[0].status.is_none());
    }
}
