//! The ledger and the state of the queues. What is unfinished is counted in the queues themselves, once through each.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, OptionalExtension};

use crate::store::{ChannelLedger, Micros, Queue, QueueView, QueuesView};

pub(in crate::store::sqlite) fn ledger(sql: &Connection) -> rusqlite::Result<Vec<ChannelLedger>> {
    let mut by_channel: BTreeMap<Arc<str>, ChannelLedger> = BTreeMap::new();
    let mut tallies = sql.prepare_cached(
        "SELECT channel, accepted, answered, not_to_be_answered, queued, sent, discarded FROM tally",
    )?;
    let mut rows = tallies.query([])?;
    while let Some(row) = rows.next()? {
        let account = ChannelLedger {
            accepted: row.get(1)?,
            answered: row.get(2)?,
            not_to_be_answered: row.get(3)?,
            queued: row.get(4)?,
            sent: row.get(5)?,
            discarded: row.get(6)?,
            ..ChannelLedger::empty(row.get(0)?)
        };
        by_channel.insert(account.channel.clone(), account);
    }
    // By conversation first: the rows lie in that order, and the channel is looked up once for each.
    let in_flight = "SELECT c.channel, w.queue, sum(w.items)
        FROM (SELECT queue, conversation, count(*) AS items FROM work GROUP BY queue, conversation) w
        JOIN conversation c ON c.id = w.conversation GROUP BY c.channel, w.queue";
    let dead = "SELECT c.channel, d.queue, count(*)
        FROM dead_letter d JOIN conversation c ON c.id = d.conversation GROUP BY c.channel, d.queue";
    for (statement, is_dead) in [(in_flight, false), (dead, true)] {
        let mut statement = sql.prepare_cached(statement)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (channel, queue, count): (Arc<str>, Queue, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let account = by_channel.entry(channel.clone()).or_insert_with(|| ChannelLedger::empty(channel));
            match (queue, is_dead) {
                (Queue::Inbox, false) => account.inbox_in_flight = count,
                (Queue::Inbox, true) => account.inbox_dead = count,
                (Queue::Outbox, false) => account.outbox_in_flight = count,
                (Queue::Outbox, true) => account.outbox_dead = count,
            }
        }
    }
    Ok(by_channel.into_values().collect())
}

pub(in crate::store::sqlite) fn queues(sql: &Connection, now: Micros) -> rusqlite::Result<QueuesView> {
    let dead_letters =
        sql.prepare_cached("SELECT count(*) FROM dead_letter")?.query_row([], |row| row.get(0))?;
    Ok(QueuesView {
        inbox: queue(sql, Queue::Inbox, now)?,
        outbox: queue(sql, Queue::Outbox, now)?,
        dead_letters,
    })
}

fn queue(sql: &Connection, queue: Queue, now: Micros) -> rusqlite::Result<QueueView> {
    let mut view = QueueView::default();
    let mut statement = sql.prepare_cached(
        "SELECT l.due_at, w.items, w.oldest
         FROM (SELECT conversation, count(*) AS items, min(seq) AS oldest FROM work WHERE queue = ?1
               GROUP BY conversation) w
         LEFT JOIN lane l ON l.queue = ?1 AND l.conversation = w.conversation",
    )?;
    let mut rows = statement.query([queue as i64])?;
    let mut oldest: Option<i64> = None;
    while let Some(row) = rows.next()? {
        let (due_at, items, first): (Option<Micros>, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match due_at {
            None => view.in_progress += items,
            Some(due_at) if due_at <= now => view.ready += items,
            Some(_) => view.delayed += items,
        }
        oldest = Some(oldest.map_or(first, |oldest| oldest.min(first)));
    }
    if let Some(seq) = oldest {
        view.oldest_at = sql
            .prepare_cached("SELECT created_at FROM message WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))
            .optional()?;
    }
    Ok(view)
}
