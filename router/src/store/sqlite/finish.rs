//! Ends an item: what it caused, its removal from the queue and the next item, in one transaction.

use rusqlite::params;

use super::{
    accept::OpenedLane,
    session::{Failure, Session},
};
use crate::store::{
    Attempt, DeliveryState, Finish, Finished, Item, Lease, Micros, NewOutbound, OpenedOutbox, Outcome, Queue,
    Refusal, Standing,
};

impl Session<'_> {
    pub(super) fn finish(
        &mut self,
        lease: Lease,
        item: &Item,
        outcome: &Outcome,
        with: &Finish,
        now: Micros,
    ) -> Result<Finished, Failure> {
        self.check(lease)?;
        let mut finished = Finished::default();
        match outcome {
            Outcome::Answered(replies) => {
                self.end_inbound(item.seq, "answered", None)?;
                self.put_into_outbox(
                    lease.conversation,
                    item,
                    replies,
                    with.claim_outbox,
                    now,
                    &mut finished,
                )?;
            }
            Outcome::NotAnswered { reason } => self.end_inbound(item.seq, "not_answered", Some(reason))?,
            Outcome::Sent { wamid, .. } => self.end_outbound(item.seq, wamid.as_deref(), now)?,
            Outcome::Dead(refusal) => self.bury(lease, item, refusal, now)?,
        }
        self.sql
            .prepare_cached("DELETE FROM work WHERE queue = ?1 AND conversation = ?2 AND seq = ?3")?
            .execute(params![lease.queue as i64, lease.conversation, item.seq])?;
        self.count(lease.queue, -1);
        if item.uncertain {
            self.sql
                .prepare_cached("UPDATE lane SET uncertain = 0 WHERE queue = ?1 AND conversation = ?2")?
                .execute(params![lease.queue as i64, lease.conversation])?;
        }
        finished.next = self.head(lease.queue, lease.conversation)?;
        if finished.next.is_none() {
            self.remove_lane(lease.queue, lease.conversation)?;
        }
        Ok(finished)
    }

    fn end_inbound(&mut self, seq: i64, state: &str, error: Option<&str>) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("UPDATE message SET state = ?2, error = ?3 WHERE seq = ?1")?
            .execute(params![seq, state, error])?;
        Ok(())
    }

    fn end_outbound(&mut self, seq: i64, wamid: Option<&str>, now: Micros) -> rusqlite::Result<()> {
        // A status webhook may have been faster than Graph's answer and have moved the message further.
        self.sql
            .prepare_cached(
                "UPDATE message SET state = CASE WHEN state IN ('queued', 'dead') THEN 'sent' ELSE state END,
                     wamid = coalesce(?2, wamid), sent_at = coalesce(sent_at, ?3) WHERE seq = ?1",
            )?
            .execute(params![seq, wamid, now])?;
        match wamid {
            Some(wamid) => self.adopt_orphans(seq, wamid),
            None => Ok(()),
        }
    }

    fn put_into_outbox(
        &mut self,
        conversation: i64,
        cause: &Item,
        replies: &[NewOutbound],
        claim: bool,
        now: Micros,
        finished: &mut Finished,
    ) -> rusqlite::Result<()> {
        let mut first = None;
        for reply in replies {
            let seq = self
                .sql
                .prepare_cached(
                    "INSERT INTO message (id, conversation, direction, type, state, payload, correlation, created_at)
                     VALUES (?1, ?2, 'out', ?3, ?4, ?5, ?6, ?7)",
                )?
                .insert(params![
                    reply.id.0,
                    conversation,
                    reply.message_type,
                    DeliveryState::Queued,
                    &*reply.payload,
                    cause.correlation.0,
                    now
                ])?;
            self.add_work(Queue::Outbox, conversation, seq)?;
            first.get_or_insert((seq, reply));
        }
        let Some((seq, reply)) = first else { return Ok(()) };
        match self.open_lane(Queue::Outbox, conversation, now, claim)? {
            OpenedLane::Leased(lease) => {
                let item = Item {
                    seq,
                    id: reply.id,
                    correlation: cause.correlation,
                    payload: reply.payload.clone(),
                    attempts: 0,
                    counted: 0,
                    created_at: now,
                    inbound: None,
                    uncertain: false,
                    already_sent: false,
                    route: reply.route.clone(),
                    standing: Standing::default(),
                };
                finished.opened = Some(OpenedOutbox { lease, item });
            }
            OpenedLane::Waiting => finished.left_work = true,
            OpenedLane::Existed => {}
        }
        Ok(())
    }

    fn bury(&mut self, lease: Lease, item: &Item, refusal: &Refusal, now: Micros) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("UPDATE message SET state = 'dead', error = ?2 WHERE seq = ?1")?
            .execute(params![item.seq, refusal.error])?;
        let buried = self
            .sql
            .prepare_cached(
                "INSERT OR REPLACE INTO dead_letter (seq, queue, conversation, reason, error, attempts, died_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                item.seq,
                lease.queue as i64,
                lease.conversation,
                refusal.reason,
                refusal.error,
                item.attempts + u32::from(refusal.attempt != Attempt::None),
                now
            ])?;
        self.depth.dead_letters += i64::try_from(buried).unwrap_or_default();
        Ok(())
    }
}
