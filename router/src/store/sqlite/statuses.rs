//! Moves a sent message forward by what Meta reports of it.

use rusqlite::{OptionalExtension, Row, params};

use super::session::Session;
use crate::store::{DeliveryState, Micros, NewStatus};

impl Session<'_> {
    /// False when it was stored before. Where the message itself tells that, no key is looked up or kept.
    pub(super) fn take_status(&mut self, status: &NewStatus, now: Micros) -> rusqlite::Result<bool> {
        let Some(known) = self.sent_message(status)? else {
            let is_new = self.first_time(status.seen_key, now)?;
            if is_new {
                self.keep_orphan(status)?;
            }
            return Ok(is_new);
        };
        let is_new = match status.is_told_by(known.times) {
            Some(is_known) => !is_known,
            None => self.first_time(status.seen_key, now)?,
        };
        if is_new && status.moves(known.state, known.has_wamid, known.times) {
            self.advance(
                known.seq,
                known.state,
                status.state,
                status.at,
                Some(&status.wamid),
                status.error.as_deref(),
            )?;
        }
        if is_new && known.state == DeliveryState::Dead && status.state.proves_sent() {
            self.went_out_after_all(known.seq, known.conversation, known.discarded)?;
        }
        Ok(is_new)
    }

    fn sent_message(&mut self, status: &NewStatus) -> rusqlite::Result<Option<Sent>> {
        if let Some(id) = status.message {
            let known = self
                .sql
                .prepare_cached(
                    "SELECT seq, conversation, state, wamid IS NOT NULL, sent_at, delivered_at, read_at, failed_at
                     FROM message WHERE id = ?1 AND direction = 'out'",
                )?
                .query_row([id.0], read_sent)
                .optional()?;
            if known.is_some() {
                return Ok(known);
            }
        }
        self.sql
            .prepare_cached(
                "SELECT seq, conversation, state, wamid IS NOT NULL, sent_at, delivered_at, read_at, failed_at
                 FROM message WHERE wamid = ?1 AND direction = 'out'",
            )?
            .query_row([&status.wamid], read_sent)
            .optional()
    }

    /// Moves the message forward only; the time of each state is the first one reported.
    pub(super) fn advance(
        &mut self,
        seq: i64,
        known: DeliveryState,
        news: DeliveryState,
        at: Micros,
        wamid: Option<&str>,
        error: Option<&str>,
    ) -> rusqlite::Result<()> {
        let state = known.advanced_by(news);
        let sql = match news {
            DeliveryState::Delivered => {
                "UPDATE message SET state = ?2, wamid = coalesce(wamid, ?3), delivered_at = coalesce(delivered_at, ?4),
                     error = coalesce(?5, error), watch_at = NULL WHERE seq = ?1"
            }
            DeliveryState::Read => {
                "UPDATE message SET state = ?2, wamid = coalesce(wamid, ?3), read_at = coalesce(read_at, ?4),
                     error = coalesce(?5, error), watch_at = NULL WHERE seq = ?1"
            }
            DeliveryState::Failed => {
                "UPDATE message SET state = ?2, wamid = coalesce(wamid, ?3), failed_at = coalesce(failed_at, ?4),
                     error = coalesce(?5, error), watch_at = NULL WHERE seq = ?1"
            }
            DeliveryState::Queued | DeliveryState::Dead | DeliveryState::Sent => {
                "UPDATE message SET state = ?2, wamid = coalesce(wamid, ?3), sent_at = coalesce(sent_at, ?4),
                     error = coalesce(?5, error) WHERE seq = ?1"
            }
        };
        self.sql.prepare_cached(sql)?.execute(params![seq, state, wamid, at, error])?;
        Ok(())
    }

    fn keep_orphan(&mut self, status: &NewStatus) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "INSERT OR IGNORE INTO orphan_status (wamid, state, at, error) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![status.wamid, status.state, status.at, status.error])?;
        self.memory.has_orphans = Some(true);
        Ok(())
    }

    /// Applies the statuses that overtook Graph's answer, now that the message's wamid is known.
    pub(super) fn adopt_orphans(&mut self, seq: i64, wamid: &str) -> rusqlite::Result<()> {
        let has_orphans = match self.memory.has_orphans {
            Some(known) => known,
            None => self.sql.prepare_cached("SELECT 1 FROM orphan_status LIMIT 1")?.exists([])?,
        };
        self.memory.has_orphans = Some(has_orphans);
        if !has_orphans {
            return Ok(());
        }
        let orphans: Vec<(DeliveryState, Micros, Option<String>)> = self
            .sql
            .prepare_cached("DELETE FROM orphan_status WHERE wamid = ?1 RETURNING state, at, error")?
            .query_map([wamid], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut known = DeliveryState::Sent;
        for (state, at, error) in orphans {
            self.advance(seq, known, state, at, None, error.as_deref())?;
            known = known.advanced_by(state);
            self.memory.has_orphans = None;
        }
        Ok(())
    }
}

/// An outbound message that a status is about.
struct Sent {
    seq: i64,
    conversation: i64,
    state: DeliveryState,
    /// An operator has deleted it as a dead letter.
    discarded: bool,
    has_wamid: bool,
    /// Sent, delivered, read, failed.
    times: [Option<Micros>; 4],
}

fn read_sent(row: &Row<'_>) -> rusqlite::Result<Sent> {
    let discarded = row.get_ref(2)?.as_str()? == "discarded";
    let state = if discarded { DeliveryState::Dead } else { row.get(2)? };
    Ok(Sent {
        seq: row.get(0)?,
        conversation: row.get(1)?,
        state,
        discarded,
        has_wamid: row.get(3)?,
        times: [row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?],
    })
}
