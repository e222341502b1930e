//! What was given up.

use tokio_postgres::{Error, Row};

use super::{
    super::{
        people::read_contact,
        session::{Failure, Session, numbers},
    },
    MOST_EXAMINED, examined, fetched, found, page as build,
};
use crate::store::{DeadLetterFilter, DeadLetterView, Doubt, MessageId, Page, PageRequest, Queue};

/// The order of the columns is [`read`]'s.
macro_rules! select {
    ($columns:expr, $from:expr, $rest:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM ",
            $from,
            " d JOIN conversation c ON c.id = d.conversation JOIN message m ON m.seq = d.seq ",
            $rest
        )
    };
}
macro_rules! columns {
    () => {
        "d.seq, d.conversation, d.queue, d.reason, d.error, d.attempts, d.died_at,
         c.channel, c.contact, c.wa_id, c.user_id, c.username, c.name, m.id, m.type, m.created_at, m.doubt"
    };
}
macro_rules! newest {
    () => {
        "(SELECT * FROM dead_letter WHERE seq < $8 ORDER BY seq DESC LIMIT $9)"
    };
}
macro_rules! matching {
    () => {
        "WHERE ($1::text IS NULL OR c.channel = $1) AND ($2::smallint IS NULL OR d.queue = $2)
             AND ($3::text IS NULL OR d.reason = $3) AND ($4::bigint IS NULL OR d.died_at >= $4)
             AND ($5::bigint IS NULL OR d.died_at < $5)
             AND ($6::bigint[] IS NULL OR d.conversation = ANY($6)) ORDER BY d.seq "
    };
}

const PAGE: &str = select!(columns!(), newest!(), concat!(matching!(), "DESC LIMIT $7"));
const OLDEST: &str = select!("d.seq", "dead_letter", concat!(matching!(), "LIMIT $7"));
const EXAMINED: &str = "SELECT count(*), min(seq) FROM (SELECT seq FROM dead_letter WHERE seq < $1 ORDER BY seq DESC LIMIT $2) d";

pub(in crate::store::postgres) async fn one(
    session: &Session,
    id: MessageId,
) -> Result<Option<DeadLetterView>, Failure> {
    let rows = session.query(select!(columns!(), "dead_letter", "WHERE m.id = $1"), &[&id.0]).await?;
    Ok(rows.first().map(read).transpose()?)
}

pub(in crate::store::postgres) async fn page(
    session: &Session,
    filter: &DeadLetterFilter,
    request: PageRequest,
) -> Result<Page<DeadLetterView>, Failure> {
    let before = request.before.map_or(i64::MAX, |cursor| cursor.0);
    let wanted = Wanted::of(session, filter).await?;
    let rows = session
        .query(
            PAGE,
            &[
                &wanted.channel,
                &wanted.queue,
                &wanted.reason,
                &filter.since,
                &filter.until,
                &wanted.conversations,
                &fetched(request),
                &before,
                &MOST_EXAMINED,
            ],
        )
        .await?;
    let items = rows
        .iter()
        .map(|row| read(row).map(|found| (found.seq, found)))
        .collect::<Result<Vec<_>, Error>>()?;
    build(request, items, examined(session, EXAMINED, &[&before, &MOST_EXAMINED])).await
}

/// The oldest that match, to be tried again.
pub(in crate::store::postgres) async fn oldest(
    session: &Session,
    filter: &DeadLetterFilter,
    limit: usize,
) -> Result<Vec<i64>, Failure> {
    let wanted = Wanted::of(session, filter).await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = session
        .query(
            OLDEST,
            &[
                &wanted.channel,
                &wanted.queue,
                &wanted.reason,
                &filter.since,
                &filter.until,
                &wanted.conversations,
                &limit,
            ],
        )
        .await?;
    Ok(numbers(&rows)?)
}

/// A filter as parameters.
struct Wanted {
    channel: Option<String>,
    queue: Option<i16>,
    reason: Option<String>,
    conversations: Option<Vec<i64>>,
}

impl Wanted {
    async fn of(session: &Session, filter: &DeadLetterFilter) -> Result<Self, Failure> {
        let text = |value: &Option<String>| value.clone().map(|value| value.replace('\0', ""));
        Ok(Self {
            channel: text(&filter.channel),
            queue: filter.queue.map(|queue| queue as i16),
            reason: text(&filter.reason),
            conversations: found::named(session, filter.contact.as_deref(), None).await?,
        })
    }
}

fn read(row: &Row) -> Result<DeadLetterView, Error> {
    Ok(DeadLetterView {
        seq: row.try_get(0)?,
        id: MessageId(row.try_get(13)?),
        conversation: row.try_get(1)?,
        channel: row.try_get::<_, &str>(7)?.into(),
        contact: read_contact(row, 8)?,
        queue: if row.try_get::<_, i16>(2)? == Queue::Inbox as i16 { Queue::Inbox } else { Queue::Outbox },
        message_type: row.try_get(14)?,
        reason: row.try_get(3)?,
        error: row.try_get(4)?,
        attempts: row.try_get::<_, i32>(5)?.unsigned_abs(),
        died_at: row.try_get(6)?,
        created_at: row.try_get(15)?,
        doubt: row.try_get::<_, Option<&str>>(16)?.and_then(Doubt::from_name),
    })
}
