//! The ledger and the state of the queues. What is unfinished is counted in the queues themselves: one walk through
//! their keys for each question, since millions may wait when somebody asks.

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
    // Whatever enters a queue is counted with its channel, so where there is one channel all rows are its own.
    let only = by_channel.keys().next().filter(|_| by_channel.len() == 1).cloned();
    let in_flight = match only {
        Some(_) => "SELECT ?1, queue, count(*) FROM work GROUP BY queue",
        // By conversation first: the rows lie in that order, and the channel is looked up once for each.
        None => {
            "SELECT c.channel, w.queue, sum(w.items)
             FROM (SELECT queue, conversation, count(*) AS items FROM work GROUP BY queue, conversation) w
             JOIN conversation c ON c.id = w.conversation WHERE ?1 IS NULL GROUP BY c.channel, w.queue"
        }
    };
    let dead = "SELECT c.channel, d.queue, count(*)
        FROM dead_letter d JOIN conversation c ON c.id = d.conversation
        WHERE ?1 IS NULL OR true GROUP BY c.channel, d.queue";
    for (statement, is_dead) in [(in_flight, false), (dead, true)] {
        let mut statement = sql.prepare_cached(statement)?;
        let mut rows = statement.query([only.as_deref()])?;
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
    let number = queue as i64;
    let (items, oldest): (i64, Option<i64>) = sql
        .prepare_cached("SELECT count(*), min(seq) FROM work WHERE queue = ?1")?
        .query_row([number], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(oldest) = oldest else { return Ok(QueueView::default()) };
    // Of what waits most is ready, so the others are counted.
    let in_progress: i64 = sql
        .prepare_cached(
            "SELECT coalesce(sum((SELECT count(*) FROM work w WHERE w.queue = ?1 AND w.conversation = l.conversation)), 0)
             FROM lane l WHERE l.queue = ?1 AND l.due_at IS NULL",
        )?
        .query_row([number], |row| row.get(0))?;
    let delayed: i64 = sql
        .prepare_cached(
            "SELECT coalesce(sum((SELECT count(*) FROM work w WHERE w.queue = ?1 AND w.conversation = l.conversation)), 0)
             FROM lane l WHERE l.queue = ?1 AND l.due_at > ?2",
        )?
        .query_row([number, now], |row| row.get(0))?;
    let oldest_at = sql
        .prepare_cached("SELECT created_at FROM message WHERE seq = ?1")?
        .query_row([oldest], |row| row.get(0))
        .optional()?;
    Ok(QueueView { in_progress, delayed, ready: items - in_progress - delayed, oldest_at })
}
