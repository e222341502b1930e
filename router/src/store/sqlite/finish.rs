//! Ends an item: what it caused, its removal from the queue and the next item, in one transaction.

use rusqlite::{OptionalExtension, params};

use super::{
    outbox::Cause,
    session::{Failure, Session},
};
use crate::store::{Doubt, Finish, Finished, Item, Lease, Micros, NewOutbound, Outcome, Queue};

/// An item that has just left its queue.
pub(super) struct Ended {
    pub(super) seq: i64,
    pub(super) attempts: u32,
}

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
        if let Some(at) = with.pair_free_at {
            self.set_pair_free_at(lease.conversation, at)?;
        }
        // Gone already only if the caller repeats itself under a lease that it still holds.
        if let Some(ended) = self.take_from_queue(lease, item.seq)? {
            self.end(lease, &ended, outcome, now)?;
            if let Outcome::Answered(replies) = outcome {
                self.send_replies(lease.conversation, item, replies, with.claim_outbox, now, &mut finished)?;
            }
        }
        for seq in &with.joined {
            if let Some(ended) = self.take_from_queue(lease, *seq)? {
                self.end(lease, &ended, outcome, now)?;
            }
        }
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

    fn take_from_queue(&mut self, lease: Lease, seq: i64) -> rusqlite::Result<Option<Ended>> {
        let taken: Option<(u32, i64)> = self
            .sql
            .prepare_cached(
                "DELETE FROM work WHERE queue = ?1 AND conversation = ?2 AND seq = ?3 RETURNING attempts, bytes",
            )?
            .query_row(params![lease.queue as i64, lease.conversation, seq], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((attempts, bytes)) = taken else { return Ok(None) };
        self.count(lease.queue, -1, -bytes);
        Ok(Some(Ended { seq, attempts }))
    }

    fn end(&mut self, lease: Lease, ended: &Ended, outcome: &Outcome, now: Micros) -> rusqlite::Result<()> {
        let channel = self.channel_of(lease.conversation)?;
        match outcome {
            Outcome::Answered(_) => {
                self.tallies.of(&channel).answered += 1;
                self.end_inbound(ended.seq, "answered", None)
            }
            Outcome::NotAnswered { reason } => {
                self.tallies.of(&channel).not_to_be_answered += 1;
                self.end_inbound(ended.seq, "not_answered", Some(reason))
            }
            Outcome::Sent { wamid, doubt, watch_at } => {
                self.tallies.of(&channel).sent += 1;
                self.end_outbound(ended.seq, wamid.as_deref(), *doubt, *watch_at, now)
            }
            Outcome::Dead(refusal) => {
                if !self.bury(lease, ended, refusal, now)? {
                    self.tallies.of(&channel).sent += 1;
                }
                Ok(())
            }
        }
    }

    fn end_inbound(&mut self, seq: i64, state: &str, error: Option<&str>) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("UPDATE message SET state = ?2, error = ?3 WHERE seq = ?1")?
            .execute(params![seq, state, error])?;
        Ok(())
    }

    fn end_outbound(
        &mut self,
        seq: i64,
        wamid: Option<&str>,
        doubt: Option<Doubt>,
        watch_at: Option<Micros>,
        now: Micros,
    ) -> rusqlite::Result<()> {
        // A status webhook may have been faster than Graph's answer and have moved the message further.
        self.sql
            .prepare_cached(
                "UPDATE message SET state = CASE WHEN state IN ('queued', 'dead') THEN 'sent' ELSE state END,
                     wamid = coalesce(?2, wamid), sent_at = coalesce(sent_at, ?3), doubt = coalesce(?4, doubt),
                     watch_at = CASE WHEN state IN ('queued', 'dead', 'sent') THEN ?5 END
                 WHERE seq = ?1",
            )?
            .execute(params![seq, wamid, now, doubt.map(Doubt::as_str), watch_at])?;
        match wamid {
            Some(wamid) => self.adopt_orphans(seq, wamid),
            None => Ok(()),
        }
    }

    fn send_replies(
        &mut self,
        conversation: i64,
        cause: &Item,
        replies: &[NewOutbound],
        claim: bool,
        now: Micros,
        finished: &mut Finished,
    ) -> rusqlite::Result<()> {
        let cause = Cause { conversation, correlation: Some(cause.correlation), now };
        let Some(first) = self.put_into_outbox(cause, replies)? else { return Ok(()) };
        let opened = self.open_lane(Queue::Outbox, conversation, now, claim)?;
        finished.left_work = opened.left_work();
        finished.opened = match opened.lease() {
            Some(lease) => Some(first.open(lease, self.standing(conversation)?)),
            None => None,
        };
        Ok(())
    }
}
