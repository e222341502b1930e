//! `/api/v1/messages`: send one, look at those of both directions.

use std::sync::Arc;

use poem::Request;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Path, Query},
    payload::Json,
    types::Example,
};
use service::http::{Problem, RequestFacts};

use super::{
    contact::identifier,
    message_view::{DirectionItem, MessageItem, MessagePage, STATUSES},
    paging::{List, given},
    send::{SendMessage, Sendable, idempotency},
};
use crate::{
    api::{
        RouterTag,
        access::{Caller, Reader},
        desk::Desk,
        json_body::RawObject,
        refused::{Finding, Listing, NO_KEYS, Reason, Reasons, Refused, UNAUTHORIZED},
        times,
    },
    pacing::SERVICE_WINDOW,
    routing::LiveTable,
    store::{Enqueued, MessageFilter, MessageId, Micros, NewOutbound, NewSend, Trace, now},
};

/// See the module.
#[derive(Debug, Clone)]
pub struct MessagesApi {
    pub desk: Desk,
    pub table: LiveTable,
}

/// A message that will be sent.
#[derive(Debug, Object)]
#[oai(example)]
struct Queued {
    /// Names the message; see `GET /api/v1/messages/{id}`.
    id: String,
    /// `queued`; for a call that was repeated, what became of the message since.
    status: String,
}

impl Example for Queued {
    fn example() -> Self {
        Self { id: "019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b".to_owned(), status: "queued".to_owned() }
    }
}

#[derive(ApiResponse)]
enum SendAnswer {
    /// It is on disk and will be sent: paced, retried and in order with everything else of its conversation. Or it was
    /// before, when the same call was made again under its `Idempotency-Key`.
    #[oai(status = 202)]
    Queued(
        Json<Queued>,
        /// Where the message is.
        #[oai(header = "Location")]
        String,
        /// `true` when this call was made before: nothing was stored now.
        #[oai(header = "Idempotency-Replayed")]
        Option<String>,
    ),
}

#[derive(ApiResponse)]
enum MessagesAnswer {
    /// A page of messages.
    #[oai(status = 200)]
    Page(Json<MessagePage>),
}

#[derive(ApiResponse)]
enum MessageAnswer {
    /// The message.
    #[oai(status = 200)]
    Found(Json<MessageItem>),
}

struct Sending;
impl Reasons for Sending {
    const ALL: &'static [Reason] = &[
        (
            400,
            "It can't be sent like this (`invalid_message`, `field` names the place), the body is no JSON \
             (`invalid_json`), or a parameter is wrong (`invalid_request`). Nothing was stored.",
        ),
        UNAUTHORIZED,
        NO_KEYS,
        (
            409,
            "The `Idempotency-Key` was used for another body (`idempotency_key_reused`), or the person did not write \
             within the last 24 hours, so that only a template reaches them (`window_closed`). Nothing was stored.",
        ),
        (413, "The body is longer than 256 KiB (`payload_too_large`)."),
        (
            503,
            "The queue is full (`queue_full`) or the store does not take it now (`store_busy`, `store_unavailable`). \
             Send it again under the same `Idempotency-Key`; `Retry-After` says when.",
        ),
    ];
}

#[OpenApi(prefix_path = "/api/v1", tag = "RouterTag::Messages")]
impl MessagesApi {
    /// Send a message
    ///
    /// The body of the Cloud API's `POST /messages`, with `channel` beside it. It is checked and stored, and sent like
    /// a reply: within Meta's limits, retried by the class of what went wrong, in order within its conversation. With
    /// an `Idempotency-Key` it is safe to repeat the call until there is an answer.
    #[oai(path = "/messages", method = "post", operation_id = "sendMessage")]
    async fn send(
        &self,
        caller: Caller,
        /// 1 to 255 visible ASCII characters, such as a UUID. The same key with the same body is the same call. Each
        /// API key has its own.
        #[oai(name = "Idempotency-Key")]
        key: Header<Option<String>>,
        /// `true` sends even if this router knows of no message of the person within 24 hours. Meta decides then.
        force: Query<Option<bool>>,
        request: &Request,
        body: RawObject<SendMessage>,
    ) -> Result<SendAnswer, Refused<Sending>> {
        let idempotency = idempotency(caller.0, key.0.as_deref(), &body.object)?;
        let sendable = Sendable::read(body.object, &self.table.load())?;
        let window = i64::try_from(SERVICE_WINDOW.as_micros()).unwrap_or(Micros::MAX);
        let checked = sendable.needs_open_window() && force.0 != Some(true);
        let id = MessageId::generate();
        let send = NewSend {
            message: NewOutbound {
                id,
                message_type: sendable.message.message_type().to_owned(),
                payload: Arc::from(sendable.message.to_json_string()),
                route: None,
                trace: traced(request),
            },
            channel: sendable.channel,
            contact: Arc::new(sendable.contact),
            idempotency,
            inbound_since: checked.then(|| now().saturating_sub(window)),
        };
        let engine = self.desk.engine()?;
        match engine.enqueue(send).await? {
            Enqueued::Stored { .. } => Ok(queued(id, "queued".to_owned(), None)),
            Enqueued::Known(id) => {
                let state = engine.store().message_state(id).await?;
                Ok(queued(id, state.unwrap_or_else(|| "queued".to_owned()), Some("true".to_owned())))
            }
            Enqueued::Conflict => {
                let detail =
                    "this Idempotency-Key was used for another body; use a new one for a new message";
                Err(Problem::conflict(detail).with_code("idempotency_key_reused").into())
            }
            Enqueued::WindowClosed => {
                let detail = "the person did not write within the last 24 hours, so only a template reaches them; \
                              force=true lets Meta decide";
                Err(Problem::conflict(detail).with_code("window_closed").into())
            }
        }
    }

