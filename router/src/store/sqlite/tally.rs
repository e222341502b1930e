//! The ledger's counters, gathered over a transaction and written once with it.

use rusqlite::{Connection, params};

use crate::store::per_channel::PerChannel;

/// Change of one channel's account; the fields are those of [`ChannelLedger`](crate::store::ChannelLedger).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) accepted: i64,
    pub(super) answered: i64,
    pub(super) not_to_be_answered: i64,
    pub(super) queued: i64,
    pub(super) sent: i64,
    pub(super) discarded: i64,
}

pub(super) type Tallies = PerChannel<Tally>;

impl PerChannel<Tally> {
    /// Adds the changes to what the database holds.
    pub(super) fn write(&self, sql: &Connection) -> rusqlite::Result<()> {
        for (channel, change) in self.changed() {
            sql.prepare_cached(
                "INSERT INTO tally (channel, accepted, answered, not_to_be_answered, queued, sent, discarded)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (channel) DO UPDATE SET accepted = accepted + ?2, answered = answered + ?3,
                     not_to_be_answered = not_to_be_answered + ?4, queued = queued + ?5, sent = sent + ?6,
                     discarded = discarded + ?7",
            )?
            .execute(params![
                channel,
                change.accepted,
                change.answered,
                change.not_to_be_answered,
                change.queued,
                change.sent,
                change.discarded
            ])?;
        }
        Ok(())
    }
}
