//! `/api/v1/conversations`: who is talked with, and whether a person or the backend does.

use std::time::Duration;

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use service::{http::Problem, settings::parse_duration};

use super::{
    contact::{ContactItem, identifier},
    message_view::DirectionItem,
    paging::{List, given},
};
use crate::{
    api::{
        RouterTag,
        access::{Caller, Reader},
        desk::Desk,
        json_body::JsonBody,
        refused::{Finding, Listing, Refused},
        times::written,
    },
    pacing::SERVICE_WINDOW,
    store::{ConversationFilter, ConversationView, Micros, Page, now},
};

/// A conversation is never taken over for longer by one call.
const LONGEST_TAKEOVER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// See the module.
#[derive(Debug, Clone)]
pub struct ConversationsApi {
    pub desk: Desk,
}

/// One contact on one channel: the unit of order. Times are RFC 3339 in UTC.
#[derive(Debug, Object)]
#[oai(rename = "Conversation", example)]
struct ConversationItem {
    id: i64,
    channel: String,
    contact: ContactItem,
    created_at: String,
    last_inbound_at: Option<String>,
    last_message: Option<LastMessageItem>,
    window: Window,
    pending: Pending,
    takeover: Takeover,
}

/// The newest message of a conversation.
#[derive(Debug, Object)]
#[oai(rename = "LastMessage")]
struct LastMessageItem {
    id: String,
    direction: DirectionItem,
    #[oai(rename = "type")]
    kind: String,
    status: String,
    created_at: String,
}

/// The customer service window: while it is open, anything may be sent; else only templates.
#[derive(Debug, Object)]
struct Window {
    open: bool,
    /// 24 hours after the person's last message; none when they never wrote.
    open_until: Option<String>,
}

/// Unfinished work, in messages.
#[derive(Debug, Object)]
struct Pending {
    /// Not answered yet.
    inbox: i64,
    /// Not sent yet.
    outbox: i64,
}

/// Whether a person answers in place of the backend.
#[derive(Debug, Object)]
struct Takeover {
    active: bool,
    until: Option<String>,
}

impl ConversationItem {
    fn of(view: ConversationView, now: Micros) -> Self {
        let window = i64::try_from(SERVICE_WINDOW.as_micros()).unwrap_or(Micros::MAX);
        let open_until = view.last_inbound_at.map(|at| at.saturating_add(window));
        let taken_over_until = view.taken_over_until.filter(|until| *until > now);
        Self {
            id: view.id,
            channel: view.channel.to_string(),
            contact: view.contact.into(),
            created_at: written(view.created_at),
            last_inbound_at: view.last_inbound_at.map(written),
            last_message: view.last_message.map(|last| LastMessageItem {
                id: last.id.to_string(),
                direction: last.direction.into(),
                kind: last.message_type,
                status: last.state,
                created_at: written(last.created_at),
            }),
            window: Window {
                open: open_until.is_some_and(|until| until > now),
                open_until: open_until.map(written),
            },
            pending: Pending { inbox: view.inbox, outbox: view.outbox },
            takeover: Takeover { active: taken_over_until.is_some(), until: taken_over_until.map(written) },
        }
    }
}

impl Example for ConversationItem {
    fn example() -> Self {
        Self {
            id: 17,
            channel: "default".to_owned(),
            contact: ContactItem::example(),
            created_at: "2026-01-30T18:02:11Z".to_owned(),
            last_inbound_at: Some("2026-01-31T09:29:58Z".to_owned()),
            last_message: Some(LastMessageItem {
                id: "019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b".to_owned(),
                direction: DirectionItem::Out,
                kind: "text".to_owned(),
                status: "delivered".to_owned(),
                created_at: "2026-01-31T09:30:00.25Z".to_owned(),
            }),
            window: Window { open: true, open_until: Some("2026-02-01T09:29:58Z".to_owned()) },
            pending: Pending { inbox: 0, outbox: 0 },
            takeover: Takeover { active: false, until: None },
        }
    }
}

/// Newest first, by when they were opened.
#[derive(Debug, Object)]
#[oai(rename = "Conversations", example)]
struct ConversationPage {
    items: Vec<ConversationItem>,
    /// Give it as `cursor` to get the next page; none at the end.
    next_cursor: Option<String>,
}

impl ConversationPage {
    fn of(page: Page<ConversationView>, now: Micros) -> Self {
        Self {
            items: page.items.into_iter().map(|view| ConversationItem::of(view, now)).collect(),
            next_cursor: page.next.map(|cursor| List::Conversations.written(cursor)),
        }
    }
}

impl Example for ConversationPage {
    fn example() -> Self {
        Self { items: vec![ConversationItem::example()], next_cursor: None }
    }
}

/// How long a person answers.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, example)]
struct TakeoverRequest {
    /// Such as `30m`, `2h` or `1h30m`; at most 30 days. The route's own time unless given.
    #[oai(rename = "for")]
    duration: Option<String>,
}

impl Example for TakeoverRequest {
    fn example() -> Self {
        Self { duration: Some("30m".to_owned()) }
    }
}

#[derive(ApiResponse)]
enum ConversationsAnswer {
    /// A page of conversations.
    #[oai(status = 200)]
    Page(Json<ConversationPage>),
}

