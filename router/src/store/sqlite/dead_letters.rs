//! Work that is given up, and what an operator does with it: tries it again or deletes it.

use rusqlite::{OptionalExtension, params};

use super::{finish::Ended, session::Session};
use crate::store::{Attempt, DeliveryState, Doubt, Lease, MessageId, Micros, Queue, Refusal, Replayed};

/// What is needed to take a dead letter back.
struct Buried {
    queue: Queue,
    conversation: i64,
}

impl Session<'_> {
    /// False when a status has proved meanwhile that it went out: it is not dead then.
    pub(super) fn bury(
        &mut self,
        lease: Lease,
        ended: &Ended,
        refusal: &Refusal,
        now: Micros,
    ) -> rusqlite::Result<bool> {
        let died = self
            .sql
            .prepare_cached(
                "UPDATE message SET state = 'dead', error = ?2, doubt = coalesce(?3, doubt)
                 WHERE seq = ?1 AND state IN ('received', 'queued')",
            )?
            .execute(params![ended.seq, refusal.error, refusal.doubt.map(Doubt::as_str)])?;
        if died == 0 {
            self.sql
                .prepare_cached("UPDATE message SET doubt = ?2 WHERE seq = ?1")?
                .execute(params![ended.seq, Doubt::SettledByStatus.as_str()])?;
            return Ok(false);
        }
        self.sql
            .prepare_cached(
                "INSERT INTO dead_letter (seq, queue, conversation, reason, error, attempts, died_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                ended.seq,
                lease.queue as i64,
                lease.conversation,
                refusal.reason,
                refusal.error,
                ended.attempts + u32::from(refusal.attempt != Attempt::None),
                now
            ])?;
        self.depth.dead_letters += 1;
        Ok(true)
    }

    fn take_dead_letter(&mut self, seq: i64) -> rusqlite::Result<Option<Buried>> {
        let buried = self
            .sql
            .prepare_cached("DELETE FROM dead_letter WHERE seq = ?1 RETURNING queue, conversation")?
            .query_row([seq], |row| Ok(Buried { queue: row.get(0)?, conversation: row.get(1)? }))
            .optional()?;
        self.depth.dead_letters -= i64::from(buried.is_some());
        Ok(buried)
    }

    fn seq_of(&mut self, id: MessageId) -> rusqlite::Result<Option<i64>> {
        self.sql
            .prepare_cached("SELECT seq FROM message WHERE id = ?1")?
            .query_row([id.0], |row| row.get(0))
            .optional()
    }

    pub(super) fn replay_one(&mut self, id: MessageId, now: Micros) -> rusqlite::Result<Replayed> {
        match self.seq_of(id)? {
            Some(seq) => self.replay(&[seq], now),
            None => Ok(Replayed::default()),
        }
    }

    /// Those of `seqs` that are dead.
    pub(super) fn replay(&mut self, seqs: &[i64], now: Micros) -> rusqlite::Result<Replayed> {
        let mut replayed = Replayed::default();
        for &seq in seqs {
            let Some(buried) = self.take_dead_letter(seq)? else { continue };
            let (state, count) = match buried.queue {
                Queue::Inbox => ("received", &mut replayed.inbox),
                Queue::Outbox => (DeliveryState::Queued.as_str(), &mut replayed.outbox),
            };
            *count += 1;
            let bytes: i64 = self
                .sql
                .prepare_cached(
                    "UPDATE message SET state = ?2, error = NULL, doubt = NULL, trace = NULL WHERE seq = ?1
                     RETURNING length(CAST(payload AS BLOB))",
                )?
                .query_row(params![seq, state], |row| row.get(0))?;
            self.keep_doubt_of_head(buried.queue, buried.conversation, seq)?;
            self.add_work(
                buried.queue,
                buried.conversation,
                seq,
                usize::try_from(bytes).unwrap_or_default(),
            )?;
            // A lane that waits for a later item goes on waiting: its wait may be for a status.
            self.open_lane(buried.queue, buried.conversation, now, false)?;
        }
        Ok(replayed)
    }

    /// The lane says of its head alone that it may have been done. Something that goes in front of it takes that
    /// place, so the doubt is written down with the item. An item that is being worked on counts as in doubt: its
    /// holder may vanish.
    fn keep_doubt_of_head(&mut self, queue: Queue, conversation: i64, seq: i64) -> rusqlite::Result<()> {
        let head: Option<i64> = self
            .sql
            .prepare_cached("SELECT min(seq) FROM work WHERE queue = ?1 AND conversation = ?2")?
            .query_row(params![queue as i64, conversation], |row| row.get(0))?;
        let Some(head) = head.filter(|head| *head > seq) else { return Ok(()) };
        let in_doubt = self
            .sql
            .prepare_cached(
                "UPDATE lane SET uncertain = 0
                 WHERE queue = ?1 AND conversation = ?2 AND (uncertain = 1 OR due_at IS NULL)",
            )?
            .execute(params![queue as i64, conversation])?;
        if in_doubt == 1 {
            self.sql
                .prepare_cached(
                    "UPDATE work SET uncertain = 1 WHERE queue = ?1 AND conversation = ?2 AND seq = ?3",
                )?
                .execute(params![queue as i64, conversation, head])?;
        }
        Ok(())
    }

    pub(super) fn discard(&mut self, id: MessageId) -> rusqlite::Result<bool> {
        match self.seq_of(id)? {
            Some(seq) => self.discard_seq(seq),
            None => Ok(false),
        }
    }

    pub(super) fn discard_seq(&mut self, seq: i64) -> rusqlite::Result<bool> {
        let Some(buried) = self.take_dead_letter(seq)? else { return Ok(false) };
        self.sql.prepare_cached("UPDATE message SET state = 'discarded' WHERE seq = ?1")?.execute([seq])?;
        let channel = self.channel_of(buried.conversation)?;
        let tally = self.tallies.of(&channel);
        match buried.queue {
            Queue::Inbox => tally.not_to_be_answered += 1,
            Queue::Outbox => tally.discarded += 1,
        }
        Ok(true)
    }

    /// A status proves that a message which was given up went out: a replay would send it twice. `discarded`: an
    /// operator has deleted it.
    pub(super) fn went_out_after_all(
        &mut self,
        seq: i64,
        conversation: i64,
        discarded: bool,
    ) -> rusqlite::Result<()> {
        let was_dead = self.take_dead_letter(seq)?.is_some();
        if was_dead || discarded {
            let channel = self.channel_of(conversation)?;
            let tally = self.tallies.of(&channel);
            tally.sent += 1;
            tally.discarded -= i64::from(discarded);
        }
        Ok(())
    }
}
