//! A span that has ended, and how one is put together. It is encoded on the way: a message has nine of them, and what it
//! takes to keep their parts until later is more than what it takes to write them down.

use std::{
    cell::Cell,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Attributes, SpanContext, SpanId, Value, encode, semconv};

/// Room for a usual span, so that it need not grow.
const USUAL: usize = 448;
/// A span with many links is no measure for the next one.
const LARGEST_KEPT: usize = 4096;

thread_local! {
    /// The memory of the last span of this thread, for its next one: to find some is a good part of what a span costs.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Which side of a call a span is (OpenTelemetry, `SpanKind`; the numbers are those of OTLP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Work within the process.
    Internal = 1,
    /// Answers a call.
    Server = 2,
    /// Makes a call.
    Client = 3,
    /// Hands a message over.
    Producer = 4,
    /// Takes a message and works on it.
    Consumer = 5,
}

/// A span that has ended.
#[derive(Debug)]
pub struct Span {
    fields: Vec<u8>,
    sampled: bool,
    /// In nanoseconds since 1970.
    start: u64,
    /// The same; None: when it is recorded.
    end: Option<u64>,
}

impl Span {
    /// A root, which began at `start` and ends when it is recorded. The name is `name` in one.
    pub fn new<const N: usize>(context: SpanContext, kind: Kind, name: [&str; N], start: SystemTime) -> Self {
        let start = nanoseconds(start);
        let mut fields = ROOM.take();
        fields.clear();
        fields.reserve(USUAL);
        encode::begin(&mut fields, &context, kind, &name, start);
        Self { fields, sampled: context.sampled, start, end: None }
    }

    /// None makes it a root.
    #[must_use]
    pub fn child_of(mut self, parent: Option<SpanId>) -> Self {
        if let Some(parent) = parent {
            encode::parent(&mut self.fields, parent);
        }
        self
    }

    /// When it ended, if that is not now.
    #[must_use]
    pub fn until(mut self, end: SystemTime) -> Self {
        self.end = Some(nanoseconds(end));
        self
    }

    /// Adds an attribute; the name is one of [`super::semconv`] or begins with `whatsapp_router.`.
    #[must_use]
    #[inline]
    pub fn with<'a>(mut self, name: &'static str, value: impl Into<Value<'a>>) -> Self {
        encode::attribute(&mut self.fields, name, value.into());
        self
    }

    /// The same, when there is something to say.
    #[must_use]
    #[inline]
    pub fn with_some<'a>(self, name: &'static str, value: Option<impl Into<Value<'a>>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds what many spans have in common.
    #[must_use]
    #[inline]
    pub fn with_all(mut self, attributes: &Attributes) -> Self {
        self.fields.extend_from_slice(attributes.encoded());
        self
    }

    /// A span of another trace that this one came out of.
    #[must_use]
    pub fn linked_to(mut self, other: SpanContext) -> Self {
        encode::link(&mut self.fields, &other);
        self
    }

    /// It ended as an error, of this bounded type.
    #[must_use]
    pub fn failed<'a>(mut self, error_type: impl Into<Value<'a>>) -> Self {
        encode::failure(&mut self.fields);
        self.with(semconv::ERROR_TYPE, error_type)
    }

    /// The same, when there is one.
    #[must_use]
    pub fn failed_with<'a>(self, error_type: Option<impl Into<Value<'a>>>) -> Self {
        match error_type {
            Some(error_type) => self.failed(error_type),
            None => self,
        }
    }

    /// Whether its trace is written down.
    pub(super) fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Shows its fields as they are sent, with the end. Time does not run backwards in it.
    pub(super) fn encoded<T>(mut self, show: impl FnOnce(&[u8]) -> T) -> T {
        let end = self.end.unwrap_or_else(|| nanoseconds(SystemTime::now()));
        encode::end(&mut self.fields, end.max(self.start));
        let shown = show(&self.fields);
        if self.fields.capacity() <= LARGEST_KEPT {
            ROOM.set(self.fields);
        }
        shown
    }
}

fn nanoseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().saturating_mul(1_000_000_000).saturating_add(since.subsec_nanos().into())
}
