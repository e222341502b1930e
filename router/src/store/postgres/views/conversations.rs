//! Conversations with their newest message and the work that is left in them.

use tokio_postgres::{Error, Row};

use super::{
    super::{
        people::read_contact,
        session::{Failure, Session},
    },
    MOST_EXAMINED, examined, fetched, found, page as build,
};
use crate::store::{
    ConversationFilter, ConversationView, Direction, LastMessage, MessageId, Page, PageRequest,
};

/// The order of the columns is [`read`]'s. The newest message is found by the index of a conversation's messages.
macro_rules! select {
    ($from:expr, $rest:expr) => {
        concat!(
            "SELECT c.id, c.channel, c.contact, c.wa_id, c.user_id, c.username, c.name, c.created_at,
                 c.last_inbound_at, c.taken_over_until, l.id, l.direction, l.type, l.state, l.created_at,
                 (SELECT count(*) FROM work w WHERE w.queue = 1 AND w.conversation = c.id),
                 (SELECT count(*) FROM work w WHERE w.queue = 2 AND w.conversation = c.id)
             FROM ",
            $from,
            " c LEFT JOIN LATERAL (SELECT id, direction, type, state, created_at FROM message m
                 WHERE m.conversation = c.id ORDER BY m.conversation DESC, m.seq DESC LIMIT 1) l ON true ",
            $rest
        )
    };
}

/// $1: before this; $2: how many may be looked at; $3: the conversations, or any.
macro_rules! all {
    () => {
        "(SELECT * FROM conversation WHERE id < $1 AND ($3::bigint[] IS NULL OR true) ORDER BY id DESC LIMIT $2)"
    };
}
macro_rules! taken_over {
    () => {
        "(SELECT * FROM conversation WHERE taken_over_until IS NOT NULL AND id < $1
             AND ($3::bigint[] IS NULL OR true) ORDER BY id DESC LIMIT $2)"
    };
}
macro_rules! named {
    () => {
        "(SELECT * FROM conversation WHERE id = ANY($3) AND id < $1 ORDER BY id DESC LIMIT $2)"
    };
}

/// Chosen before the newest message is looked for, which is thus done only for what is shown.
macro_rules! matching {
    ($from:expr) => {
        concat!(
            "(SELECT * FROM ",
            $from,
            " x WHERE ($4::text IS NULL OR x.channel = $4) AND ($5::bigint IS NULL OR x.taken_over_until > $5)
             ORDER BY x.id DESC LIMIT $6)"
        )
    };
}

macro_rules! count {
    ($from:expr) => {
        concat!("SELECT count(*), min(x.id) FROM ", $from, " x")
    };
}

pub(in crate::store::postgres) async fn one(
    session: &Session,
    id: i64,
) -> Result<Option<ConversationView>, Failure> {
    let rows = session.query(select!("conversation", "WHERE c.id = $1"), &[&id]).await?;
    Ok(rows.first().map(read).transpose()?)
}

pub(in crate::store::postgres) async fn page(
    session: &Session,
    filter: &ConversationFilter,
    request: PageRequest,
) -> Result<Page<ConversationView>, Failure> {
    let before = request.before.map_or(i64::MAX, |cursor| cursor.0);
    let conversations = found::named(session, filter.contact.as_deref(), None).await?;
    let (list, count) = match (&conversations, filter.taken_over_at) {
        (Some(_), _) => (select!(matching!(named!()), "ORDER BY c.id DESC"), count!(named!())),
        (None, Some(_)) => (select!(matching!(taken_over!()), "ORDER BY c.id DESC"), count!(taken_over!())),
        (None, None) => (select!(matching!(all!()), "ORDER BY c.id DESC"), count!(all!())),
    };
    let channel = filter.channel.clone().map(|channel| channel.replace('\0', ""));
    let rows = session
        .query(
            list,
            &[&before, &MOST_EXAMINED, &conversations, &channel, &filter.taken_over_at, &fetched(request)],
        )
        .await?;
    let items =
        rows.iter().map(|row| read(row).map(|found| (found.id, found))).collect::<Result<Vec<_>, Error>>()?;
    build(request, items, examined(session, count, &[&before, &MOST_EXAMINED, &conversations])).await
}

fn read(row: &Row) -> Result<ConversationView, Error> {
    let last_message = match row.try_get::<_, Option<uuid::Uuid>>(10)? {
        Some(id) => Some(LastMessage {
            id: MessageId(id),
            direction: if row.try_get::<_, &str>(11)? == "in" { Direction::In } else { Direction::Out },
            message_type: row.try_get(12)?,
            state: row.try_get(13)?,
            created_at: row.try_get(14)?,
        }),
        None => None,
    };
    Ok(ConversationView {
        id: row.try_get(0)?,
        channel: row.try_get::<_, &str>(1)?.into(),
        contact: read_contact(row, 2)?,
        created_at: row.try_get(7)?,
        last_inbound_at: row.try_get(8)?,
        taken_over_until: row.try_get(9)?,
        last_message,
        inbox: row.try_get(15)?,
        outbox: row.try_get(16)?,
    })
}
