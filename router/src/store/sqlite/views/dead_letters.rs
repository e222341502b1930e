//! What was given up.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{PageBuilder, found, messages::read_contact};
use crate::store::{DeadLetterFilter, DeadLetterView, Doubt, MessageId, Page, PageRequest, Queue};

/// The order of the columns is [`read`]'s.
macro_rules! select {
    ($where:literal) => {
        concat!(
            "SELECT d.seq, d.conversation, d.queue, d.reason, d.error, d.attempts, d.died_at,
                 c.channel, c.contact, c.wa_id, c.user_id, c.username, c.name,
                 m.id, m.type, m.created_at, m.doubt
             FROM dead_letter d JOIN conversation c ON c.id = d.conversation JOIN message m ON m.seq = d.seq ",
            $where
        )
    };
}

pub(in crate::store::sqlite) fn one(
    sql: &Connection,
    id: MessageId,
) -> rusqlite::Result<Option<DeadLetterView>> {
    sql.prepare_cached(select!("WHERE d.seq = (SELECT seq FROM message WHERE id = ?1)"))?
        .query_row([id.0], read)
        .optional()
}

pub(in crate::store::sqlite) fn page(
    sql: &Connection,
    filter: &DeadLetterFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<DeadLetterView>> {
    let before = request.before.map_or(i64::MAX, |cursor| cursor.0);
    let conversations = found::named(sql, filter.contact.as_deref(), None)?;
    let mut page = PageBuilder::new(request);
    let mut statement = sql.prepare_cached(select!("WHERE d.seq < ?1 ORDER BY d.seq DESC"))?;
    let mut rows = statement.query([before])?;
    while let Some(row) = rows.next()? {
        if !page.wants_more() {
            return Ok(page.page(true));
        }
        let item = if matches(filter, conversations.as_deref(), row)? { Some(read(row)?) } else { None };
        page.examined(row.get(0)?, item);
    }
    Ok(page.page(false))
}

/// The oldest that match, to be tried again.
pub(in crate::store::sqlite) fn oldest(
    sql: &Connection,
    filter: &DeadLetterFilter,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let conversations = found::named(sql, filter.contact.as_deref(), None)?;
    let mut statement = sql.prepare_cached(select!("ORDER BY d.seq"))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next()?
    {
        if matches(filter, conversations.as_deref(), row)? {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

fn matches(
    filter: &DeadLetterFilter,
    conversations: Option<&[i64]>,
    row: &Row<'_>,
) -> rusqlite::Result<bool> {
    let is = |wanted: Option<&str>, column: usize| -> rusqlite::Result<bool> {
        match wanted {
            Some(wanted) => Ok(row.get_ref(column)?.as_str()? == wanted),
            None => Ok(true),
        }
    };
    let (conversation, queue, died_at): (i64, Queue, i64) = (row.get(1)?, row.get(2)?, row.get(6)?);
    Ok(is(filter.reason.as_deref(), 3)?
        && is(filter.channel.as_deref(), 7)?
        && filter.queue.is_none_or(|wanted| wanted == queue)
        && conversations.is_none_or(|wanted| wanted.contains(&conversation))
        && filter.since.is_none_or(|since| died_at >= since)
        && filter.until.is_none_or(|until| died_at < until))
}

fn read(row: &Row<'_>) -> rusqlite::Result<DeadLetterView> {
    let doubt: Option<String> = row.get(16)?;
    Ok(DeadLetterView {
        seq: row.get(0)?,
        id: MessageId(row.get(13)?),
        conversation: row.get(1)?,
        channel: row.get(7)?,
        contact: read_contact(row, 8)?,
        queue: row.get(2)?,
        message_type: row.get(14)?,
        reason: row.get(3)?,
        error: row.get(4)?,
        attempts: row.get(5)?,
        died_at: row.get(6)?,
        created_at: row.get(15)?,
        doubt: doubt.and_then(|name| Doubt::from_name(&name)),
    })
}
