//! Holds back all sends of a channel for a while after Graph said that none of them can succeed now.
//!
//! Kept in memory: after a restart the first send finds out again. (A limiter, a breaker with half-open probes and
//! a shared state for several routers take this place in the delivery engine.)

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

#[derive(Debug, Default)]
pub(super) struct Gates {
    closed_until: RwLock<HashMap<Arc<str>, Instant>>,
}

impl Gates {
    /// How long sends of this channel have to wait from `now`; `None` when the gate is open.
    pub(super) fn wait(&self, channel: &str, now: Instant) -> Option<Duration> {
        let closed = self.closed_until.read().unwrap_or_else(PoisonError::into_inner);
        closed.get(channel)?.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Closes the gate, or keeps it closed longer; true when it was open before.
    pub(super) fn close(&self, channel: &Arc<str>, now: Instant, wait: Duration) -> bool {
        let until = now + wait;
        let mut closed = self.closed_until.write().unwrap_or_else(PoisonError::into_inner);
        let before = closed.insert(channel.clone(), until);
        if let Some(before) = before.filter(|before| *before > until) {
            closed.insert(channel.clone(), before);
        }
        before.is_none()
    }

    /// Opens the gate after a send that succeeded; true when it was not open before.
    pub(super) fn open(&self, channel: &str) -> bool {
        let was_closed =
            self.closed_until.read().unwrap_or_else(PoisonError::into_inner).contains_key(channel);
        was_closed
            && self.closed_until.write().unwrap_or_else(PoisonError::into_inner).remove(channel).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_closed_for_the_longest_wait_and_for_its_channel_only() {
        let gates = Gates::default();
        let channel: Arc<str> = Arc::from("a");
        let now = Instant::now();
        assert_eq!(gates.wait("a", now), None);
        assert!(gates.close(&channel, now, Duration::from_secs(30)));
        assert!(!gates.close(&channel, now, Duration::from_secs(5)));
        assert_eq!(gates.wait("a", now), Some(Duration::from_secs(30)));
        assert_eq!(gates.wait("b", now), None);
        assert_eq!(gates.wait("a", now + Duration::from_secs(31)), None, "then one may try");
        assert!(gates.open("a") && !gates.open("a"));
        assert_eq!(gates.wait("a", now), None);
    }
}
