//! A span that has ended, and how one is put together.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use super::{SpanContext, SpanId};

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

/// What an attribute says. Never a phone number, a name, a text or a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word of the program.
    Fixed(&'static str),
    /// A name out of the configuration.
    Shared(Arc<str>),
    /// Anything else that is text.
    Text(String),
    /// A number.
    Number(i64),
}

impl Value {
    /// The text; None for a number.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Fixed(text) => Some(text),
            Self::Shared(text) => Some(text),
            Self::Text(text) => Some(text),
            Self::Number(_) => None,
        }
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Shared(text.clone())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub struct Span {
    pub(super) context: SpanContext,
    pub(super) parent: Option<SpanId>,
    pub(super) kind: Kind,
    pub(super) name: Cow<'static, str>,
    pub(super) start: SystemTime,
    pub(super) end: SystemTime,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) links: Vec<SpanContext>,
    pub(super) failed: bool,
}

impl Span {
    /// A root, which began at `start` and ends now.
    pub fn new(
        context: SpanContext,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        start: SystemTime,
    ) -> Self {
        Self {
            context,
            parent: None,
            kind,
            name: name.into(),
            start,
            end: SystemTime::now(),
            attributes: Vec::with_capacity(10),
            links: Vec::new(),
            failed: false,
        }
    }

    /// A new span under another one.
    pub fn under(
        parent: SpanContext,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        start: SystemTime,
    ) -> Self {
        let context = SpanContext { span: SpanId::random(), ..parent };
        Self::new(context, kind, name, start).child_of(Some(parent.span))
    }

    /// None makes it a root.
    #[must_use]
    pub fn child_of(mut self, parent: Option<SpanId>) -> Self {
        self.parent = parent;
        self
    }

    /// When it ended, if that is not now.
    #[must_use]
    pub fn until(mut self, end: SystemTime) -> Self {
        self.end = end;
        self
    }

    /// Adds an attribute; the name is one of [`super::semconv`] or begins with `whatsapp_router.`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// The same, when there is something to say.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A span of another trace that this one came out of.
    #[must_use]
    pub fn linked_to(mut self, other: SpanContext) -> Self {
        self.links.push(other);
        self
    }

    /// It ended as an error, of this bounded type.
    #[must_use]
    pub fn failed(mut self, error_type: impl Into<Value>) -> Self {
        self.failed = true;
        self.with(super::semconv::ERROR_TYPE, error_type)
    }

    /// The same, when there is one.
    #[must_use]
    pub fn failed_with(self, error_type: Option<impl Into<Value>>) -> Self {
        match error_type {
            Some(error_type) => self.failed(error_type),
            None => self,
        }
    }
}
