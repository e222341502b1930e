//! What Graph's answers and Meta's webhooks told of channels.

use super::session::{Failure, Session};
use crate::store::{ChannelNews, ChannelState, Micros, Stopped};

const THROUGHPUT: &str = "INSERT INTO channel_state (channel, throughput) VALUES ($1, $2)
    ON CONFLICT (channel) DO UPDATE SET throughput = excluded.throughput";
const SLOWED: &str = "INSERT INTO channel_state (channel, slowed_until) VALUES ($1, $2)
    ON CONFLICT (channel) DO UPDATE SET slowed_until = excluded.slowed_until";
const STOPPED: &str = "INSERT INTO channel_state AS s (channel, stopped_since, probe_at, reason, error)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (channel) DO UPDATE SET stopped_since = coalesce(s.stopped_since, excluded.stopped_since),
        probe_at = excluded.probe_at, reason = excluded.reason, error = excluded.error";
const SENDS: &str =
    "UPDATE channel_state SET stopped_since = NULL, probe_at = NULL, reason = NULL, error = NULL
    WHERE channel = $1 AND stopped_since IS NOT NULL";
const STATES: &str = "SELECT channel, throughput, slowed_until, stopped_since, probe_at, reason, error
    FROM channel_state ORDER BY channel COLLATE \"C\"";

pub(super) async fn note(
    session: &Session,
    channel: &str,
    news: &ChannelNews,
    now: Micros,
) -> Result<(), Failure> {
    match news {
        ChannelNews::Throughput(limit) => {
            session.execute(THROUGHPUT, &[&channel, &i64::from(*limit)]).await?;
        }
        ChannelNews::Slowed { until } => {
            session.execute(SLOWED, &[&channel, until]).await?;
        }
        ChannelNews::Stopped { probe_at, reason, error } => {
            let error = super::text::Text(error);
            session.execute(STOPPED, &[&channel, &now, probe_at, reason, &error]).await?;
        }
        ChannelNews::Sends => {
            session.execute(SENDS, &[&channel]).await?;
        }
    }
    Ok(())
}

pub(super) async fn states(session: &Session) -> Result<Vec<ChannelState>, Failure> {
    let mut states = Vec::new();
    for row in session.query(STATES, &[]).await? {
        let stopped = match row.try_get::<_, Option<Micros>>(3)? {
            Some(since) => Some(Stopped {
                since,
                probe_at: row.try_get(4)?,
                reason: row.try_get(5)?,
                error: row.try_get(6)?,
            }),
            None => None,
        };
        states.push(ChannelState {
            channel: row.try_get::<_, &str>(0)?.into(),
            throughput: row.try_get::<_, Option<i64>>(1)?.and_then(|limit| u32::try_from(limit).ok()),
            slowed_until: row.try_get(2)?,
            stopped,
        });
    }
    Ok(states)
}