    /// List messages
    ///
    /// Of both directions, newest first. Whatever is stored while you page, no message comes twice and none is missed.
    #[oai(path = "/messages", method = "get", operation_id = "listMessages")]
    #[expect(clippy::too_many_arguments, reason = "one for each filter")]
    async fn list(
        &self,
        _reader: Reader,
        channel: Query<Option<String>>,
        /// Any identifier that the contact was ever seen with: the phone number, the WhatsApp id, the user id.
        contact: Query<Option<String>>,
        /// The id of a conversation.
        conversation: Query<Option<i64>>,
        direction: Query<Option<DirectionItem>>,
        /// One of `received`, `answered`, `not_answered`, `queued`, `sent`, `delivered`, `read`, `failed`, `dead`,
        /// `discarded`.
        status: Query<Option<String>>,
        /// Such as `text`.
        #[oai(name = "type")]
        kind: Query<Option<String>>,
        /// Stored at or after this time (RFC 3339).
        since: Query<Option<String>>,
        /// Stored before this time (RFC 3339).
        until: Query<Option<String>>,
        /// `true`: only those that Meta took and that were not delivered by their deadline.
        undelivered: Query<Option<bool>>,
        /// Items of the page, 1 to 200; 50 unless given.
        limit: Query<Option<i64>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<MessagesAnswer, Refused<Listing>> {
        let request = List::Messages.request(limit.0, cursor.0.as_deref())?;
        let status = given(status.0);
        if let Some(status) = &status
            && !STATUSES.contains(&status.as_str())
        {
            let detail = format!("status is none of {}", STATUSES.join(", "));
            return Err(Problem::bad_request(detail).with_field("status").into());
        }
        let filter = MessageFilter {
            channel: given(channel.0),
            contact: given(contact.0).map(|contact| identifier(&contact)),
            conversation: conversation.0,
            direction: direction.0.map(Into::into),
            state: status,
            message_type: given(kind.0),
            since: times::read("since", since.0.as_deref())?,
            until: times::read("until", until.0.as_deref())?,
            undelivered: undelivered.0 == Some(true),
        };
        let page = self.desk.engine()?.store().messages(filter, request).await?;
        Ok(MessagesAnswer::Page(Json(page.into())))
    }

    /// Look at a message
    #[oai(path = "/messages/:id", method = "get", operation_id = "getMessage")]
    async fn get(
        &self,
        _reader: Reader,
        /// Ours, a UUID.
        id: Path<String>,
    ) -> Result<MessageAnswer, Refused<Finding>> {
        let missing = || Problem::not_found("there is no message with this id");
        let id = MessageId::from_callback_data(&id.0).ok_or_else(missing)?;
        let found = self.desk.engine()?.store().message(id).await?.ok_or_else(missing)?;
        Ok(MessageAnswer::Found(Json(found.into())))
    }
}

/// By the trace of the call, and so by that of whoever called.
fn traced(request: &Request) -> Option<Trace> {
    let context = RequestFacts::of(request)?.trace()?.context;
    context.sampled.then(|| Trace::brought_by(context, 1))
}

fn queued(id: MessageId, status: String, replayed: Option<String>) -> SendAnswer {
    let location = format!("/api/v1/messages/{id}");
    SendAnswer::Queued(Json(Queued { id: id.to_string(), status }), location, replayed)
}
