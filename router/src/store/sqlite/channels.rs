//! What Graph's answers and Meta's webhooks told of channels.

use rusqlite::{Connection, params};

use super::session::Session;
use crate::store::{ChannelNews, ChannelState, Micros, Stopped};

impl Session<'_> {
    pub(super) fn note_channel(
        &mut self,
        channel: &str,
        news: &ChannelNews,
        now: Micros,
    ) -> rusqlite::Result<()> {
        match news {
            ChannelNews::Throughput(limit) => self
                .sql
                .prepare_cached(
                    "INSERT INTO channel_state (channel, throughput) VALUES (?1, ?2)
                     ON CONFLICT (channel) DO UPDATE SET throughput = ?2",
                )?
                .execute(params![channel, limit])?,
            ChannelNews::Slowed { until } => self
                .sql
                .prepare_cached(
                    "INSERT INTO channel_state (channel, slowed_until) VALUES (?1, ?2)
                     ON CONFLICT (channel) DO UPDATE SET slowed_until = ?2",
                )?
                .execute(params![channel, until])?,
            ChannelNews::Stopped { probe_at, reason, error } => self
                .sql
                .prepare_cached(
                    "INSERT INTO channel_state (channel, stopped_since, probe_at, reason, error)
                     VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (channel) DO UPDATE SET stopped_since = coalesce(stopped_since, ?2),
                         probe_at = ?3, reason = ?4, error = ?5",
                )?
                .execute(params![channel, now, probe_at, reason, error])?,
            ChannelNews::Sends => self
                .sql
                .prepare_cached(
                    "UPDATE channel_state SET stopped_since = NULL, probe_at = NULL, reason = NULL, error = NULL
                     WHERE channel = ?1 AND stopped_since IS NOT NULL",
                )?
                .execute([channel])?,
        };
        Ok(())
    }
}

pub(super) fn states(sql: &Connection) -> rusqlite::Result<Vec<ChannelState>> {
    sql.prepare_cached(
        "SELECT channel, throughput, slowed_until, stopped_since, probe_at, reason, error FROM channel_state
         ORDER BY channel",
    )?
    .query_map([], |row| {
        let since: Option<Micros> = row.get(3)?;
        let stopped = match since {
            Some(since) => {
                Some(Stopped { since, probe_at: row.get(4)?, reason: row.get(5)?, error: row.get(6)? })
            }
            None => None,
        };
        Ok(ChannelState { channel: row.get(0)?, throughput: row.get(1)?, slowed_until: row.get(2)?, stopped })
    })?
    .collect()
}
