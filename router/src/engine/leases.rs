//! The leases that this process holds where another one could take them: kept alive by one task, and looked at
//! before everything that can't be undone, so that a process that was stopped for long does not act on stale work.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Engine;
use crate::store::{Lease, Queue, StoreError};

/// Renewals in the time that a lease holds: several may fail before it is lost.
const RENEWALS: u32 = 6;

/// Wait after the database did not answer.
const AFTER_FAILURE: Duration = Duration::from_millis(250);

/// Where leases do not expire it does nothing and costs nothing.
#[derive(Debug)]
pub(super) struct LeaseBook {
    lease_time: Option<Duration>,
    held: Mutex<HashMap<(Queue, i64), Held>>,
}

#[derive(Debug, Clone, Copy)]
struct Held {
    token: i64,
    /// Before the call that the database confirmed it by; `None` when nobody looked at the clock then.
    asked_at: Option<Instant>,
    is_lost: bool,
    /// Counted and logged as lost.
    is_told: bool,
}

/// What is known of a lease without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    Sure,
    /// It was confirmed too long ago.
    Unsure,
    Lost,
}

impl LeaseBook {
    pub(super) fn new(lease_time: Option<Duration>) -> Self {
        Self { lease_time, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Queue, i64), Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `asked_at`: before the call that the lease came from.
    pub(super) fn hold(&self, lease: Lease, asked_at: Option<Instant>) {
        if self.lease_time.is_some() {
            let held = Held { token: lease.token, asked_at, is_lost: false, is_told: false };
            self.lock().insert((lease.queue, lease.conversation), held);
        }
    }

    pub(super) fn forget(&self, lease: Lease) {
        if self.lease_time.is_some() {
            let mut held = self.lock();
            if held.get(&key(lease)).is_some_and(|held| held.token == lease.token) {
                held.remove(&key(lease));
            }
        }
    }

    fn look(&self, lease: Lease, now: Instant) -> Hold {
        let Some(lease_time) = self.lease_time else { return Hold::Sure };
        match self.lock().get(&key(lease)) {
            Some(held) if held.token == lease.token => judge(held, lease_time, now),
            // Another task of this process has it now.
            _ => Hold::Lost,
        }
    }

    fn all(&self) -> Vec<Lease> {
        let held = self.lock();
        let living = held.iter().filter(|(_, held)| !held.is_lost);
        living
            .map(|((queue, conversation), held)| Lease {
                queue: *queue,
                conversation: *conversation,
                token: held.token,
            })
            .collect()
    }

    /// Notes the answer to a renewal.
    fn renewed(&self, asked: &[Lease], lost: &[Lease], asked_at: Instant) {
        let mut all = self.lock();
        for lease in asked {
            let Some(held) = all.get_mut(&key(*lease)).filter(|held| held.token == lease.token) else {
                continue;
            };
            if lost.contains(lease) {
                held.is_lost = true;
            } else {
                held.asked_at = held.asked_at.max(Some(asked_at));
            }
        }
    }

    /// How many are lost of which nobody was told yet. A lane that came to its end while its lease was being prolonged
    /// looks lost for a moment, until its worker has heard of the end: so this is asked before the next renewal, or when
    /// a worker meets the loss.
    fn to_be_told(&self, of: impl Fn(Lease) -> bool) -> usize {
        let mut told = 0;
        for (&(queue, conversation), held) in self.lock().iter_mut() {
            if held.is_lost && !held.is_told && of(Lease { queue, conversation, token: held.token }) {
                held.is_told = true;
                told += 1;
            }
        }
        told
    }
}

fn key(lease: Lease) -> (Queue, i64) {
    (lease.queue, lease.conversation)
}

/// Half of the time is left for what is done on the strength of it.
fn judge(held: &Held, lease_time: Duration, now: Instant) -> Hold {
    match held.asked_at {
        _ if held.is_lost => Hold::Lost,
        Some(at) if now.saturating_duration_since(at) < lease_time / 2 => Hold::Sure,
        _ => Hold::Unsure,
    }
}

impl Engine {
    /// Whether this lane is still ours, to be asked before every call that can't be undone. Waits for the database
    /// when it has to be asked and does not answer; false also when the process is to stop meanwhile.
    pub(super) async fn still_ours(&self, lease: Lease) -> bool {
        loop {
            match self.leases.look(lease, Instant::now()) {
                Hold::Sure => return true,
                Hold::Lost => {
                    self.tell_of_lost(|other| other == lease);
                    return false;
                }
                Hold::Unsure => {}
            }
            if let Err(error) = self.renew(vec![lease]).await {
                if matches!(error, StoreError::Closed) || self.is_stopping() {
                    return false;
                }
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }

    /// When the lease may be somebody else's; `None` where that can't be.
    pub(super) fn lease_ends(&self, lease: Lease) -> Option<Instant> {
        let lease_time = self.leases.lease_time?;
        let asked_at = self.leases.lock().get(&key(lease)).and_then(|held| held.asked_at);
        Some(asked_at.map_or_else(Instant::now, |at| at + lease_time))
    }

    async fn renew(&self, leases: Vec<Lease>) -> Result<(), StoreError> {
        let asked_at = Instant::now();
        let lost = self.store.renew(leases.clone()).await?;
        self.leases.renewed(&leases, &lost, asked_at);
        Ok(())
    }

    fn tell_of_lost(&self, of: impl Fn(Lease) -> bool) {
        let conversations = self.leases.to_be_told(of);
        if conversations > 0 {
            self.metrics.flow.leases_lost.inc_by(conversations as u64);
            tracing::warn!(
                conversations,
                "leases were lost: this process was silent for too long, another one goes on with that work"
            );
        }
    }
}

/// Keeps all leases alive until the process ends; work that goes on while it stops needs them too.
pub(super) async fn keep(engine: Arc<Engine>) {
    let Some(lease_time) = engine.leases.lease_time else { return };
    loop {
        tokio::time::sleep(lease_time / RENEWALS).await;
        engine.tell_of_lost(|_| true);
        let leases = engine.leases.all();
        if !leases.is_empty()
            && let Err(error) = engine.renew(leases).await
        {
            tracing::warn!(%error, "leases can't be prolonged now; work stops when they run out");
        }
    }
}

/// Wakes the claimers when another process has left work.
pub(super) async fn listen(engine: Arc<Engine>) {
    while !engine.is_stopping() {
        engine.store.work_elsewhere().await;
        engine.inbox.bell.notify_one();
        engine.outbox.bell.notify_one();
        // A store may say so as often as it likes.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(12);

    fn lease(token: i64) -> Lease {
        Lease { queue: Queue::Inbox, conversation: 1, token }
    }

    #[test]
    fn a_lease_is_sure_for_half_of_its_time_and_never_again_once_lost() {
        let (book, now) = (LeaseBook::new(Some(TIME)), Instant::now());
        book.hold(lease(1), Some(now));
        assert_eq!(book.look(lease(1), now + TIME / 2 - Duration::from_millis(1)), Hold::Sure);
        assert_eq!(book.look(lease(1), now + TIME / 2), Hold::Unsure);
        book.renewed(&[lease(1)], &[], now + TIME);
        assert_eq!(book.look(lease(1), now + TIME), Hold::Sure);
        book.renewed(&[lease(1)], &[lease(1)], now + TIME);
        assert_eq!(book.look(lease(1), now + TIME), Hold::Lost);
        assert_eq!(book.to_be_told(|_| true), 1);
        book.renewed(&[lease(1)], &[lease(1)], now + TIME);
        assert_eq!(book.to_be_told(|_| true), 0, "told once");
        assert!(book.all().is_empty());
    }

    #[test]
    fn a_lane_that_ended_while_its_lease_was_prolonged_is_not_lost() {
        let (book, now) = (LeaseBook::new(Some(TIME)), Instant::now());
        book.hold(lease(1), Some(now));
        book.renewed(&[lease(1)], &[lease(1)], now);
        book.forget(lease(1));
        assert_eq!(book.to_be_told(|_| true), 0);
        book.hold(lease(2), Some(now));
        book.renewed(&[lease(2)], &[lease(2)], now);
        assert_eq!((book.to_be_told(|other| other == lease(1)), book.to_be_told(|_| true)), (0, 1));
    }

    #[test]
    fn a_newer_lease_on_the_same_lane_is_another_one() {
        let (book, now) = (LeaseBook::new(Some(TIME)), Instant::now());
        book.hold(lease(1), Some(now));
        book.hold(lease(2), None);
        assert_eq!(book.look(lease(1), now), Hold::Lost);
        assert_eq!(book.look(lease(2), now), Hold::Unsure, "nobody looked at the clock");
        book.forget(lease(1));
        assert_eq!(book.all(), [lease(2)]);
        book.forget(lease(2));
        assert!(book.all().is_empty());
    }

    #[test]
    fn where_leases_do_not_expire_they_are_always_ours() {
        let book = LeaseBook::new(None);
        assert_eq!(book.look(lease(1), Instant::now()), Hold::Sure);
        book.hold(lease(1), None);
        assert!(book.all().is_empty());
    }
}
