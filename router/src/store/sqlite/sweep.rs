//! Deletes what is older than it is kept for, a few rows at a time. What lies in the order of time is deleted from the
//! front; where something has to stay, a place in memory says how far the last call got.

use rusqlite::{OptionalExtension, params};

use super::session::Session;
use crate::store::{Cutoffs, Micros, Swept};

/// Rows that one call looks at for each one it may delete.
const EXAMINED_FOR_EACH: usize = 4;

/// How far the last calls got, where rows that stay lie among those that go.
#[derive(Debug, Default)]
pub(super) struct Places {
    messages: i64,
    dead_letters: i64,
    pub(super) seen: Option<[u8; 16]>,
}

impl Session<'_> {
    pub(super) fn sweep(&mut self, cutoffs: &Cutoffs, limit: usize) -> rusqlite::Result<Swept> {
        let mut swept = Swept::default();
        if let Some(before) = cutoffs.webhooks {
            swept.webhooks = self.sweep_front("webhook", before, limit)?;
        }
        if let Some(before) = cutoffs.events {
            swept.events = self.sweep_front("event", before, limit)?;
        }
        // Before the messages, which stay as long as their dead letters do.
        if let Some(before) = cutoffs.dead_letters {
            swept.dead_letters = self.sweep_dead_letters(before, limit)?;
        }
        if let Some(before) = cutoffs.messages {
            swept.messages = self.sweep_messages(before, limit)?;
        }
        if let Some(before) = cutoffs.seen {
            swept.seen = self.sweep_seen(before, limit)?;
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        if let Some(before) = cutoffs.orphan_statuses {
            swept.orphan_statuses = self
                .sql
                .prepare_cached(
                    "DELETE FROM orphan_status WHERE (wamid, state) IN
                         (SELECT wamid, state FROM orphan_status WHERE at < ?1 ORDER BY at LIMIT ?2)",
                )?
                .execute([before, limit])?;
        }
        if let Some(before) = cutoffs.idempotency_keys {
            swept.idempotency_keys = self
                .sql
                .prepare_cached(
                    "DELETE FROM idempotency WHERE key IN
                         (SELECT key FROM idempotency WHERE created_at < ?1 ORDER BY created_at LIMIT ?2)",
                )?
                .execute([before, limit])?;
        }
        Ok(swept)
    }

    /// Of a table whose rows lie in the order in which they were received.
    fn sweep_front(&mut self, table: &str, before: Micros, limit: usize) -> rusqlite::Result<usize> {
        let mut last = None;
        {
            let mut front = self
                .sql
                .prepare_cached(&format!("SELECT id, received_at FROM {table} ORDER BY id LIMIT ?1"))?;
            let mut rows = front.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                if row.get::<_, Micros>(1)? >= before {
                    break;
                }
                last = Some(row.get::<_, i64>(0)?);
            }
        }
        match last {
            Some(last) => {
                self.sql.prepare_cached(&format!("DELETE FROM {table} WHERE id <= ?1"))?.execute([last])
            }
            None => Ok(0),
        }
    }

    /// The newest message always stays, so that no number is given twice. A conversation with work keeps all of its
    /// messages, and a dead letter keeps its own.
    fn sweep_messages(&mut self, before: Micros, limit: usize) -> rusqlite::Result<usize> {
        let examined = limit.saturating_mul(EXAMINED_FOR_EACH);
        let rows: Vec<(i64, i64, Micros)> = self
            .sql
            .prepare_cached(
                "SELECT seq, conversation, created_at FROM message
                 WHERE seq > ?1 AND seq < (SELECT max(seq) FROM message) ORDER BY seq LIMIT ?2",
            )?
            .query_map(
                params![self.memory.places.messages, i64::try_from(examined).unwrap_or(i64::MAX)],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?
            .collect::<rusqlite::Result<_>>()?;
        let mut at_end = rows.len() < examined;
        let mut deleted = 0;
        for (seq, conversation, created_at) in rows {
            if created_at >= before {
                at_end = true;
                break;
            }
            if deleted == limit {
                break;
            }
            deleted += self
                .sql
                .prepare_cached(
                    "DELETE FROM message WHERE seq = ?1
                         AND NOT EXISTS (SELECT 1 FROM lane WHERE queue IN (1, 2) AND conversation = ?2)
                         AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE seq = ?1)",
                )?
                .execute([seq, conversation])?;
            self.memory.places.messages = seq;
        }
        if at_end {
            self.memory.places.messages = 0;
        }
        Ok(deleted)
    }

    /// In the ledger they end as if an operator had deleted them.
    fn sweep_dead_letters(&mut self, before: Micros, limit: usize) -> rusqlite::Result<usize> {
        let examined = limit.saturating_mul(EXAMINED_FOR_EACH);
        let rows: Vec<(i64, Micros)> = self
            .sql
            .prepare_cached("SELECT seq, died_at FROM dead_letter WHERE seq > ?1 ORDER BY seq LIMIT ?2")?
            .query_map(
                params![self.memory.places.dead_letters, i64::try_from(examined).unwrap_or(i64::MAX)],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?
            .collect::<rusqlite::Result<_>>()?;
        let at_end = rows.len() < examined;
        let mut deleted = 0;
        for (seq, died_at) in rows {
            if deleted == limit {
                return Ok(deleted);
            }
            if died_at < before {
                deleted += usize::from(self.discard_seq(seq)?);
            }
            self.memory.places.dead_letters = seq;
        }
        if at_end {
            self.memory.places.dead_letters = 0;
        }
        Ok(deleted)
    }

    /// The keys lie in no order of time: each call goes a piece further through all of them.
    fn sweep_seen(&mut self, before: Micros, limit: usize) -> rusqlite::Result<usize> {
        let examined = limit.saturating_mul(EXAMINED_FOR_EACH);
        let from = self.memory.places.seen.unwrap_or_default();
        let to: Option<[u8; 16]> = self
            .sql
            .prepare_cached("SELECT key FROM seen WHERE key >= ?1 ORDER BY key LIMIT 1 OFFSET ?2")?
            .query_row(params![&from[..], i64::try_from(examined).unwrap_or(i64::MAX)], |row| row.get(0))
            .optional()?;
        self.memory.places.seen = to;
        match to {
            Some(to) => self
                .sql
                .prepare_cached("DELETE FROM seen WHERE key >= ?1 AND key < ?2 AND seen_at < ?3")?
                .execute(params![&from[..], &to[..], before]),
            None => self
                .sql
                .prepare_cached("DELETE FROM seen WHERE key >= ?1 AND seen_at < ?2")?
                .execute(params![&from[..], before]),
        }
    }
}
