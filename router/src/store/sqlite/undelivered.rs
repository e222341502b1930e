//! The delivery watchdog's look: what Graph took and never reported as delivered.

use rusqlite::params;

use super::{outbox::Cause, session::Session};
use crate::store::{MessageId, Micros, NewOutbound, Queue, Remedies, Undelivered};

impl Session<'_> {
    pub(super) fn take_undelivered(
        &mut self,
        at: Micros,
        remedies: &Remedies,
        limit: usize,
        now: Micros,
    ) -> rusqlite::Result<Vec<Undelivered>> {
        let due: Vec<(i64, i64, Undelivered)> = self
            .sql
            .prepare_cached(
                "SELECT seq, conversation, id, correlation, route, sent_at FROM message
                 WHERE watch_at IS NOT NULL AND watch_at <= ?1 ORDER BY watch_at LIMIT ?2",
            )?
            .query_map(params![at, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                let found = Undelivered {
                    id: MessageId(row.get(2)?),
                    correlation: MessageId(row.get(3)?),
                    channel: "".into(),
                    route: row.get(4)?,
                    sent_at: row.get(5)?,
                    remedy: None,
                };
                Ok((row.get(0)?, row.get(1)?, found))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut all = Vec::with_capacity(due.len());
        for (seq, conversation, mut found) in due {
            self.sql
                .prepare_cached("UPDATE message SET watch_at = NULL, undelivered_at = ?2 WHERE seq = ?1")?
                .execute(params![seq, at])?;
            found.channel = self.channel_of(conversation)?;
            let remedy = found.route.as_ref().and_then(|route| remedies.get(route));
            if let Some(remedy) = remedy {
                let remedy = NewOutbound { id: MessageId::generate(), ..remedy.clone() };
                let cause = Cause { conversation, correlation: Some(found.correlation), now };
                self.put_into_outbox(cause, std::slice::from_ref(&remedy))?;
                self.open_lane(Queue::Outbox, conversation, now, false)?;
                found.remedy = Some(remedy.id);
            }
            all.push(found);
        }
        Ok(all)
    }
}
