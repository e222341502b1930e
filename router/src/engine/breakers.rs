//! The circuit breakers of backends, by their names.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    breaker::{Breaker, BreakerState, Change, Seen, Ticket},
    pace::BreakerView,
};
use crate::{backend::BackendError, clock::millis, metrics::PaceMetrics, routing::Table};

const KIND: &str = "backend";

#[derive(Debug)]
pub(super) struct Breakers {
    by_name: RwLock<HashMap<Arc<str>, Arc<Mutex<Breaker>>>>,
    /// Some may be open: else nobody needs to look.
    troubled: AtomicBool,
    metrics: PaceMetrics,
}

/// Permission to call a backend once. Dropped without an outcome it says nothing of the backend.
#[derive(Debug)]
pub(super) struct BackendCall<'a> {
    breakers: &'a Breakers,
    name: &'a Arc<str>,
    breaker: Arc<Mutex<Breaker>>,
    ticket: Ticket,
    ended: bool,
}

/// How a backend is after a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct After {
    /// It had not been called any more, and can be again.
    pub(super) works_again: bool,
    /// It is not called for so long.
    pub(super) rests_for: Option<Duration>,
}

impl Breakers {
    pub(super) fn new(table: &Table, metrics: PaceMetrics) -> Self {
        let breakers = Self { by_name: RwLock::default(), troubled: AtomicBool::new(false), metrics };
        breakers.follow(table);
        breakers
    }

    /// Backends that are new begin with a closed breaker, those that are gone end.
    pub(super) fn follow(&self, table: &Table) {
        let wanted: HashSet<&Arc<str>> = table.backends().map(|backend| &backend.name).collect();
        let mut gone = Vec::new();
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        by_name.retain(|name, _| {
            let stays = wanted.contains(name);
            if !stays {
                gone.push(name.clone());
            }
            stays
        });
        drop(by_name);
        for name in gone {
            self.metrics.forget_breaker(KIND, &name);
        }
        for name in wanted {
            self.get(name);
        }
    }

    /// Permission for one call, else when to ask again.
    pub(super) fn enter<'a>(&'a self, name: &'a Arc<str>) -> Result<BackendCall<'a>, Instant> {
        let breaker = self.get(name);
        let ticket = lock(&breaker).enter(Instant::now())?;
        if ticket == Ticket::Probe {
            self.metrics.breaker_turned(KIND, name, BreakerState::HalfOpen);
        }
        Ok(BackendCall { breakers: self, name, breaker, ticket, ended: false })
    }

    /// When one of them may be called again, if none may now; in the past when a probe is due.
    pub(super) fn all_closed_until(&self) -> Option<Instant> {
        if !self.troubled.load(Ordering::Relaxed) {
            return None;
        }
        // Before the look, so that what closes meanwhile is not forgotten.
        self.troubled.store(false, Ordering::SeqCst);
        let now = Instant::now();
        let (mut earliest, mut all) = (None::<Instant>, true);
        for breaker in self.by_name.read().unwrap_or_else(PoisonError::into_inner).values() {
            match lock(breaker).closed_until(now) {
                Some(until) => earliest = Some(earliest.map_or(until, |other| other.min(until))),
                None => all = false,
            }
        }
        if earliest.is_some() {
            self.troubled.store(true, Ordering::SeqCst);
        }
        earliest.filter(|_| all)
    }

    pub(super) fn views(&self) -> Vec<BreakerView> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        let mut views: Vec<_> =
            by_name.iter().map(|(name, breaker)| BreakerView::of(KIND, name, &lock(breaker))).collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        views
    }

    fn get(&self, name: &Arc<str>) -> Arc<Mutex<Breaker>> {
        let known = self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| {
            let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
            let breaker = by_name.entry(name.clone()).or_default().clone();
            self.metrics.breaker_is(KIND, name, lock(&breaker).state());
            breaker
        })
    }
}

impl BackendCall<'_> {
    /// What came of it.
    pub(super) fn ended<T>(mut self, outcome: &Result<T, BackendError>) -> After {
        self.ended = true;
        let (seen, error) = match outcome {
            Err(error) if error.is_outage() => (Seen::Outage, Some(error)),
            _ => (Seen::Alive, None),
        };
        let change = self.leave(seen, error);
        let now = Instant::now();
        After {
            works_again: matches!(change, Some(Change::Closed { .. })),
            rests_for: lock(&self.breaker)
                .closed_until(now)
                .map(|until| until.saturating_duration_since(now)),
        }
    }

    fn leave(&self, seen: Seen, last: Option<&BackendError>) -> Option<Change> {
        let mut breaker = lock(&self.breaker);
        let change = breaker.leave(self.ticket, seen, Instant::now(), rand::random());
        if let Some(change) = change {
            self.breakers.metrics.breaker_turned(KIND, self.name, breaker.state());
            match change {
                Change::Opened { wait } => {
                    self.breakers.troubled.store(true, Ordering::SeqCst);
                    tracing::error!(
                        backend = &**self.name,
                        reason = last.map(BackendError::reason),
                        error = last.map(tracing::field::display),
                        probe_in_ms = millis(wait),
                        "the backend fails again and again: it is not called until a single call succeeds; messages wait in their order"
                    );
                }
                Change::Reopened { .. } => self.breakers.troubled.store(true, Ordering::SeqCst),
                Change::Closed { after } => tracing::info!(
                    backend = &**self.name,
                    after_ms = millis(after),
                    "the backend answers again"
                ),
            }
        }
        change
    }
}

impl Drop for BackendCall<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.leave(Seen::Nothing, None);
        }
    }
}

fn lock(breaker: &Mutex<Breaker>) -> MutexGuard<'_, Breaker> {
    breaker.lock().unwrap_or_else(PoisonError::into_inner)
}
