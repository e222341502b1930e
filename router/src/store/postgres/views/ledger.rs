//! The ledger and the state of the queues. What is unfinished is counted in the queues themselves.

use std::{collections::BTreeMap, sync::Arc};

use super::super::{
    lanes::clock,
    session::{Failure, Session},
};
use crate::store::{ChannelLedger, QueueView, QueuesView};

/// One statement, so that both sides of each account are of the same moment. Whatever enters a queue is counted with
/// its channel, so where there is one channel all work is its own, and no conversation has to be looked up.
const LEDGER: &str =
    "WITH only_one AS (SELECT min(channel) AS channel FROM tally HAVING count(DISTINCT channel) = 1)
     SELECT channel, sum(accepted)::bigint, sum(answered)::bigint, sum(not_to_be_answered)::bigint,
         sum(queued)::bigint, sum(sent)::bigint, sum(discarded)::bigint,
         sum(in_work)::bigint, sum(in_dead)::bigint, sum(out_work)::bigint, sum(out_dead)::bigint
     FROM (
         SELECT channel, accepted, answered, not_to_be_answered, queued, sent, discarded,
             0 AS in_work, 0 AS in_dead, 0 AS out_work, 0 AS out_dead FROM tally
         UNION ALL
         SELECT o.channel, 0, 0, 0, 0, 0, 0, w.inbox, 0, w.outbox, 0
         FROM only_one o CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE queue = 1) AS inbox,
             count(*) FILTER (WHERE queue = 2) AS outbox FROM work) w
         UNION ALL
         SELECT c.channel, 0, 0, 0, 0, 0, 0, sum(w.items) FILTER (WHERE w.queue = 1), 0,
             sum(w.items) FILTER (WHERE w.queue = 2), 0
         FROM (SELECT queue, conversation, count(*) AS items FROM work GROUP BY queue, conversation) w
         JOIN conversation c ON c.id = w.conversation
         WHERE NOT EXISTS (SELECT FROM only_one) GROUP BY c.channel
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

/// Of what waits most is ready, so the others are counted.
const QUEUES: &str = concat!(
    "SELECT w.queue, busy.items, w.items - busy.items - later.items, later.items,
         (SELECT created_at FROM message m WHERE m.seq = w.oldest)
     FROM (SELECT queue, count(*) AS items, min(seq) AS oldest FROM work GROUP BY queue) w
     CROSS JOIN LATERAL (SELECT count(*) AS items FROM lane l
         JOIN work i ON i.queue = l.queue AND i.conversation = l.conversation
         WHERE l.queue = w.queue AND l.token <> 0) busy
     CROSS JOIN LATERAL (SELECT count(*) AS items FROM lane l
         JOIN work i ON i.queue = l.queue AND i.conversation = l.conversation
         WHERE l.queue = w.queue AND l.token = 0 AND l.due_at > ",
    clock!(),
    ") later"
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
