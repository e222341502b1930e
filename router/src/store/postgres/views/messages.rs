//! Messages of both directions.

use tokio_postgres::{Error, Row};

use super::{
    super::{
        people::read_contact,
        session::{Failure, Session},
        text::Text,
    },
    MOST_EXAMINED, examined, fetched, found, page as build, position,
};
use crate::store::{Direction, Doubt, MessageFilter, MessageId, MessageView, Page, PageRequest};

/// The order of the columns is [`read`]'s.
macro_rules! select {
    ($from:expr, $rest:expr) => {
        concat!(
            "SELECT m.seq, m.conversation, m.direction, m.type, m.state, m.created_at, m.undelivered_at,
                 c.channel, c.contact, c.wa_id, c.user_id, c.username, c.name,
                 m.id, m.wamid, m.correlation, m.route, m.sent_at, m.delivered_at, m.read_at, m.failed_at, m.error,
                 m.doubt, m.payload
             FROM ",
            $from,
            " m JOIN conversation c ON c.id = m.conversation ",
            $rest
        )
    };
}

/// $1, $2: the range of positions; $3: how many may be looked at.
macro_rules! all {
    () => {
        "(SELECT * FROM message WHERE seq >= $1 AND seq < $2 ORDER BY seq DESC LIMIT $3)"
    };
}
macro_rules! undelivered {
    () => {
        "(SELECT * FROM message WHERE undelivered_at IS NOT NULL AND seq >= $1 AND seq < $2
             ORDER BY seq DESC LIMIT $3)"
    };
}
/// $4: the conversations.
macro_rules! of_conversations {
    () => {
        "(SELECT one.* FROM UNNEST($4::bigint[]) u(id) CROSS JOIN LATERAL (SELECT * FROM message
             WHERE conversation = u.id AND seq >= $1 AND seq < $2
             ORDER BY conversation DESC, seq DESC LIMIT $3) one ORDER BY one.seq DESC LIMIT $3)"
    };
}

/// $4 is used in each form, so that all of them take the same parameters.
macro_rules! matching {
    () => {
        "WHERE ($4::bigint[] IS NULL OR m.conversation = ANY($4)) AND ($5::text IS NULL OR c.channel = $5)
             AND ($6::text IS NULL OR m.direction = $6) AND ($7::text IS NULL OR m.state = $7)
             AND ($8::text IS NULL OR m.type = $8) AND ($9::bigint IS NULL OR m.created_at >= $9)
             AND ($10::bigint IS NULL OR m.created_at < $10)
             AND (NOT $11 OR m.undelivered_at IS NOT NULL)
         ORDER BY m.seq DESC LIMIT $12"
    };
}

macro_rules! count {
    ($from:expr) => {
        concat!("SELECT count(*), min(m.seq) FROM ", $from, " m WHERE $4::bigint[] IS NULL OR true")
    };
}

pub(in crate::store::postgres) async fn one(
    session: &Session,
    id: MessageId,
) -> Result<Option<MessageView>, Failure> {
    let rows = session.query(select!("message", "WHERE m.id = $1"), &[&id.0]).await?;
    Ok(rows.first().map(read).transpose()?)
}

pub(in crate::store::postgres) async fn page(
    session: &Session,
    filter: &MessageFilter,
    request: PageRequest,
) -> Result<Page<MessageView>, Failure> {
    let mut range = position::range(session, filter.since, filter.until).await?;
    range.end = range.end.min(request.before.map_or(i64::MAX, |cursor| cursor.0));
    let conversations = found::named(session, filter.contact.as_deref(), filter.conversation).await?;
    let (list, count) = match (&conversations, filter.undelivered) {
        (Some(_), _) => (select!(of_conversations!(), matching!()), count!(of_conversations!())),
        (None, true) => (select!(undelivered!(), matching!()), count!(undelivered!())),
        (None, false) => (select!(all!(), matching!()), count!(all!())),
    };
    let direction = filter.direction.map(Direction::as_str);
    let text = |value: &Option<String>| value.clone().map(|value| value.replace('\0', ""));
    let (channel, state, kind) = (text(&filter.channel), text(&filter.state), text(&filter.message_type));
    let rows = session
        .query(
            list,
            &[
                &range.start,
                &range.end,
                &MOST_EXAMINED,
                &conversations,
                &channel,
                &direction.map(Text),
                &state,
                &kind,
                &filter.since,
                &filter.until,
                &filter.undelivered,
                &fetched(request),
            ],
        )
        .await?;
    let items = rows
        .iter()
        .map(|row| read(row).map(|message| (message.seq, message)))
        .collect::<Result<Vec<_>, Error>>()?;
    build(
        request,
        items,
        examined(session, count, &[&range.start, &range.end, &MOST_EXAMINED, &conversations]),
    )
    .await
}

fn read(row: &Row) -> Result<MessageView, Error> {
    let direction = match row.try_get::<_, &str>(2)? {
        "in" => Direction::In,
        _ => Direction::Out,
    };
    Ok(MessageView {
        seq: row.try_get(0)?,
        id: MessageId(row.try_get(13)?),
        conversation: row.try_get(1)?,
        channel: row.try_get::<_, &str>(7)?.into(),
        contact: read_contact(row, 8)?,
        direction,
        wamid: row.try_get(14)?,
        message_type: row.try_get(3)?,
        state: row.try_get(4)?,
        payload: row.try_get(23)?,
        correlation: MessageId(row.try_get(15)?),
        route: row.try_get(16)?,
        created_at: row.try_get(5)?,
        sent_at: row.try_get(17)?,
        delivered_at: row.try_get(18)?,
        read_at: row.try_get(19)?,
        failed_at: row.try_get(20)?,
        undelivered_at: row.try_get(6)?,
        error: row.try_get(21)?,
        doubt: row.try_get::<_, Option<&str>>(22)?.and_then(Doubt::from_name),
    })
}
