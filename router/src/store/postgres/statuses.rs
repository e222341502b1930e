//! Moves sent messages forward by what Meta reports of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::{
    session::{Failure, Pipe, Session},
    tally::Tallies,
    text::Text,
};
use crate::store::{DeliveryState, Micros, NewStatus};

pub(super) const BY_ID: &str =
    "SELECT u.o, m.seq, m.state, m.wamid IS NOT NULL, m.sent_at, m.delivered_at, m.read_at, m.failed_at
    FROM UNNEST($1::uuid[]) WITH ORDINALITY u(id, o)
    JOIN message m ON m.id = u.id WHERE m.direction = 'out'";
pub(super) const BY_WAMID: &str =
    "SELECT u.o, m.seq, m.state, m.wamid IS NOT NULL, m.sent_at, m.delivered_at, m.read_at,
        m.failed_at
    FROM UNNEST($1::text[]) WITH ORDINALITY u(w, o)
    CROSS JOIN LATERAL (SELECT * FROM message
        WHERE wamid = u.w AND direction = 'out' AND wamid IS NOT NULL OFFSET 0) m";

/// A state outranks those before it; `discarded` is one that was dead. As [`DeliveryState::advanced_by`] has it.
macro_rules! rank {
    ($state:literal) => {
        concat!(
            "coalesce(array_position('{queued,dead,sent,failed,delivered,read}'::text[], ",
            $state,
            "), 2)"
        )
    };
}

/// The row's lock makes sure that the comparison is with the newest state.
pub(super) const ADVANCE: &str = concat!(
    "UPDATE message m SET state = CASE WHEN ",
    rank!("u.state"),
    " > ",
    rank!("m.state"),
    " THEN u.state ELSE m.state END,
         wamid = coalesce(m.wamid, u.wamid), sent_at = coalesce(m.sent_at, u.sent_at),
         delivered_at = coalesce(m.delivered_at, u.delivered_at), read_at = coalesce(m.read_at, u.read_at),
         failed_at = coalesce(m.failed_at, u.failed_at), error = coalesce(u.error, m.error),
         watch_at = CASE WHEN u.state = 'sent' THEN m.watch_at END
     FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
         $8::text[]) u(seq, state, wamid, sent_at, delivered_at, read_at, failed_at, error)
     WHERE m.seq = u.seq"
);

const KEEP_ORPHANS: &str = "INSERT INTO orphan_status (wamid, state, at, error)
    SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[]) ON CONFLICT DO NOTHING";

/// Applies the statuses that overtook Graph's answer to the messages whose wamids are known now.
pub(super) const ADOPT_ORPHANS: &str = concat!(
    "WITH taken AS (DELETE FROM orphan_status o USING UNNEST($1::bigint[], $2::text[]) u(seq, wamid)
         WHERE o.wamid = u.wamid RETURNING u.seq, o.state, o.at, o.error),
     news AS (SELECT seq, max(",
    rank!("state"),
    ") AS rank,
             min(at) FILTER (WHERE state = 'sent') AS sent_at, min(at) FILTER (WHERE state = 'delivered') AS delivered_at,
             min(at) FILTER (WHERE state = 'read') AS read_at, min(at) FILTER (WHERE state = 'failed') AS failed_at,
             max(error) AS error
         FROM taken GROUP BY seq)
     UPDATE message m SET state = CASE WHEN news.rank > ",
    rank!("m.state"),
    " THEN ('{queued,dead,sent,failed,delivered,read}'::text[])[news.rank] ELSE m.state END,
         sent_at = coalesce(m.sent_at, news.sent_at), delivered_at = coalesce(m.delivered_at, news.delivered_at),
         read_at = coalesce(m.read_at, news.read_at), failed_at = coalesce(m.failed_at, news.failed_at),
         error = coalesce(news.error, m.error), watch_at = CASE WHEN news.rank <= 3 THEN m.watch_at END
     FROM news WHERE m.seq = news.seq"
);

