//! What of the work on a message is written down as spans: from its way in to its end, every call of others, every
//! commit, and the waits that limits impose. Names are of [`semconv`] or begin with `whatsapp_router.`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use service::telemetry::{Attributes, Callee, Kind, Span, SpanContext, SpanId, TraceId, Tracer, semconv};
use uuid::Uuid;
use whatsapp::client::SendError;

use super::lane::Lane;
use crate::{
    backend::{Answer, BackendError},
    routing::Backend,
    store::{Cause, Item, Micros, Outcome, Queue, Trace},
};

const OUTCOME: &str = "whatsapp_router.outcome";
const REASON: &str = "whatsapp_router.reason";
const BACKEND: &str = "whatsapp_router.backend";
const ROUTE: &str = "whatsapp_router.route";
/// What is done with a message of the inbox, and with one of the outbox.
const PROCESS: &str = "process";
const SEND: &str = "send";
const ATTEMPTS: &str = "whatsapp_router.failed_attempts";

/// Below the address of the Graph API. Which number it is, is not told.
pub(super) const GRAPH_TEMPLATE: &str = "/{version}/{phone_number_id}/messages";

/// A shorter wait is no wait.
const WAIT_WORTH_TELLING: Duration = Duration::from_millis(1);

/// Writes down spans of the engine. Where nothing is sampled it costs a look at an `Option`.
#[derive(Debug, Clone, Default)]
pub(super) struct Spans {
    tracer: Tracer,
    database: Attributes,
    processing: Attributes,
    sending: Attributes,
}

/// A call that is being made, or a commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    context: SpanContext,
    parent: SpanId,
    start: SystemTime,
}

impl Begun {
    fn under(parent: SpanContext) -> Self {
        let context = SpanContext { span: SpanId::random(), ..parent };
        Self { context, parent: parent.span, start: SystemTime::now() }
    }

    fn span(&self, kind: Kind, name: &'static str) -> Span {
        Span::new(self.context, kind, [name], self.start).child_of(Some(self.parent))
    }
}

impl Spans {
    /// `database`: `sqlite` or `postgresql`.
    pub(super) fn new(tracer: Tracer, database: &'static str) -> Self {
        let [processing, sending] = [PROCESS, SEND].map(|operation| {
            Attributes::default()
                .with(semconv::MESSAGING_SYSTEM, "whatsapp")
                .with(semconv::MESSAGING_OPERATION_NAME, operation)
                .with(semconv::MESSAGING_OPERATION_TYPE, operation)
        });
        let database = Attributes::default().with(semconv::DB_SYSTEM_NAME, database);
        Self { tracer, database, processing, sending }
    }

    /// Something that is done for an item begins now; `None` when the item is not sampled.
    pub(super) fn begin(&self, item: &Item) -> Option<Begun> {
        let trace = item.trace.filter(|_| self.tracer.is_on())?;
        Some(Begun::under(trace.context(item.id)))
    }

    /// The same for a webhook.
    pub(super) fn begin_under(&self, parent: Option<SpanContext>) -> Option<Begun> {
        parent.filter(|parent| parent.sampled && self.tracer.is_on()).map(Begun::under)
    }

    /// The same for what a request of the API brings.
    pub(super) fn begin_beside(&self, brought: Option<Trace>) -> Option<Begun> {
        let Trace { trace, cause } = brought?;
        match cause {
            Cause::Parent(span) => self.begin_under(Some(SpanContext { trace, span, sampled: true })),
            Cause::Link(..) => None,
        }
    }

    /// What a backend is told. It is told of what is not sampled, too: it would decide for itself otherwise.
    pub(super) fn traceparent(&self, call: Option<&Begun>, item: &Item) -> Option<String> {
        let context = match call {
            Some(call) => Some(call.context),
            None if self.tracer.is_on() => unsampled(item),
            None => None,
        };
        context.map(|context| context.traceparent())
    }

