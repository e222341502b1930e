//! A dead letter as the API shows it, and by what dead letters are chosen.

use poem_openapi::{Enum, Object, types::Example};
use service::http::Problem;

use super::{
    contact::{ContactItem, identifier},
    paging::{List, given},
};
use crate::{
    api::times,
    store::{self, DeadLetterFilter, DeadLetterView, Page},
};

/// The two kinds of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Queue", rename_all = "snake_case")]
pub(super) enum QueueItem {
    /// A message of a person that the backend should have answered.
    Inbox,
    /// A message of the business that should have been sent.
    Outbox,
}

impl From<store::Queue> for QueueItem {
    fn from(queue: store::Queue) -> Self {
        match queue {
            store::Queue::Inbox => Self::Inbox,
            store::Queue::Outbox => Self::Outbox,
        }
    }
}

impl From<QueueItem> for store::Queue {
    fn from(queue: QueueItem) -> Self {
        match queue {
            QueueItem::Inbox => Self::Inbox,
            QueueItem::Outbox => Self::Outbox,
        }
    }
}

/// Work that was given up. Times are RFC 3339 in UTC.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetter", example)]
pub(super) struct DeadLetterItem {
    /// The message's id.
    id: String,
    queue: QueueItem,
    channel: String,
    /// The conversation's id.
    conversation: i64,
    contact: ContactItem,
    #[oai(rename = "type")]
    kind: String,
    /// Why, by a stable name, such as `backend_refused`, `max_age_reached` or `reengagement_window`.
    reason: String,
    /// The last attempt in words.
    error: String,
    attempts: u32,
    died_at: String,
    /// When the message was stored.
    created_at: String,
    /// `not_repeated`: nobody knows whether it went out, and the route says not to send it again.
    doubt: Option<String>,
}

impl From<DeadLetterView> for DeadLetterItem {
    fn from(view: DeadLetterView) -> Self {
        Self {
            id: view.id.to_string(),
            queue: view.queue.into(),
            channel: view.channel.to_string(),
            conversation: view.conversation,
            contact: view.contact.into(),
            kind: view.message_type,
            reason: view.reason,
            error: view.error,
            attempts: view.attempts,
            died_at: times::written(view.died_at),
            created_at: times::written(view.created_at),
            doubt: view.doubt.map(|doubt| doubt.as_str().to_owned()),
        }
    }
}

impl Example for DeadLetterItem {
    fn example() -> Self {
        Self {
            id: "019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b".to_owned(),
            queue: QueueItem::Inbox,
            channel: "default".to_owned(),
            conversation: 17,
            contact: ContactItem::example(),
            kind: "text".to_owned(),
            reason: "backend_refused".to_owned(),
            error: "the backend answered 422".to_owned(),
            attempts: 1,
            died_at: "2026-01-31T09:30:01Z".to_owned(),
            created_at: "2026-01-31T09:30:00.25Z".to_owned(),
            doubt: None,
        }
    }
}

/// Newest first, by when the message was stored.
#[derive(Debug, Object)]
#[oai(rename = "DeadLetters", example)]
pub(super) struct DeadLetterPage {
    items: Vec<DeadLetterItem>,
    /// Give it as `cursor` to get the next page; none at the end.
    next_cursor: Option<String>,
}

impl From<Page<DeadLetterView>> for DeadLetterPage {
    fn from(page: Page<DeadLetterView>) -> Self {
        Self {
            items: page.items.into_iter().map(DeadLetterItem::from).collect(),
            next_cursor: page.next.map(|cursor| List::DeadLetters.written(cursor)),
        }
    }
}

impl Example for DeadLetterPage {
    fn example() -> Self {
        Self { items: vec![DeadLetterItem::example()], next_cursor: None }
    }
}

/// Which dead letters to try again: all that is given has to match.
#[derive(Debug, Default, Object)]
#[oai(deny_unknown_fields, example)]
pub(super) struct ReplayRequest {
    pub(super) channel: Option<String>,
    pub(super) queue: Option<QueueItem>,
    pub(super) reason: Option<String>,
    /// Any identifier that the contact was ever seen with.
    pub(super) contact: Option<String>,
    /// Died at or after this time (RFC 3339).
    pub(super) since: Option<String>,
    /// Died before this time (RFC 3339).
    pub(super) until: Option<String>,
    /// `true`, with nothing else: every dead letter there is.
    pub(super) all: Option<bool>,
}

impl Example for ReplayRequest {
    fn example() -> Self {
        Self { reason: Some("backend_refused".to_owned()), ..Self::default() }
    }
}

impl ReplayRequest {
    pub(super) fn filter(self) -> Result<DeadLetterFilter, Problem> {
        let all = self.all == Some(true);
        let filter = DeadLetterFilter {
            channel: given(self.channel),
            queue: self.queue.map(Into::into),
            reason: given(self.reason),
            contact: given(self.contact).map(|contact| identifier(&contact)),
            since: times::read("since", self.since.as_deref())?,
            until: times::read("until", self.until.as_deref())?,
        };
        match (all, filter == DeadLetterFilter::default()) {
            (false, true) => {
                let detail = "the filter is empty; name what is to be replayed, or write {\"all\": true}";
                Err(Problem::bad_request(detail))
            }
            (true, false) => {
                let detail = "all can't be given together with a filter; leave one of them out";
                Err(Problem::bad_request(detail).with_field("all"))
            }
            _ => Ok(filter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_replayed_only_when_it_is_said() {
        let reason = || ReplayRequest { reason: Some("x".to_owned()), ..ReplayRequest::default() };
        assert_eq!(reason().filter().unwrap().reason.as_deref(), Some("x"));
        let all = ReplayRequest { all: Some(true), ..ReplayRequest::default() };
        assert_eq!(all.filter(), Ok(DeadLetterFilter::default()));
        for refused in [
            ReplayRequest::default(),
            ReplayRequest { all: Some(false), ..ReplayRequest::default() },
            ReplayRequest { reason: Some(" ".to_owned()), ..ReplayRequest::default() },
            ReplayRequest { all: Some(true), ..reason() },
            ReplayRequest { since: Some("yesterday".to_owned()), ..reason() },
        ] {
            let shown = format!("{refused:?}");
            assert_eq!(refused.filter().unwrap_err().status(), 400, "{shown}");
        }
    }
}