/// Another router may be giving a message up at this very moment: its state counts once it can't change any more.
const STATES: &str = "SELECT seq, state FROM message WHERE seq = ANY($1) ORDER BY seq FOR UPDATE";
const UNBURY: &str = "DELETE FROM dead_letter d USING conversation c
    WHERE d.seq = ANY($1) AND c.id = d.conversation RETURNING d.seq, c.channel";
const CHANNELS: &str = "SELECT m.seq, c.channel FROM message m JOIN conversation c ON c.id = m.conversation
    WHERE m.seq = ANY($1)";

/// The statuses of a transaction, for finding their messages.
#[derive(Debug, Default)]
pub(super) struct Asked {
    ids: Vec<Uuid>,
    wamids: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    seq: i64,
    /// As it was without a lock. A message that Graph is known to have never steps back, any other may.
    state: DeliveryState,
    has_wamid: bool,
    /// Sent, delivered, read, failed.
    times: [Option<Micros>; 4],
}

/// Messages by what a status names them by.
#[derive(Debug, Default)]
pub(super) struct Found {
    by_id: BTreeMap<Uuid, Known>,
    by_wamid: BTreeMap<String, Known>,
}

impl Asked {
    pub(super) fn of<'a>(statuses: impl Iterator<Item = &'a NewStatus>) -> Self {
        let mut asked = Self::default();
        for status in statuses {
            asked.ids.extend(status.message.map(|id| id.0));
            asked.wamids.push(status.wamid.replace('\0', "\u{fffd}"));
        }
        asked.ids.sort_unstable();
        asked.ids.dedup();
        asked.wamids.sort_unstable();
        asked.wamids.dedup();
        asked
    }

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>) -> (Option<usize>, Option<usize>) {
        let mut places = (None, None);
        if !self.ids.is_empty() {
            places.0 = Some(pipe.push(BY_ID, vec![&self.ids]).await);
        }
        if !self.wamids.is_empty() {
            places.1 = Some(pipe.push(BY_WAMID, vec![&self.wamids]).await);
        }
        places
    }

    pub(super) fn found(&self, by_id: &[Row], by_wamid: &[Row]) -> Result<Found, Error> {
        let mut found = Found::default();
        let place = |row: &Row| -> Result<usize, Error> {
            Ok(usize::try_from(row.try_get::<_, i64>(0)? - 1).unwrap_or(usize::MAX))
        };
        let known = |row: &Row| -> Result<Known, Error> {
            // The one that is missing there, `discarded`, was dead.
            let state = DeliveryState::from_name(row.try_get(2)?).unwrap_or(DeliveryState::Dead);
            let times = [row.try_get(4)?, row.try_get(5)?, row.try_get(6)?, row.try_get(7)?];
            Ok(Known { seq: row.try_get(1)?, state, has_wamid: row.try_get(3)?, times })
        };
        for row in by_id {
            if let Some(id) = self.ids.get(place(row)?) {
                found.by_id.insert(*id, known(row)?);
            }
        }
        for row in by_wamid {
            if let Some(wamid) = self.wamids.get(place(row)?) {
                found.by_wamid.insert(wamid.clone(), known(row)?);
            }
        }
        Ok(found)
    }
}

/// News of one message, several statuses taken together.
#[derive(Debug, Clone)]
struct News<'a> {
    state: DeliveryState,
    wamid: &'a str,
    /// Sent, delivered, read, failed.
    at: [Option<Micros>; 4],
    error: Option<&'a str>,
}

/// What new statuses come to, as columns.
#[derive(Debug, Default)]
pub(super) struct Advance<'a> {
    news: BTreeMap<i64, News<'a>>,
    /// Messages that may be given up, now or at this moment, and were sent all the same.
    proven: BTreeSet<i64>,
    orphans: Vec<&'a NewStatus>,
    columns: AdvanceColumns<'a>,
    orphan_columns: OrphanColumns<'a>,
}

#[derive(Debug, Default)]
struct AdvanceColumns<'a> {
    seqs: Vec<i64>,
    states: Vec<&'static str>,
    wamids: Vec<Text<'a>>,
    at: [Vec<Option<Micros>>; 4],
    errors: Vec<Option<Text<'a>>>,
}

