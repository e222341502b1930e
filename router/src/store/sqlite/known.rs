//! What the writer keeps in memory of conversations that are spoken in, to spare a look-up for each step of theirs.
//! Nobody else writes, so it is what the database holds.

use std::{collections::HashMap, sync::Arc};

use rusqlite::params;

use super::session::Session;
use crate::store::{Micros, Standing};

/// Past this the cache starts anew.
const CACHED: usize = 20_000;

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) channel: Arc<str>,
    /// The newest message.
    pub(super) last_seq: Option<i64>,
    pub(super) standing: Standing,
}

/// By the conversation's key.
#[derive(Debug, Default)]
pub(super) struct KnownConversations(HashMap<i64, Known>);

impl KnownConversations {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn keep(&mut self, conversation: i64, known: Known) -> &mut Known {
        if self.0.len() >= CACHED {
            self.0.clear();
        }
        self.0.entry(conversation).or_insert(known)
    }
}

impl Session<'_> {
    /// What the caller changes of it has to go into the database as well.
    pub(super) fn known(&mut self, conversation: i64) -> rusqlite::Result<&mut Known> {
        // Two look-ups: the borrow of the first would outlive the branch that returns it.
        if !self.memory.known.0.contains_key(&conversation) {
            let known = self
                .sql
                .prepare_cached(
                    "SELECT channel, last_seq, last_inbound_at, taken_over_until, pair_free_at
                     FROM conversation WHERE id = ?1",
                )?
                .query_row([conversation], |row| {
                    let standing = Standing {
                        last_inbound_at: row.get(2)?,
                        taken_over_until: row.get(3)?,
                        pair_free_at: row.get(4)?,
                    };
                    Ok(Known { channel: row.get(0)?, last_seq: row.get(1)?, standing })
                })?;
            self.memory.known.keep(conversation, known);
        }
        self.memory.known.0.get_mut(&conversation).ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    pub(super) fn standing(&mut self, conversation: i64) -> rusqlite::Result<Standing> {
        Ok(self.known(conversation)?.standing)
    }

    pub(super) fn channel_of(&mut self, conversation: i64) -> rusqlite::Result<Arc<str>> {
        Ok(self.known(conversation)?.channel.clone())
    }

    /// Makes `seq` the newest message of the conversation.
    pub(super) fn append(&mut self, conversation: i64, seq: i64) -> rusqlite::Result<()> {
        self.known(conversation)?.last_seq = Some(seq);
        self.sql
            .prepare_cached("UPDATE conversation SET last_seq = ?2 WHERE id = ?1")?
            .execute(params![conversation, seq])?;
        Ok(())
    }

    /// The same for a message of the person, which opens the customer service window anew.
    pub(super) fn append_inbound(&mut self, conversation: i64, seq: i64, at: Micros) -> rusqlite::Result<()> {
        let known = self.known(conversation)?;
        known.last_seq = Some(seq);
        known.standing.last_inbound_at = Some(at);
        self.sql
            .prepare_cached("UPDATE conversation SET last_seq = ?2, last_inbound_at = ?3 WHERE id = ?1")?
            .execute(params![conversation, seq, at])?;
        Ok(())
    }

    pub(super) fn set_pair_free_at(&mut self, conversation: i64, at: Micros) -> rusqlite::Result<()> {
        self.known(conversation)?.standing.pair_free_at = at;
        self.sql
            .prepare_cached("UPDATE conversation SET pair_free_at = ?2 WHERE id = ?1")?
            .execute(params![conversation, at])?;
        Ok(())
    }

    /// False when there is no such conversation.
    pub(super) fn take_over(&mut self, conversation: i64, until: Option<Micros>) -> rusqlite::Result<bool> {
        let changed = self
            .sql
            .prepare_cached("UPDATE conversation SET taken_over_until = ?2 WHERE id = ?1")?
            .execute(params![conversation, until])?;
        if changed == 1 {
            self.known(conversation)?.standing.taken_over_until = until;
        }
        Ok(changed == 1)
    }
}
