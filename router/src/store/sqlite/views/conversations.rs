//! Conversations with their newest message and the work that is left in them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{PageBuilder, found, messages::read_contact};
use crate::store::{ConversationFilter, ConversationView, LastMessage, MessageId, Page, PageRequest};

/// The order of the columns is [`read`]'s.
macro_rules! select {
    ($where:literal) => {
        concat!(
            "SELECT id, channel, contact, wa_id, user_id, username, name, created_at, last_inbound_at,
                 taken_over_until, last_seq
             FROM conversation ",
            $where
        )
    };
}

pub(in crate::store::sqlite) fn one(sql: &Connection, id: i64) -> rusqlite::Result<Option<ConversationView>> {
    sql.prepare_cached(select!("WHERE id = ?1"))?.query_row([id], |row| read(sql, row)).optional()
}

pub(in crate::store::sqlite) fn page(
    sql: &Connection,
    filter: &ConversationFilter,
    request: PageRequest,
) -> rusqlite::Result<Page<ConversationView>> {
    let before = request.before.map_or(i64::MAX, |cursor| cursor.0);
    let mut page = PageBuilder::new(request);
    if let Some(contact) = &filter.contact {
        let mut statement = sql.prepare_cached(select!("WHERE id = ?1"))?;
        for id in found::conversations_of(sql, contact)?.into_iter().filter(|id| *id < before) {
            if !page.wants_more() {
                return Ok(page.page(true));
            }
            let mut rows = statement.query([id])?;
            if let Some(row) = rows.next()? {
                let item = if matches(filter, row)? { Some(read(sql, row)?) } else { None };
                page.examined(id, item);
            }
        }
        return Ok(page.page(false));
    }
    let mut statement = sql.prepare_cached(if filter.taken_over_at.is_some() {
        select!("INDEXED BY conversation_taken_over WHERE taken_over_until IS NOT NULL AND id < ?1 ORDER BY id DESC")
    } else {
        select!("WHERE id < ?1 ORDER BY id DESC")
    })?;
    let mut rows = statement.query([before])?;
    while let Some(row) = rows.next()? {
        if !page.wants_more() {
            return Ok(page.page(true));
        }
        let item = if matches(filter, row)? { Some(read(sql, row)?) } else { None };
        page.examined(row.get(0)?, item);
    }
    Ok(page.page(false))
}

fn matches(filter: &ConversationFilter, row: &Row<'_>) -> rusqlite::Result<bool> {
    if let Some(channel) = &filter.channel
        && row.get_ref(1)?.as_str()? != channel
    {
        return Ok(false);
    }
    let until: Option<i64> = row.get(9)?;
    Ok(filter.taken_over_at.is_none_or(|at| until.is_some_and(|until| until > at)))
}

fn read(sql: &Connection, row: &Row<'_>) -> rusqlite::Result<ConversationView> {
    let id: i64 = row.get(0)?;
    let last_seq: Option<i64> = row.get(10)?;
    let last_message = match last_seq {
        Some(seq) => sql
            .prepare_cached("SELECT id, direction, type, state, created_at FROM message WHERE seq = ?1")?
            .query_row([seq], |row| {
                Ok(LastMessage {
                    id: MessageId(row.get(0)?),
                    direction: row.get(1)?,
                    message_type: row.get(2)?,
                    state: row.get(3)?,
                    created_at: row.get(4)?,
                })
            })
            .optional()?,
        None => None,
    };
    let work = |queue: i64| {
        sql.prepare_cached("SELECT count(*) FROM work WHERE queue = ?1 AND conversation = ?2")?
            .query_row(params![queue, id], |row| row.get(0))
    };
    Ok(ConversationView {
        id,
        channel: row.get(1)?,
        contact: read_contact(row, 2)?,
        created_at: row.get(7)?,
        last_inbound_at: row.get(8)?,
        taken_over_until: row.get(9)?,
        last_message,
        inbox: work(1)?,
        outbox: work(2)?,
    })
}