#[derive(Debug, Default)]
struct OrphanColumns<'a> {
    wamids: Vec<Text<'a>>,
    states: Vec<&'static str>,
    at: Vec<Micros>,
    errors: Vec<Option<Text<'a>>>,
}

impl<'a> Advance<'a> {
    pub(super) fn add(&mut self, found: &Found, status: &'a NewStatus) {
        let known = status
            .message
            .and_then(|id| found.by_id.get(&id.0))
            .or_else(|| found.by_wamid.get(&status.wamid))
            .copied();
        let Some(known) = known else { return self.orphans.push(status) };
        if !status.moves(known.state, known.has_wamid, known.times) {
            return;
        }
        if !known.state.proves_sent() && status.state.proves_sent() {
            self.proven.insert(known.seq);
        }
        let news = self.news.entry(known.seq).or_insert(News {
            state: status.state,
            wamid: &status.wamid,
            at: [None; 4],
            error: None,
        });
        news.state = news.state.advanced_by(status.state);
        let column = match status.state {
            DeliveryState::Delivered => 1,
            DeliveryState::Read => 2,
            DeliveryState::Failed => 3,
            DeliveryState::Queued | DeliveryState::Dead | DeliveryState::Sent => 0,
        };
        news.at[column].get_or_insert(status.at);
        news.error = status.error.as_deref().or(news.error);
    }

    /// wamids that nothing is known of yet.
    pub(super) fn orphans(&self) -> Vec<String> {
        self.orphans.iter().map(|status| status.wamid.clone()).collect()
    }

    pub(super) fn seal(&mut self) {
        for (seq, news) in &self.news {
            let columns = &mut self.columns;
            columns.seqs.push(*seq);
            columns.states.push(news.state.as_str());
            columns.wamids.push(Text(news.wamid));
            for (column, at) in columns.at.iter_mut().zip(news.at) {
                column.push(at);
            }
            columns.errors.push(news.error.map(Text));
        }
        for status in &self.orphans {
            let columns = &mut self.orphan_columns;
            columns.wamids.push(Text(&status.wamid));
            columns.states.push(status.state.as_str());
            columns.at.push(status.at);
            columns.errors.push(status.error.as_deref().map(Text));
        }
    }

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>) {
        let AdvanceColumns { seqs, states, wamids, at: [sent, delivered, read, failed], errors } =
            &self.columns;
        if !seqs.is_empty() {
            pipe.push(ADVANCE, vec![seqs, states, wamids, sent, delivered, read, failed, errors]).await;
        }
        let OrphanColumns { wamids, states, at, errors } = &self.orphan_columns;
        if !wamids.is_empty() {
            pipe.push(KEEP_ORPHANS, vec![wamids, states, at, errors]).await;
        }
    }

    /// A status proves that a message which was given up went out: a replay would send it twice.
    pub(super) async fn unbury(&self, session: &Session, tallies: &mut Tallies) -> Result<(), Failure> {
        let proven: Vec<i64> = self.proven.iter().copied().collect();
        if proven.is_empty() {
            return Ok(());
        }
        let (mut dead, mut discarded) = (Vec::new(), Vec::new());
        for row in session.query(STATES, &[&proven]).await? {
            match row.try_get::<_, &str>(1)? {
                "dead" => dead.push(row.try_get::<_, i64>(0)?),
                "discarded" => discarded.push(row.try_get::<_, i64>(0)?),
                _ => {}
            }
        }
        if !dead.is_empty() {
            for row in session.query(UNBURY, &[&dead]).await? {
                let tally = tallies.of(&channel(&row)?);
                tally.sent += 1;
                tally.depth.dead_letters -= 1;
            }
        }
        if !discarded.is_empty() {
            for row in session.query(CHANNELS, &[&discarded]).await? {
                let tally = tallies.of(&channel(&row)?);
                tally.sent += 1;
                tally.discarded -= 1;
            }
        }
        Ok(())
    }
}

fn channel(row: &Row) -> Result<Arc<str>, Error> {
    row.try_get::<_, &str>(1).map(Arc::from)
}
