//! Leases on lanes: taking them, giving them back, and what lies at their head.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::session::{Failure, Session};
use crate::store::{
    Attempt, Claim, Claims, DeliveryState, Inbound, Item, Lease, MessageId, Micros, Queue, Refusal, Standing,
    StoreError, Trace,
};

impl Session<'_> {
    pub(super) fn count(&mut self, queue: Queue, items: i64, bytes: i64) {
        match queue {
            Queue::Inbox => self.depth.inbox += items,
            Queue::Outbox => self.depth.outbox += items,
        }
        self.depth.bytes += bytes;
    }

    /// `bytes`: of the payload.
    pub(super) fn add_work(
        &mut self,
        queue: Queue,
        conversation: i64,
        seq: i64,
        bytes: usize,
    ) -> rusqlite::Result<()> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.sql
            .prepare_cached("INSERT INTO work (queue, conversation, seq, bytes) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![queue as i64, conversation, seq, bytes])?;
        self.count(queue, 1, bytes);
        Ok(())
    }

    /// Makes the lane if the conversation has none in this queue: leased to us, or due now for whoever claims.
    pub(super) fn open_lane(
        &mut self,
        queue: Queue,
        conversation: i64,
        now: Micros,
        claim: bool,
    ) -> rusqlite::Result<OpenedLane> {
        let mut statement = self.sql.prepare_cached(
            "INSERT OR IGNORE INTO lane (queue, conversation, due_at, owner, token) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        if claim {
            let token = self.memory.next_token();
            let made = statement.execute(params![
                queue as i64,
                conversation,
                None::<Micros>,
                self.memory.owner,
                token
            ])?;
            return Ok(match made {
                1 => OpenedLane::Leased(Lease { queue, conversation, token }),
                _ => OpenedLane::Existed,
            });
        }
        let made = statement.execute(params![queue as i64, conversation, now, None::<&str>, 0])?;
        Ok(if made == 1 { OpenedLane::Waiting } else { OpenedLane::Existed })
    }

    pub(super) fn claim(&mut self, queue: Queue, limit: usize, now: Micros) -> rusqlite::Result<Claims> {
        let due: Vec<(i64, bool)> = self
            .sql
            .prepare_cached(
                "SELECT conversation, uncertain FROM lane WHERE queue = ?1 AND due_at <= ?2 ORDER BY due_at LIMIT ?3",
            )?
            .query_map(params![queue as i64, now, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut claims = Claims::default();
        for (conversation, uncertain) in due {
            let Some(mut item) = self.head(queue, conversation)? else {
                self.remove_lane(queue, conversation)?;
                continue;
            };
            item.uncertain |= uncertain;
            let token = self.memory.next_token();
            self.sql
                .prepare_cached(
                    "UPDATE lane SET due_at = NULL, owner = ?3, token = ?4 WHERE queue = ?1 AND conversation = ?2",
                )?
                .execute(params![queue as i64, conversation, self.memory.owner, token])?;
            let (channel, contact) = self.channel_and_contact(conversation)?;
            claims.claims.push(Claim { lease: Lease { queue, conversation, token }, channel, contact, item });
        }
        claims.next_due = self
            .sql
            .prepare_cached("SELECT min(due_at) FROM lane WHERE queue = ?1 AND due_at IS NOT NULL")?
            .query_row([queue as i64], |row| row.get(0))?;
        Ok(claims)
    }

    pub(super) fn hurry(
        &mut self,
        queue: Queue,
        channel: &str,
        limit: usize,
        now: Micros,
    ) -> rusqlite::Result<usize> {
        self.sql
            .prepare_cached(
                "UPDATE lane SET due_at = ?3 WHERE queue = ?1 AND conversation IN (
                     SELECT l.conversation FROM lane l JOIN conversation c ON c.id = l.conversation
                     WHERE l.queue = ?1 AND l.due_at > ?3 AND l.uncertain = 0 AND c.channel = ?2
                         AND NOT EXISTS (SELECT 1 FROM work w WHERE w.queue = l.queue
                             AND w.conversation = l.conversation AND w.uncertain = 1)
                     LIMIT ?4)",
            )?
            .execute(params![queue as i64, channel, now, i64::try_from(limit).unwrap_or(i64::MAX)])
    }

    /// The first item of the lane, which is the next one to be worked on.
    pub(super) fn head(&mut self, queue: Queue, conversation: i64) -> rusqlite::Result<Option<Item>> {
        let mut head = self
            .sql
            .prepare_cached(ITEMS)?
            .query_row(params![queue as i64, conversation, 1], |row| read_item(queue, row))
            .optional()?;
        if let Some(item) = &mut head {
            item.standing = self.standing(conversation)?;
        }
        Ok(head)
    }

    pub(super) fn pending(&mut self, lease: Lease, limit: usize) -> Result<Vec<Item>, Failure> {
        let uncertain: Option<bool> = self
            .sql
            .prepare_cached(
                "SELECT uncertain FROM lane WHERE queue = ?1 AND conversation = ?2 AND token = ?3",
            )?
            .query_row(params![lease.queue as i64, lease.conversation, lease.token], |row| row.get(0))
            .optional()?;
        let uncertain = uncertain.ok_or(Failure::Refused(StoreError::LeaseLost))?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut items = self
            .sql
            .prepare_cached(ITEMS)?
            .query_map(params![lease.queue as i64, lease.conversation, limit], |row| {
                read_item(lease.queue, row)
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        let standing = self.standing(lease.conversation)?;
        for (index, item) in items.iter_mut().enumerate() {
            item.standing = standing;
            item.uncertain |= uncertain && index == 0;
        }
        Ok(items)
    }

    pub(super) fn check(&mut self, lease: Lease) -> Result<(), Failure> {
        let held = self
            .sql
            .prepare_cached("SELECT 1 FROM lane WHERE queue = ?1 AND conversation = ?2 AND token = ?3")?
            .exists(params![lease.queue as i64, lease.conversation, lease.token])?;
        if held { Ok(()) } else { Err(Failure::Refused(StoreError::LeaseLost)) }
    }

    pub(super) fn defer(
        &mut self,
        lease: Lease,
        seq: i64,
        refusal: &Refusal,
        due_at: Micros,
    ) -> Result<(), Failure> {
        self.check(lease)?;
        self.sql
            .prepare_cached(
                "UPDATE work SET attempts = attempts + ?4, counted = counted + ?5, last_reason = ?6, last_error = ?7,
                     uncertain = ?8
                 WHERE queue = ?1 AND conversation = ?2 AND seq = ?3",
            )?
            .execute(params![
                lease.queue as i64,
                lease.conversation,
                seq,
                refusal.attempt != Attempt::None,
                refusal.attempt == Attempt::Counted,
                refusal.reason,
                refusal.error,
                refusal.uncertain
            ])?;
        self.sql
            .prepare_cached(
                "UPDATE lane SET due_at = ?3, owner = NULL, token = 0, uncertain = 0
                 WHERE queue = ?1 AND conversation = ?2",
            )?
            .execute(params![lease.queue as i64, lease.conversation, due_at])?;
        Ok(())
    }

    pub(super) fn release(
        &mut self,
        lease: Lease,
        in_doubt_until: Option<Micros>,
        now: Micros,
    ) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE lane SET due_at = ?4, owner = NULL, token = 0, uncertain = max(uncertain, ?5)
                 WHERE queue = ?1 AND conversation = ?2 AND token = ?3",
            )?
            .execute(params![
                lease.queue as i64,
                lease.conversation,
                lease.token,
                in_doubt_until.unwrap_or(now),
                in_doubt_until.is_some()
            ])?;
        Ok(())
    }

    pub(super) fn remove_lane(&mut self, queue: Queue, conversation: i64) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("DELETE FROM lane WHERE queue = ?1 AND conversation = ?2")?
            .execute(params![queue as i64, conversation])?;
        Ok(())
    }

    pub(super) fn probe(&mut self, now: Micros) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "INSERT INTO probe (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = ?1",
            )?
            .execute([now])?;
        Ok(())
    }
}

