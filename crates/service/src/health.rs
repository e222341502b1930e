//! Whether this process can do its work. Liveness, readiness and health are three questions: a process that
//! drains is alive and healthy, but not ready.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

const STARTING: u8 = 0;
const READY: u8 = 1;
const DRAINING: u8 = 2;

/// The state of the process and its named checks. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    phase: AtomicU8,
    checks: RwLock<Vec<Arc<Check>>>,
}

#[derive(Debug)]
struct Check {
    name: &'static str,
    failing: AtomicBool,
    why: Mutex<String>,
}

/// Whether traffic should be sent here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// [`Health::ready`] was not called yet.
    Starting,
    /// Everything is fine.
    Ready,
    /// The process ends soon; it still answers what arrives.
    Draining,
    /// These checks fail: name and reason.
    Failing(BTreeMap<&'static str, String>),
}

impl Health {
    /// Starting, with no checks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, which fails until it has been heard of.
    pub fn register(&self, name: &'static str) -> CheckHandle {
        let check = Arc::new(Check {
            name,
            failing: AtomicBool::new(true),
            why: Mutex::new("has not reported yet".to_owned()),
        });
        self.inner.checks.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&check));
        CheckHandle { check }
    }

    /// The start is over. Has no effect once draining.
    pub fn ready(&self) {
        let _ = self.inner.phase.compare_exchange(STARTING, READY, Ordering::AcqRel, Ordering::Acquire);
    }

    /// The end has begun.
    pub fn draining(&self) {
        self.inner.phase.store(DRAINING, Ordering::Release);
    }

    /// Whether traffic should be sent here, and why not.
    pub fn readiness(&self) -> Readiness {
        match self.inner.phase.load(Ordering::Acquire) {
            STARTING => return Readiness::Starting,
            DRAINING => return Readiness::Draining,
            _ => {}
        }
        let failing = self.failing();
        if failing.is_empty() { Readiness::Ready } else { Readiness::Failing(failing) }
    }

    /// The checks that fail now, with their reasons.
    pub fn failing(&self) -> BTreeMap<&'static str, String> {
        let checks = self.inner.checks.read().unwrap_or_else(PoisonError::into_inner);
        checks.iter().filter_map(|check| Some((check.name, check.reason()?))).collect()
    }

    /// Every check, and whether it fails.
    pub fn checks(&self) -> Vec<(&'static str, bool)> {
        let checks = self.inner.checks.read().unwrap_or_else(PoisonError::into_inner);
        checks.iter().map(|check| (check.name, check.failing.load(Ordering::Acquire))).collect()
    }
}

impl Check {
    fn reason(&self) -> Option<String> {
        let failing = self.failing.load(Ordering::Acquire);
        failing.then(|| self.why.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// What the part of the program that is checked holds to report with.
#[derive(Debug, Clone)]
pub struct CheckHandle {
    check: Arc<Check>,
}

impl CheckHandle {
    /// It works. Costs one atomic read when it worked before, so it may be called on every request.
    pub fn ok(&self) {
        if self.check.failing.load(Ordering::Acquire) {
            self.check.failing.store(false, Ordering::Release);
            tracing::info!(check = self.check.name, "check passes");
        }
    }

    /// What was reported last.
    pub fn is_failing(&self) -> bool {
        self.check.failing.load(Ordering::Acquire)
    }

    /// Why it does not work, if it does not.
    pub fn why(&self) -> Option<String> {
        self.check.reason()
    }

    /// It does not work, and why: words for an operator, without secrets.
    pub fn failing(&self, why: impl Into<String>) {
        self.fails(why.into(), None);
    }

    /// The same, with `detail` that is for the log alone.
    pub fn failing_for(&self, why: &str, detail: &str) {
        self.fails(why.to_owned(), Some(detail));
    }

    fn fails(&self, why: String, detail: Option<&str>) {
        let mut reason = self.check.why.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.check.failing.swap(true, Ordering::AcqRel) || *reason != why {
            // Nothing is sent here while it lasts.
            tracing::error!(check = self.check.name, reason = %why, error = detail, "check fails");
        }
        *reason = why;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_it_started_and_every_check_has_passed() {
        let health = Health::new();
        let store = health.register("store");
        let config = health.register("config");
        config.ok();
        assert_eq!(health.readiness(), Readiness::Starting);
        health.ready();
        assert_eq!(
            health.readiness(),
            Readiness::Failing(BTreeMap::from([("store", "has not reported yet".to_owned())]))
        );
        store.ok();
        assert_eq!(health.readiness(), Readiness::Ready);
        store.failing("disk is full");
        assert_eq!(health.failing(), BTreeMap::from([("store", "disk is full".to_owned())]));
        store.ok();
        assert!(health.failing().is_empty());
    }

    #[test]
    fn draining_is_final() {
        let health = Health::new();
        health.draining();
        health.ready();
        assert_eq!(health.readiness(), Readiness::Draining);
    }
}
