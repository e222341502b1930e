//! The ledger and the state of the queues. What is unfinished is counted in the queues themselves.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{
    lanes::clock,
    session::{Failure, Session},
};
use crate::store::{ChannelLedger, QueueView, QueuesView};

/// One statement, so that both sides of each account are of the same moment.
const LEDGER: &str =
    "SELECT channel, sum(accepted)::bigint, sum(answered)::bigint, sum(not_to_be_answered)::bigint,
         sum(queued)::bigint, sum(sent)::bigint, sum(discarded)::bigint,
         sum(in_work)::bigint, sum(in_dead)::bigint, sum(out_work)::bigint, sum(out_dead)::bigint
     FROM (
         SELECT channel, accepted, answered, not_to_be_answered, queued, sent, discarded,
             0 AS in_work, 0 AS in_dead, 0 AS out_work, 0 AS out_dead FROM tally
         UNION ALL
         SELECT c.channel, 0, 0, 0, 0, 0, 0, sum(w.items) FILTER (WHERE w.queue = 1), 0,
             sum(w.items) FILTER (WHERE w.queue = 2), 0
         FROM (SELECT queue, conversation, count(*) AS items FROM work GROUP BY queue, conversation) w
         JOIN conversation c ON c.id = w.conversation GROUP BY c.channel
         UNION ALL
         SELECT c.channel, 0, 0, 0, 0, 0, 0, 0, count(*) FILTER (WHERE d.queue = 1), 0,
             count(*) FILTER (WHERE d.queue = 2)
         FROM dead_letter d JOIN conversation c ON c.id = d.conversation GROUP BY c.channel
     ) a GROUP BY channel";

pub(in crate::store::postgres) async fn ledger(session: &Session) -> Result<Vec<ChannelLedger>, Failure> {
    let mut by_channel = BTreeMap::new();
    for row in session.query(LEDGER, &[]).await? {
        let channel: Arc<str> = row.try_get::<_, &str>(0)?.into();
        let number = |column| row.try_get::<_, Option<i64>>(column).map(Option::unwrap_or_default);
        let account = ChannelLedger {
            channel: channel.clone(),
            accepted: number(1)?,
            answered: number(2)?,
            not_to_be_answered: number(3)?,
            queued: number(4)?,
            sent: number(5)?,
            discarded: number(6)?,
            inbox_in_flight: number(7)?,
            inbox_dead: number(8)?,
            outbox_in_flight: number(9)?,
            outbox_dead: number(10)?,
        };
        by_channel.insert(channel, account);
    }
    Ok(by_channel.into_values().collect())
}

const QUEUES: &str = concat!(
    "SELECT w.queue, sum(w.items) FILTER (WHERE l.token <> 0)::bigint,
         sum(w.items) FILTER (WHERE l.token = 0 AND l.due_at <= ",
    clock!(),
    ")::bigint, sum(w.items) FILTER (WHERE l.token = 0 AND l.due_at > ",
    clock!(),
    ")::bigint, (SELECT created_at FROM message m WHERE m.seq = min(w.oldest))
     FROM (SELECT queue, conversation, count(*) AS items, min(seq) AS oldest FROM work GROUP BY queue, conversation) w
     JOIN lane l ON l.queue = w.queue AND l.conversation = w.conversation GROUP BY w.queue"
);
const DEAD: &str = "SELECT count(*) FROM dead_letter";

pub(in crate::store::postgres) async fn queues(session: &Session) -> Result<QueuesView, Failure> {
    let mut view = QueuesView::default();
    for row in session.query(QUEUES, &[]).await? {
        let number = |column| row.try_get::<_, Option<i64>>(column).map(Option::unwrap_or_default);
        let queue = QueueView {
            in_progress: number(1)?,
            ready: number(2)?,
            delayed: number(3)?,
            oldest_at: row.try_get(4)?,
        };
        match row.try_get::<_, i16>(0)? {
            1 => view.inbox = queue,
            _ => view.outbox = queue,
        }
    }
    if let Some(row) = session.query(DEAD, &[]).await?.first() {
        view.dead_letters = row.try_get(0)?;
    }
    Ok(view)
}
