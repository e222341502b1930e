//! By which trace a message is told about. It is stored with the message, so that the trace goes on over queues,
//! restarts and replicas.

use service::telemetry::{SpanContext, SpanId, TraceId};

use super::MessageId;

/// Only of what is sampled. The span of a message itself is named by the message's id, so that whoever ends the message
/// can write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    pub trace: TraceId,
    pub cause: Cause,
}

/// What the message came out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A span of the same trace.
    Parent(SpanId),
    /// A span of another trace: a webhook that brought several messages, each with a trace of its own.
    Link(TraceId, SpanId),
}

impl Trace {
    /// Of one of `count` messages that the span brought.
    pub fn brought_by(span: SpanContext, count: usize) -> Self {
        if count == 1 {
            Self { trace: span.trace, cause: Cause::Parent(span.span) }
        } else {
            Self { trace: TraceId::random(), cause: Cause::Link(span.trace, span.span) }
        }
    }

    /// Of a message that came out of this one, whose id is `id`.
    pub fn child(self, id: MessageId) -> Self {
        Self { trace: self.trace, cause: Cause::Parent(span_of(id)) }
    }

    /// The span of the message whose id is `id`.
    pub fn context(self, id: MessageId) -> SpanContext {
        SpanContext { trace: self.trace, span: span_of(id), sampled: true }
    }

    /// As few bytes as say it: 24 with a parent, 40 with a link.
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(40);
        bytes.extend(self.trace.to_bytes());
        match self.cause {
            Cause::Parent(span) => bytes.extend(span.to_bytes()),
            Cause::Link(trace, span) => {
                bytes.extend(trace.to_bytes());
                bytes.extend(span.to_bytes());
            }
        }
        bytes
    }

    /// None for what `to_bytes` would not have written: a trace is not worth refusing a message.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (trace, cause) = bytes.split_first_chunk::<16>()?;
        let cause = match cause.len() {
            8 => Cause::Parent(SpanId::from_bytes(cause.try_into().ok()?)?),
            24 => {
                let (trace, span) = cause.split_first_chunk::<16>()?;
                Cause::Link(TraceId::from_bytes(*trace)?, SpanId::from_bytes(span.try_into().ok()?)?)
            }
            _ => return None,
        };
        Some(Self { trace: TraceId::from_bytes(*trace)?, cause })
    }
}

/// The second half of a UUIDv7 is random but for two bits, which are never both zero.
fn span_of(id: MessageId) -> SpanId {
    let (_, low) = id.0.as_u64_pair();
    SpanId::from_bytes(low.max(1).to_be_bytes()).unwrap_or_else(SpanId::random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_what_it_writes_and_nothing_else() {
        let web = SpanContext { trace: TraceId::random(), span: SpanId::random(), sampled: true };
        for (count, length) in [(1, 24), (2, 40)] {
            let trace = Trace::brought_by(web, count);
            let bytes = trace.to_bytes();
            assert_eq!(bytes.len(), length);
            assert_eq!(Trace::from_bytes(&bytes), Some(trace));
            assert_eq!(Trace::from_bytes(&bytes[1..]), None);
            assert_eq!(trace.trace == web.trace, count == 1, "several messages have a trace each");
        }
        for length in [0, 16, 24, 40] {
            assert_eq!(Trace::from_bytes(&vec![0; length]), None);
        }
    }

    #[test]
    fn a_reply_hangs_under_the_span_of_the_message_it_answers() {
        let message = MessageId::generate();
        let trace = Trace { trace: TraceId::random(), cause: Cause::Parent(SpanId::random()) };
        assert_eq!(trace.child(message).cause, Cause::Parent(trace.context(message).span));
        assert_eq!(trace.child(message).trace, trace.trace);
    }
}
