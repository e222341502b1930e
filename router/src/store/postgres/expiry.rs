//! Leases that have ended, and when to look for them. A look goes through all lanes, so it is made rarely, and in time for the
//! lease that ends first.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::lanes::clock;
use crate::{
    clock::micros,
    store::{Micros, Queue},
};

/// Leases whose holder is gone: their lanes are due again and in doubt. What was being sent rests first. No index has the
/// end of a lease, which changes too often: `queue + 0` says so, else all lanes would be looked up through another one.
pub(super) const EXPIRE: &str = concat!(
    "WITH gone AS (SELECT queue, conversation FROM lane WHERE queue + 0::smallint = $1 AND token <> 0
         AND greatest(leased_until, due_at) <= coalesce($3::bigint, ",
    clock!(),
    ") LIMIT 1000 FOR UPDATE SKIP LOCKED)
     UPDATE lane l SET token = 0, owner = NULL, uncertain = true, due_at = coalesce($3::bigint, ",
    clock!(),
    ") + $2::bigint FROM gone WHERE l.queue = gone.queue AND l.conversation = gone.conversation"
);

/// The end of another router's lease counts: if that one is gone, somebody has to look then.
/// A router of an older version keeps it in `due_at`.
pub(super) const NEXT_EXPIRY: &str = "SELECT min(greatest(leased_until, due_at)) FROM lane WHERE queue + 0::smallint = $1 AND token <> 0 AND owner <> $2";

/// Lanes that have long been idle go. One that holds work all the same, which a router of an older version can bring
/// about, becomes due.
pub(super) const TIDY: &str = concat!(
    "WITH old AS (SELECT queue, conversation FROM lane WHERE queue + 0::smallint = $1 AND token = 0 AND due_at IS NULL
         AND leased_until < ",
    clock!(),
    " - $2::bigint LIMIT 5000 FOR UPDATE SKIP LOCKED),
     woken AS (UPDATE lane l SET due_at = ",
    clock!(),
    " FROM old WHERE l.queue = old.queue AND l.conversation = old.conversation
         AND EXISTS (SELECT 1 FROM work w WHERE w.queue = l.queue AND w.conversation = l.conversation))
     DELETE FROM lane l USING old WHERE l.queue = old.queue AND l.conversation = old.conversation
         AND NOT EXISTS (SELECT 1 FROM work w WHERE w.queue = l.queue AND w.conversation = l.conversation)"
);

/// How long a lane stays idle before it goes.
pub(super) const IDLE: Micros = 60_000_000;

/// Looks in the time that a lease holds.
const LOOKS: u32 = 6;

/// Between two looks at least.
const SHORTEST: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy)]
struct Next {
    at: Instant,
    /// Another router holds leases: somebody has to look then even if nothing else is to be done.
    is_needed: bool,
}

#[derive(Debug)]
pub(super) struct Expiries {
    every: Duration,
    next: Mutex<[Next; 2]>,
}

impl Expiries {
    pub(super) fn new(lease_time: Duration) -> Self {
        let next = Next { at: Instant::now(), is_needed: false };
        Self { every: lease_time / LOOKS, next: Mutex::new([next; 2]) }
    }

    fn lock(&self) -> MutexGuard<'_, [Next; 2]> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_time(&self, queue: Queue) -> bool {
        self.lock()[place(queue)].at <= Instant::now()
    }

    /// `first_end`: of the leases of other routers, by the database's clock, which says `theirs` now.
    pub(super) fn looked(&self, queue: Queue, first_end: Option<Micros>, theirs: Micros) {
        let at = Instant::now() + wait(first_end, theirs, self.every);
        self.lock()[place(queue)] = Next { at, is_needed: first_end.is_some() };
    }

    /// When the next look has to be made, by our clock, which says `ours` now.
    pub(super) fn next_look(&self, queue: Queue, ours: Micros) -> Option<Micros> {
        let next = self.lock()[place(queue)];
        let wait = micros(next.at.saturating_duration_since(Instant::now()));
        next.is_needed.then(|| ours.saturating_add(wait))
    }
}

fn place(queue: Queue) -> usize {
    match queue {
        Queue::Inbox => 0,
        Queue::Outbox => 1,
    }
}

fn wait(first_end: Option<Micros>, theirs: Micros, every: Duration) -> Duration {
    let Some(end) = first_end else { return every };
    let left = u64::try_from(end.saturating_sub(theirs)).unwrap_or_default();
    Duration::from_micros(left).min(every).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(5);

    #[test]
    fn the_next_look_is_made_in_time_for_the_lease_that_ends_first() {
        assert_eq!(wait(None, 7, EVERY), EVERY);
        assert_eq!(wait(Some(30_000_007), 7, EVERY), EVERY);
        assert_eq!(wait(Some(2_000_007), 7, EVERY), Duration::from_secs(2));
        assert_eq!(wait(Some(1), 7, EVERY), SHORTEST, "it has ended, and somebody had it locked");
    }

    #[test]
    fn each_queue_is_looked_at_for_itself() {
        let expiries = Expiries::new(EVERY * LOOKS);
        assert!(expiries.is_time(Queue::Inbox) && expiries.is_time(Queue::Outbox));
        expiries.looked(Queue::Inbox, Some(3_000_000), 0);
        assert!(!expiries.is_time(Queue::Inbox) && expiries.is_time(Queue::Outbox));
        let next = expiries.next_look(Queue::Inbox, 100).unwrap();
        assert!((100..=3_000_100).contains(&next));
        assert_eq!(expiries.next_look(Queue::Outbox, 100), None, "nobody else holds anything");
    }
}
