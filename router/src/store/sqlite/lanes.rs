//! Leases on lanes: taking them, giving them back, and what lies at their head.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Row, params};

use super::session::{Failure, Session};
use crate::store::{
    Attempt, Claim, Claims, Inbound, Item, Lease, MessageId, Micros, Queue, Refusal, Standing, StoreError,
};

impl Session<'_> {
    pub(super) fn count(&mut self, queue: Queue, change: i64) {
        match queue {
            Queue::Inbox => self.depth.inbox += change,
            Queue::Outbox => self.depth.outbox += change,
        }
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
            item.uncertain = uncertain;
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

    /// The first item of the lane, which is the next one to be worked on.
    pub(super) fn head(&mut self, queue: Queue, conversation: i64) -> rusqlite::Result<Option<Item>> {
        self.sql
            .prepare_cached(
                "SELECT w.seq, w.attempts, m.id, m.correlation, m.payload, m.created_at, m.wamid, m.sent_at, m.state,
                     w.counted
                 FROM work w JOIN message m ON m.seq = w.seq
                 WHERE w.queue = ?1 AND w.conversation = ?2 ORDER BY w.seq LIMIT 1",
            )?
            .query_row(params![queue as i64, conversation], |row| read_item(queue, row))
            .optional()
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
                "UPDATE work SET attempts = attempts + ?4, counted = counted + ?5, last_reason = ?6, last_error = ?7
                 WHERE queue = ?1 AND conversation = ?2 AND seq = ?3",
            )?
            .execute(params![
                lease.queue as i64,
                lease.conversation,
                seq,
                refusal.attempt != Attempt::None,
                refusal.attempt == Attempt::Counted,
                refusal.reason,
                refusal.error
            ])?;
        self.sql
            .prepare_cached(
                "UPDATE lane SET due_at = ?3, owner = NULL, token = 0, uncertain = ?4
                 WHERE queue = ?1 AND conversation = ?2",
            )?
            .execute(params![lease.queue as i64, lease.conversation, due_at, refusal.uncertain])?;
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

    /// After a start: nobody else can hold a lease on this file, so all that are left belong to a dead process.
    /// What it was sending at that moment may have gone out: those lanes rest until `outbox_due_at`, so that a
    /// status webhook can tell.
    pub(super) fn take_over(&mut self, now: Micros, outbox_due_at: Micros) -> rusqlite::Result<usize> {
        self.sql.execute(
            "UPDATE lane SET due_at = CASE queue WHEN 1 THEN ?1 ELSE ?2 END, owner = NULL, token = 0, uncertain = 1
             WHERE due_at IS NULL",
            [now, outbox_due_at],
        )
    }
}

fn read_item(queue: Queue, row: &Row<'_>) -> rusqlite::Result<Item> {
    let state: String = row.get(8)?;
    let inbound = match queue {
        Queue::Inbox => {
            let wamid: Option<Arc<str>> = row.get(6)?;
            Some(Inbound { wamid: wamid.unwrap_or_else(|| Arc::from("")), sent_at: row.get(7)? })
        }
        Queue::Outbox => None,
    };
    Ok(Item {
        seq: row.get(0)?,
        attempts: row.get(1)?,
        counted: row.get(9)?,
        id: MessageId(row.get(2)?),
        correlation: MessageId(row.get(3)?),
        payload: row.get(4)?,
        created_at: row.get(5)?,
        inbound,
        uncertain: false,
        already_sent: queue == Queue::Outbox && state != "queued",
        route: None,
        standing: Standing::default(),
    })
}