#[derive(ApiResponse)]
enum ConversationAnswer {
    /// The conversation, as it is now.
    #[oai(status = 200)]
    Found(Json<ConversationItem>),
}

#[OpenApi(prefix_path = "/api/v1", tag = "RouterTag::Conversations")]
impl ConversationsApi {
    /// List conversations
    #[oai(path = "/conversations", method = "get", operation_id = "listConversations")]
    async fn list(
        &self,
        _reader: Reader,
        channel: Query<Option<String>>,
        /// Any identifier that the contact was ever seen with.
        contact: Query<Option<String>>,
        /// `true`: only those in which a person answers now.
        taken_over: Query<Option<bool>>,
        /// Items of the page, 1 to 200; 50 unless given.
        limit: Query<Option<i64>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<ConversationsAnswer, Refused<Listing>> {
        let request = List::Conversations.request(limit.0, cursor.0.as_deref())?;
        let now = now();
        let filter = ConversationFilter {
            channel: given(channel.0),
            contact: given(contact.0).map(|contact| identifier(&contact)),
            taken_over_at: (taken_over.0 == Some(true)).then_some(now),
        };
        let page = self.desk.engine()?.store().conversations(filter, request).await?;
        Ok(ConversationsAnswer::Page(Json(ConversationPage::of(page, now))))
    }

    /// Look at a conversation
    #[oai(path = "/conversations/:id", method = "get", operation_id = "getConversation")]
    async fn get(&self, _reader: Reader, id: Path<i64>) -> Result<ConversationAnswer, Refused<Finding>> {
        self.found(id.0).await
    }

    /// Take a conversation over
    ///
    /// From now on a person answers: what the contact writes is stored and shown, and the backend is not asked, until
    /// the time is over or the conversation is released. Taking over again sets the time anew.
    #[oai(path = "/conversations/:id/takeover", method = "post", operation_id = "takeOverConversation")]
    async fn take_over(
        &self,
        _caller: Caller,
        id: Path<i64>,
        body: JsonBody<TakeoverRequest>,
    ) -> Result<ConversationAnswer, Refused<Finding>> {
        let engine = self.desk.engine()?;
        let missing = || Problem::not_found("there is no conversation with this id");
        let duration = match &body.0.duration {
            Some(text) => takeover_time(text)?,
            None => {
                let known = engine.store().conversation(id.0).await?.ok_or_else(missing)?;
                engine.takeover_idle(&known.channel)
            }
        };
        let micros = i64::try_from(duration.as_micros()).unwrap_or(Micros::MAX);
        if !engine.take_over(id.0, Some(now().saturating_add(micros))).await? {
            return Err(missing().into());
        }
        self.found(id.0).await
    }

    /// Give a conversation back to the backend
    #[oai(path = "/conversations/:id/release", method = "post", operation_id = "releaseConversation")]
    async fn release(&self, _caller: Caller, id: Path<i64>) -> Result<ConversationAnswer, Refused<Finding>> {
        if !self.desk.engine()?.take_over(id.0, None).await? {
            return Err(Problem::not_found("there is no conversation with this id").into());
        }
        self.found(id.0).await
    }
}

impl ConversationsApi {
    async fn found(&self, id: i64) -> Result<ConversationAnswer, Refused<Finding>> {
        let found = self.desk.engine()?.store().conversation(id).await?;
        let found = found.ok_or_else(|| Problem::not_found("there is no conversation with this id"))?;
        Ok(ConversationAnswer::Found(Json(ConversationItem::of(found, now()))))
    }
}

fn takeover_time(text: &str) -> Result<Duration, Problem> {
    let wrong = |what: &str| Problem::bad_request(format!("for {what}")).with_field("for");
    let duration = parse_duration(text).map_err(|error| wrong(&error))?;
    if duration.is_zero() || duration > LONGEST_TAKEOVER {
        return Err(wrong("is not more than nothing and at most 30 days"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Contact;

    #[test]
    fn the_window_is_open_for_a_day_and_a_takeover_until_its_time() {
        const HOUR: Micros = 3_600_000_000;
        let view = |last_inbound_at, taken_over_until| ConversationView {
            id: 1,
            channel: Arc::from("default"),
            contact: Contact { key: "1".into(), wa_id: None, user_id: None, username: None, name: None },
            created_at: 0,
            last_inbound_at,
            taken_over_until,
            last_message: None,
            inbox: 0,
            outbox: 0,
        };
        for (last, taken, open, active) in [
            (None, None, false, false),
            (Some(70 * HOUR), Some(101 * HOUR), false, true),
            (Some(76 * HOUR), Some(100 * HOUR), false, false),
            (Some(77 * HOUR), Some(99 * HOUR), true, false),
        ] {
            let item = ConversationItem::of(view(last, taken), 100 * HOUR);
            assert_eq!((item.window.open, item.takeover.active), (open, active), "{last:?} {taken:?}");
            assert_eq!(item.window.open_until.is_some(), last.is_some());
        }
    }

    #[test]
    fn a_takeover_has_an_end() {
        assert_eq!(takeover_time("30m").unwrap(), Duration::from_secs(1_800));
        for text in ["", "0", "soon", "31d", "30"] {
            assert_eq!(takeover_time(text).unwrap_err().field(), Some("for"), "{text}");
        }
    }
}
