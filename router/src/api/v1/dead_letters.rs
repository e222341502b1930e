//! `/api/v1/dead-letters`: what was given up, and what to do about it.

use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Example,
};
use service::http::Problem;

use super::{
    contact::identifier,
    dead_letters_view::{DeadLetterItem, DeadLetterPage, QueueItem, ReplayRequest},
    paging::{List, given},
};
use crate::{
    api::{
        RouterTag,
        access::{Caller, Reader},
        desk::Desk,
        json_body::JsonBody,
        refused::{Finding, Listing, Refused},
        times,
    },
    store::{DeadLetterFilter, MessageId, Replay, now},
};

/// Dead letters that go back in one transaction.
const AT_ONCE: usize = 500;

/// See the module.
#[derive(Debug, Clone)]
pub struct DeadLettersApi {
    pub desk: Desk,
}

/// What goes on.
#[derive(Debug, Object)]
#[oai(example)]
struct Replaying {
    /// Dead letters that were put back into their queues.
    replayed: u64,
}

impl Example for Replaying {
    fn example() -> Self {
        Self { replayed: 12 }
    }
}

#[derive(ApiResponse)]
enum DeadLettersAnswer {
    /// A page of dead letters.
    #[oai(status = 200)]
    Page(Json<DeadLetterPage>),
}

#[derive(ApiResponse)]
enum DeadLetterAnswer {
    /// The dead letter.
    #[oai(status = 200)]
    Found(Json<DeadLetterItem>),
}

#[derive(ApiResponse)]
enum ReplayAnswer {
    /// They are back in their queues and are worked on from now.
    #[oai(status = 202)]
    Replaying(Json<Replaying>),
}

#[derive(ApiResponse)]
enum DeleteAnswer {
    /// It is gone. Its message stays in the list, as `discarded`.
    #[oai(status = 204)]
    Gone,
}

fn missing() -> Problem {
    Problem::not_found(
        "there is no dead letter with this id; it may have been replayed, deleted or proved sent",
    )
}

fn id_of(text: &str) -> Result<MessageId, Problem> {
    MessageId::from_callback_data(text).ok_or_else(missing)
}

#[OpenApi(prefix_path = "/api/v1", tag = "RouterTag::DeadLetters")]
impl DeadLettersApi {
    /// List dead letters
    ///
    /// Messages that the backend did not answer or Meta did not take, and that are not tried again by themselves.
    #[oai(path = "/dead-letters", method = "get", operation_id = "listDeadLetters")]
    #[expect(clippy::too_many_arguments, reason = "one for each filter")]
    async fn list(
        &self,
        _reader: Reader,
        channel: Query<Option<String>>,
        queue: Query<Option<QueueItem>>,
        /// The stable name of why they died, such as `backend_refused`.
        reason: Query<Option<String>>,
        /// Any identifier that the contact was ever seen with.
        contact: Query<Option<String>>,
        /// Died at or after this time (RFC 3339).
        since: Query<Option<String>>,
        /// Died before this time (RFC 3339).
        until: Query<Option<String>>,
        /// Items of the page, 1 to 200; 50 unless given.
        limit: Query<Option<i64>>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<DeadLettersAnswer, Refused<Listing>> {
        let request = List::DeadLetters.request(limit.0, cursor.0.as_deref())?;
        let filter = DeadLetterFilter {
            channel: given(channel.0),
            queue: queue.0.map(Into::into),
            reason: given(reason.0),
            contact: given(contact.0).map(|contact| identifier(&contact)),
            since: times::read("since", since.0.as_deref())?,
            until: times::read("until", until.0.as_deref())?,
        };
        let page = self.desk.engine()?.store().dead_letters(filter, request).await?;
        Ok(DeadLettersAnswer::Page(Json(page.into())))
    }

    /// Look at a dead letter
    #[oai(path = "/dead-letters/:id", method = "get", operation_id = "getDeadLetter")]
    async fn get(
        &self,
        _reader: Reader,
        /// The message's id.
        id: Path<String>,
    ) -> Result<DeadLetterAnswer, Refused<Finding>> {
        let found = self.desk.engine()?.store().dead_letter(id_of(&id.0)?).await?;
        Ok(DeadLetterAnswer::Found(Json(found.ok_or_else(missing)?.into())))
    }

    /// Try a dead letter again
    ///
    /// It goes back to the place in its conversation that it had, with fresh attempts, and is worked on at once.
    #[oai(path = "/dead-letters/:id/replay", method = "post", operation_id = "replayDeadLetter")]
    async fn replay(
        &self,
        _caller: Caller,
        /// The message's id.
        id: Path<String>,
    ) -> Result<ReplayAnswer, Refused<Finding>> {
        let replayed = self.desk.engine()?.replay(Replay::One(id_of(&id.0)?)).await?;
        match (replayed.inbox + replayed.outbox) as u64 {
            0 => Err(missing().into()),
            replayed => Ok(ReplayAnswer::Replaying(Json(Replaying { replayed }))),
        }
    }

    /// Try many dead letters again
    ///
    /// All that match, the oldest first. What dies again meanwhile is not tried a second time. When the call breaks off,
    /// some may be back in their queues and others not; it can be made again.
    #[oai(path = "/dead-letters/replay", method = "post", operation_id = "replayDeadLetters")]
    async fn replay_matching(
        &self,
        _caller: Caller,
        body: JsonBody<ReplayRequest>,
    ) -> Result<ReplayAnswer, Refused<Listing>> {
        let mut filter = body.0.filter()?;
        // Without this what dies again at once would be replayed for ever.
        let now = now();
        filter.until = Some(filter.until.map_or(now, |until| until.min(now)));
        let engine = self.desk.engine()?;
        let mut replayed: u64 = 0;
        loop {
            let which = Replay::Matching { filter: filter.clone(), limit: AT_ONCE };
            let some = engine.replay(which).await?;
            let count = some.inbox + some.outbox;
            replayed += count as u64;
            if count < AT_ONCE {
                return Ok(ReplayAnswer::Replaying(Json(Replaying { replayed })));
            }
        }
    }

    /// Delete a dead letter
    ///
    /// It will not be tried again. Its message stays in the list, as `discarded`.
    #[oai(path = "/dead-letters/:id", method = "delete", operation_id = "deleteDeadLetter")]
    async fn delete(
        &self,
        _caller: Caller,
        /// The message's id.
        id: Path<String>,
    ) -> Result<DeleteAnswer, Refused<Finding>> {
        if self.desk.engine()?.discard(id_of(&id.0)?).await? {
            Ok(DeleteAnswer::Gone)
        } else {
            Err(missing().into())
        }
    }
}
