//! The ledger's counters and the depth of the queues, gathered over a transaction and written once with it.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;

use super::session::{Pipe, Session};
use crate::store::{Depth, Queue, per_channel::PerChannel};

/// Rows that a channel's account is spread over.
const SLOTS: u8 = 64;

/// Change of one channel's account; the first fields are those of [`ChannelLedger`](crate::store::ChannelLedger).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) accepted: i64,
    pub(super) answered: i64,
    pub(super) not_to_be_answered: i64,
    pub(super) queued: i64,
    pub(super) sent: i64,
    pub(super) discarded: i64,
    pub(super) depth: Depth,
}

impl Tally {
    /// Counts items that enter or leave a queue.
    pub(super) fn count(&mut self, queue: Queue, items: i64, bytes: i64) {
        match queue {
            Queue::Inbox => self.depth.inbox += items,
            Queue::Outbox => self.depth.outbox += items,
        }
        self.depth.bytes += bytes;
    }
}

/// Changes by channel, in the order in which their rows are locked.
pub(super) type Tallies = PerChannel<Tally>;

impl PerChannel<Tally> {
    pub(super) fn depth(&self) -> Depth {
        self.changed().into_iter().fold(Depth::default(), |sum, (_, tally)| Depth {
            inbox: sum.inbox + tally.depth.inbox,
            outbox: sum.outbox + tally.depth.outbox,
            dead_letters: sum.dead_letters + tally.depth.dead_letters,
            bytes: sum.bytes + tally.depth.bytes,
        })
    }

    /// Columns as the statement takes them; `None` when nothing changed.
    pub(super) fn columns(&self, slot: i16) -> Option<Columns> {
        let changed = self.changed();
        if changed.is_empty() {
            return None;
        }
        let column = |of: fn(&Tally) -> i64| changed.iter().map(|(_, tally)| of(tally)).collect();
        let numbers = [
            column(|tally| tally.accepted),
            column(|tally| tally.answered),
            column(|tally| tally.not_to_be_answered),
            column(|tally| tally.queued),
            column(|tally| tally.sent),
            column(|tally| tally.discarded),
            column(|tally| tally.depth.inbox),
            column(|tally| tally.depth.outbox),
            column(|tally| tally.depth.dead_letters),
            column(|tally| tally.depth.bytes),
        ];
        let channels = changed.iter().map(|(channel, _)| channel.to_string()).collect();
        Some(Columns { slot, channels, numbers })
    }
}

pub(super) struct Columns {
    slot: i16,
    channels: Vec<String>,
    numbers: [Vec<i64>; 10],
}

const WRITE: &str =
    "INSERT INTO tally AS t (slot, channel, accepted, answered, not_to_be_answered, queued, sent,
        discarded, inbox, outbox, dead_letters, bytes)
    SELECT $1, * FROM UNNEST($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
        $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[])
    ON CONFLICT (slot, channel) DO UPDATE SET accepted = t.accepted + excluded.accepted,
        answered = t.answered + excluded.answered,
        not_to_be_answered = t.not_to_be_answered + excluded.not_to_be_answered,
        queued = t.queued + excluded.queued, sent = t.sent + excluded.sent,
        discarded = t.discarded + excluded.discarded, inbox = t.inbox + excluded.inbox,
        outbox = t.outbox + excluded.outbox, dead_letters = t.dead_letters + excluded.dead_letters,
        bytes = t.bytes + excluded.bytes";

impl Columns {
    /// The last statement before `COMMIT`: until then others may count in this slot.
    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>) {
        let mut params: super::session::Params<'s> = vec![&self.slot, &self.channels];
        params.extend(self.numbers.iter().map(|column| column as &(dyn ToSql + Sync)));
        pipe.push(WRITE, params).await;
    }
}

/// Which slot a writer of this process counts in.
pub(super) fn slot(owner: &str, writer: &str) -> i16 {
    let hash = Sha256::new().chain_update(owner).chain_update(writer).finalize();
    i16::from(hash[0] % SLOTS)
}

/// The depth as far as this process knows: what the database had at the last look, and what was written here since.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    inbox: AtomicI64,
    outbox: AtomicI64,
    dead_letters: AtomicI64,
    bytes: AtomicI64,
    pub(super) waiting_accepts: AtomicUsize,
    /// Transactions begun and ended here: a look that none of them crossed is exact.
    begun: AtomicU64,
    ended: AtomicU64,
}

/// A look that was crossed by a transaction of ours counts only when there was no better one for so long.
const EXACT_WITHIN: Duration = Duration::from_secs(5);

const LOOK: &str = "SELECT coalesce(sum(inbox), 0)::bigint, coalesce(sum(outbox), 0)::bigint,
    coalesce(sum(dead_letters), 0)::bigint, coalesce(sum(bytes), 0)::bigint FROM tally";

impl Gauges {
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, SeqCst);
    }

    /// `change`: what the transaction did, nothing if it failed.
    pub(super) fn end(&self, change: Depth) {
        self.inbox.fetch_add(change.inbox, Relaxed);
        self.outbox.fetch_add(change.outbox, Relaxed);
        self.dead_letters.fetch_add(change.dead_letters, Relaxed);
        self.bytes.fetch_add(change.bytes, Relaxed);
        self.ended.fetch_add(1, SeqCst);
    }

    pub(super) fn depth(&self) -> Depth {
        Depth {
            inbox: self.inbox.load(Relaxed).max(0),
            outbox: self.outbox.load(Relaxed).max(0),
            dead_letters: self.dead_letters.load(Relaxed).max(0),
            bytes: self.bytes.load(Relaxed).max(0),
        }
    }

    /// Looks at the database; `last` is when that last gave an exact answer.
    pub(super) async fn look(
        &self,
        session: &Session,
        last: &mut Instant,
    ) -> Result<(), tokio_postgres::Error> {
        let ended = self.ended.load(SeqCst);
        let quiet = self.begun.load(SeqCst) == ended;
        let rows = session.query(LOOK, &[]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let exact = quiet && self.begun.load(SeqCst) == ended;
        if !exact && last.elapsed() < EXACT_WITHIN {
            return Ok(());
        }
        *last = Instant::now();
        for (gauge, column) in
            [&self.inbox, &self.outbox, &self.dead_letters, &self.bytes].into_iter().zip(0..)
        {
            gauge.store(row.try_get(column)?, Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn what_did_not_change_is_not_written() {
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        let mut tallies = Tallies::default();
        tallies.of(&b).accepted += 1;
        tallies.of(&b).count(Queue::Inbox, 1, 10);
        tallies.of(&a).sent += 1;
        tallies.of(&a).sent -= 1;
        assert_eq!(tallies.depth(), Depth { inbox: 1, bytes: 10, ..Depth::default() });
        let columns = tallies.columns(3).unwrap();
        assert_eq!((columns.channels, &columns.numbers[0]), (vec!["b".to_owned()], &vec![1]));
        assert!(Tallies::default().columns(0).is_none());
    }
}