    /// A call of a backend has ended; `burst` are all the messages that were in it.
    pub(super) fn asked<'b>(
        &self,
        call: Option<Begun>,
        item: &Item,
        burst: impl Iterator<Item = &'b Item>,
        (route, backend): (&Arc<str>, &Backend),
        (status, answer): (Option<u16>, &Result<Answer, BackendError>),
    ) {
        let Some(call) = call else { return };
        let mut span = http(call.span(Kind::Client, "POST /process"), item.attempts, &backend.callee)
            .with(BACKEND, &backend.name)
            .with(ROUTE, route)
            .with_some(semconv::HTTP_RESPONSE_STATUS_CODE, status)
            .failed_with(answer.as_ref().err().map(BackendError::reason));
        for other in burst.filter(|other| other.seq != item.seq) {
            if let Some(trace) = other.trace {
                span = span.linked_to(trace.context(other.id));
            }
        }
        self.tracer.record(span);
    }

    /// A call of Graph has ended, after so many failed ones.
    pub(super) fn called_graph<T>(
        &self,
        call: Option<Begun>,
        failed_before: u32,
        graph: &Callee,
        result: &Result<T, SendError>,
    ) {
        let Some(call) = call else { return };
        let (status, failure) = match result {
            Ok(_) => (Some(200_u16), None),
            Err(error) => (error.http_status(), Some(error.reason())),
        };
        let call = call.span(Kind::Client, "POST /{version}/{phone_number_id}/messages");
        let span = http(call, failed_before, graph)
            .with_some(semconv::HTTP_RESPONSE_STATUS_CODE, status)
            .failed_with(failure);
        self.tracer.record(span);
    }

    /// A send had to wait for limits.
    pub(super) fn waited(&self, wait: Option<Begun>) {
        if let Some(wait) = wait
            && wait.start.elapsed().is_ok_and(|waited| waited >= WAIT_WORTH_TELLING)
        {
            self.tracer.record(wait.span(Kind::Internal, "wait for pace"));
        }
    }

    /// A commit was made, of so many messages, or was refused.
    pub(super) fn committed(
        &self,
        commit: Option<Begun>,
        operation: &'static str,
        messages: Option<usize>,
        refused: bool,
    ) {
        let Some(commit) = commit else { return };
        let span = commit
            .span(Kind::Client, operation)
            .with_all(&self.database)
            .with(semconv::DB_OPERATION_NAME, operation)
            .with_some(semconv::MESSAGING_BATCH_MESSAGE_COUNT, messages)
            .failed_with(refused.then_some("store"));
        self.tracer.record(span);
    }

    /// A message's own span, from when it was stored to its end. What was given up is written down whether or not it is
    /// sampled.
    pub(super) fn ended(&self, lane: &Lane, item: &Item, outcome: &Outcome, now: Micros) {
        let (context, cause) = match item.trace {
            _ if !self.tracer.is_on() => return,
            Some(trace) => (trace.context(item.id), Some(trace.cause)),
            None if matches!(outcome, Outcome::Dead(_)) => match unsampled(item) {
                Some(context) => (context, None),
                None => return,
            },
            None => return,
        };
        let (kind, operation, common) = match lane.lease.queue {
            Queue::Inbox => (Kind::Consumer, PROCESS, &self.processing),
            Queue::Outbox => (Kind::Producer, SEND, &self.sending),
        };
        let mut id = Uuid::encode_buffer();
        let mut correlation = Uuid::encode_buffer();
        let title = [operation, " ", &lane.channel];
        let span = Span::new(context, kind, title, time(item.created_at))
            .until(time(now))
            .with_all(common)
            .with(semconv::MESSAGING_DESTINATION_NAME, &lane.channel)
            .with(semconv::MESSAGING_MESSAGE_ID, &*item.id.0.hyphenated().encode_lower(&mut id))
            .with(
                semconv::MESSAGING_MESSAGE_CONVERSATION_ID,
                &*item.correlation.0.hyphenated().encode_lower(&mut correlation),
            )
            .with(OUTCOME, name(outcome))
            .with_some(ATTEMPTS, (item.attempts > 0).then_some(item.attempts));
        let span = match cause {
            Some(Cause::Parent(parent)) => span.child_of(Some(parent)),
            Some(Cause::Link(trace, span_id)) => {
                span.linked_to(SpanContext { trace, span: span_id, sampled: true })
            }
            None => span,
        };
        match outcome {
            Outcome::Dead(refusal) => self.tracer.record_failure(span.failed(refusal.reason)),
            Outcome::NotAnswered { reason } => self.tracer.record(span.with(REASON, reason)),
            Outcome::Answered(_) | Outcome::Sent { .. } => self.tracer.record(span),
        }
    }
}

fn http(span: Span, failed_before: u32, callee: &Callee) -> Span {
    span.with(semconv::HTTP_REQUEST_METHOD, "POST")
        .with_some(semconv::HTTP_REQUEST_RESEND_COUNT, (failed_before > 0).then_some(failed_before))
        .calling(callee)
}

/// What is not sampled is known by the ids that it has anyway, so that its failures can be found.
fn unsampled(item: &Item) -> Option<SpanContext> {
    let trace = TraceId::from_bytes(item.correlation.0.into_bytes())?;
    let cause = Cause::Parent(SpanId::random());
    Some(SpanContext { sampled: false, ..Trace { trace, cause }.context(item.id) })
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(_) => "answered",
        Outcome::NotAnswered { .. } => "not_answered",
        Outcome::Sent { .. } => "sent",
        Outcome::Dead(_) => "dead",
    }
}

fn time(at: Micros) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at).unwrap_or_default())
}