/// What became of the wish to have a lane.
pub(super) enum OpenedLane {
    Leased(Lease),
    /// New, and due for whoever claims next.
    Waiting,
    /// There before: its holder, or its due time, will get to the new work.
    Existed,
}

impl OpenedLane {
    pub(super) fn left_work(&self) -> bool {
        matches!(self, Self::Waiting)
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        if let Self::Leased(lease) = self { Some(*lease) } else { None }
    }
}

/// The first items of a lane. The order of the columns is [`read_item`]'s.
const ITEMS: &str =
    "SELECT w.seq, w.attempts, w.counted, w.uncertain, m.id, m.correlation, m.created_at, m.wamid,
        m.sent_at, m.state, m.route, m.payload, m.trace
    FROM work w JOIN message m ON m.seq = w.seq
    WHERE w.queue = ?1 AND w.conversation = ?2 ORDER BY w.seq LIMIT ?3";

fn read_item(queue: Queue, row: &Row<'_>) -> rusqlite::Result<Item> {
    let (inbound, already_sent) = match queue {
        Queue::Inbox => {
            let wamid: Option<Arc<str>> = row.get(7)?;
            let wamid = wamid.unwrap_or_else(|| Arc::from(""));
            (Some(Inbound { wamid, sent_at: row.get(8)? }), false)
        }
        Queue::Outbox => (None, row.get_ref(9)?.as_str()? != DeliveryState::Queued.as_str()),
    };
    Ok(Item {
        seq: row.get(0)?,
        attempts: row.get(1)?,
        counted: row.get(2)?,
        uncertain: row.get(3)?,
        id: MessageId(row.get(4)?),
        correlation: MessageId(row.get(5)?),
        created_at: row.get(6)?,
        inbound,
        already_sent,
        route: row.get(10)?,
        payload: row.get(11)?,
        standing: Standing::default(),
        trace: row.get_ref(12)?.as_blob_or_null()?.and_then(Trace::from_bytes),
    })
}
