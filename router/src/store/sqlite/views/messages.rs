//! Messages of both directions. Those of one conversation are found by following it back from its newest message,
//! all others by walking the store back.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{PageBuilder, found, position};
use crate::store::{Contact, Direction, Doubt, MessageFilter, MessageId, MessageView, Page, PageRequest};

/// The order of the columns is [`read`]'s.
macro_rules! select {
    ($from:literal) => {
        concat!(
            "SELECT m.seq, m.conversation, m.direction, m.type, m.state, m.created_at, m.undelivered_at, m.previous,
                 c.channel, c.contact, c.wa_id, c.user_id, c.username, c.name,
                 m.id, m.wamid, m.correlation, m.route, m.sent_at, m.delivered_at, m.read_at, m.failed_at, m.error,
                 m.doubt, m.payload
             FROM message m ",
            $from
        )
    };
}

pub(in crate::store::sqlite) fn one(
    sql: &Connection,
    id: MessageId,
) -> rusqlite::Result<Option<MessageView>> {
    sql.prepare_cached(select!("JOIN conversation c ON c.id = m.conversation WHERE m.id = ?1"))?
        .query_row([id.0], read)
        .optional()
}

pub(in crate::store::sqlite) fn page(
    sql: &Connection,
    filter: &MessageFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<MessageView>> {
    let mut before = request.before.map_or(i64::MAX, |cursor| cursor.0);
    if let Some(until) = filter.until {
        before = before.min(position::not_after(sql, until)?);
    }
    let from = match filter.since {
        Some(since) => position::not_before(sql, since)?,
        None => i64::MIN,
    };
    match found::named(sql, filter.contact.as_deref(), filter.conversation)? {
        Some(conversations) => of_conversations(sql, filter, request, &conversations, from..before),
        None => of_all(sql, filter, request, from..before),
    }
}

fn of_all(
    sql: &Connection,
    filter: &MessageFilter,
    request: PageRequest,
    range: std::ops::Range<i64>,
) -> rusqlite::Result<Page<MessageView>> {
    let mut statement = sql.prepare_cached(if filter.undelivered {
        select!(
            "INDEXED BY message_undelivered JOIN conversation c ON c.id = m.conversation
             WHERE m.undelivered_at IS NOT NULL AND m.seq >= ?1 AND m.seq < ?2 ORDER BY m.seq DESC"
        )
    } else {
        select!(
            "JOIN conversation c ON c.id = m.conversation WHERE m.seq >= ?1 AND m.seq < ?2 ORDER BY m.seq DESC"
        )
    })?;
    let mut rows = statement.query(params![range.start, range.end])?;
    let mut page = PageBuilder::new(request);
    while let Some(row) = rows.next()? {
        if !page.wants_more() {
            return Ok(page.page(true));
        }
        let item = if matches(filter, row)? { Some(read(row)?) } else { None };
        page.examined(row.get(0)?, item);
    }
    Ok(page.page(false))
}

/// Follows each of them back and takes the newest message of all in turn.
fn of_conversations(
    sql: &Connection,
    filter: &MessageFilter,
    request: PageRequest,
    conversations: &[i64],
    range: std::ops::Range<i64>,
) -> rusqlite::Result<Page<MessageView>> {
    let mut page = PageBuilder::new(request);
    let mut heads = Vec::with_capacity(conversations.len());
    for &conversation in conversations {
        heads.extend(start(sql, conversation, range.end)?.map(|seq| (seq, conversation)));
    }
    let mut statement =
        sql.prepare_cached(select!("JOIN conversation c ON c.id = m.conversation WHERE m.seq = ?1"))?;
    loop {
        heads.retain(|(seq, _)| *seq >= range.start);
        let Some(newest) = heads.iter_mut().max() else { return Ok(page.page(false)) };
        if !page.wants_more() {
            return Ok(page.page(true));
        }
        let (seq, conversation) = *newest;
        let mut rows = statement.query([seq])?;
        let previous = match rows.next()? {
            Some(row) => {
                if seq < range.end {
                    let item = if matches(filter, row)? { Some(read(row)?) } else { None };
                    page.examined(seq, item);
                }
                row.get(7)?
            }
            None => older_than_a_gap(sql, conversation, seq)?,
        };
        match previous {
            Some(previous) => newest.0 = previous,
            None => heads.retain(|(_, other)| *other != conversation),
        }
    }
}

/// The newest message of a conversation before `end`: if a message of it is there, it says which one came before.
fn start(sql: &Connection, conversation: i64, end: i64) -> rusqlite::Result<Option<i64>> {
    let at_cursor = sql
        .prepare_cached("SELECT previous FROM message WHERE seq = ?1 AND conversation = ?2")?
        .query_row([end, conversation], |row| row.get(0))
        .optional()?;
    if let Some(previous) = at_cursor {
        return Ok(previous);
    }
    let mut seq: Option<i64> = sql
        .prepare_cached("SELECT last_seq FROM conversation WHERE id = ?1")?
        .query_row([conversation], |row| row.get(0))
        .optional()?
        .flatten();
    let mut back = sql.prepare_cached("SELECT previous FROM message WHERE seq = ?1")?;
    while let Some(position) = seq.filter(|seq| *seq >= end) {
        seq = match back.query_row([position], |row| row.get(0)).optional()? {
            Some(previous) => previous,
            None => older_than_a_gap(sql, conversation, position)?,
        };
    }
    Ok(seq)
}

/// What was deleted as old leaves a gap, beyond which only dead letters can lie.
fn older_than_a_gap(sql: &Connection, conversation: i64, seq: i64) -> rusqlite::Result<Option<i64>> {
    sql.prepare_cached("SELECT max(seq) FROM dead_letter WHERE conversation = ?1 AND seq < ?2")?
        .query_row([conversation, seq], |row| row.get(0))
}

fn matches(filter: &MessageFilter, row: &Row<'_>) -> rusqlite::Result<bool> {
    let is = |wanted: Option<&str>, column: usize| -> rusqlite::Result<bool> {
        match wanted {
            Some(wanted) => Ok(row.get_ref(column)?.as_str()? == wanted),
            None => Ok(true),
        }
    };
    let created_at: i64 = row.get(5)?;
    Ok(is(filter.direction.map(Direction::as_str), 2)?
        && is(filter.message_type.as_deref(), 3)?
        && is(filter.state.as_deref(), 4)?
        && is(filter.channel.as_deref(), 8)?
        && filter.since.is_none_or(|since| created_at >= since)
        && filter.until.is_none_or(|until| created_at < until)
        && (!filter.undelivered || row.get::<_, Option<i64>>(6)?.is_some()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<MessageView> {
    let doubt: Option<String> = row.get(23)?;
    Ok(MessageView {
        seq: row.get(0)?,
        id: MessageId(row.get(14)?),
        conversation: row.get(1)?,
        channel: row.get(8)?,
        contact: read_contact(row, 9)?,
        direction: row.get(2)?,
        wamid: row.get(15)?,
        message_type: row.get(3)?,
        state: row.get(4)?,
        payload: row.get(24)?,
        correlation: MessageId(row.get(16)?),
        route: row.get(17)?,
        created_at: row.get(5)?,
        sent_at: row.get(18)?,
        delivered_at: row.get(19)?,
        read_at: row.get(20)?,
        failed_at: row.get(21)?,
        undelivered_at: row.get(6)?,
        error: row.get(22)?,
        doubt: doubt.and_then(|name| Doubt::from_name(&name)),
    })
}

/// From five columns: contact, wa_id, user_id, username, name.
pub(super) fn read_contact(row: &Row<'_>, first: usize) -> rusqlite::Result<Contact> {
    Ok(Contact {
        key: row.get(first)?,
        wa_id: row.get(first + 1)?,
        user_id: row.get(first + 2)?,
        username: row.get(first + 3)?,
        name: row.get(first + 4)?,
    })
}
