//! Whether anything goes through a channel at all: what Graph's answers said about the channel as a whole.

use std::time::{Duration, Instant};

use crate::store::Micros;

/// While a probe is under way, look again after this.
const WHILE_PROBING: Duration = Duration::from_millis(500);

/// Graph refuses everything, until somebody mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) since: Micros,
    pub(super) probe_at: Instant,
    probing: bool,
    /// A bounded label.
    pub(super) reason: String,
    pub(super) error: String,
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    /// Graph asked for a pause.
    held_until: Option<Instant>,
    stop: Option<Stop>,
}

impl Gate {
    /// Until when nothing goes through; `None` when the next send may, if only as a probe.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.trouble_until(now).filter(|until| *until > now)
    }

    /// The same, and in the past when a probe is due.
    pub(super) fn trouble_until(&self, now: Instant) -> Option<Instant> {
        let stopped = |stop: &Stop| if stop.probing { now + WHILE_PROBING } else { stop.probe_at };
        self.held_until(now).max(self.stop.as_ref().map(stopped))
    }

    pub(super) fn is_probing(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.probing)
    }

    /// A send goes through an open gate; true when it is the one that finds out.
    pub(super) fn enter(&mut self) -> bool {
        match &mut self.stop {
            None => false,
            Some(stop) => {
                stop.probing = true;
                true
            }
        }
    }

    /// Nothing goes through until then; true when that is news.
    pub(super) fn hold(&mut self, until: Instant, now: Instant) -> bool {
        let is_news = self.held_until.is_none_or(|held| held <= now);
        self.held_until = self.held_until.max(Some(until));
        is_news
    }

    /// True when it was not stopped before. A reason that is already known stays, and so does its time.
    pub(super) fn stop(&mut self, since: Micros, probe_at: Instant, reason: &str, error: &str) -> bool {
        let is_news = self.stop.is_none();
        let since = self.stop.as_ref().map_or(since, |stop| stop.since);
        self.stop = Some(Stop {
            since,
            probe_at,
            probing: false,
            reason: reason.to_owned(),
            error: error.to_owned(),
        });
        is_news
    }

    /// A send succeeded: what had stopped it is mended.
    pub(super) fn open(&mut self) -> Option<Stop> {
        self.stop.take()
    }

    /// The probe came to no verdict: the next send is another.
    pub(super) fn probe_ended(&mut self, now: Instant) {
        if let Some(stop) = &mut self.stop {
            stop.probing = false;
            stop.probe_at = now;
        }
    }

    /// The next send finds out at once, because something was changed; true when it was stopped.
    pub(super) fn recheck(&mut self, now: Instant) -> bool {
        if let Some(stop) = &mut self.stop {
            stop.probe_at = now;
        }
        self.stop.is_some()
    }

    pub(super) fn stopped(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }

    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.held_until.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_pause_is_as_long_as_the_longest_that_was_asked_for() {
        let now = Instant::now();
        let mut gate = Gate::default();
        assert_eq!(gate.closed_until(now), None);
        assert!(gate.hold(now + 30 * SECOND, now));
        assert!(!gate.hold(now + 5 * SECOND, now));
        assert_eq!(gate.closed_until(now), Some(now + 30 * SECOND));
        assert_eq!(gate.closed_until(now + 30 * SECOND), None);
        assert!(!gate.enter(), "that is no probe");
        assert!(gate.hold(now + 40 * SECOND, now + 35 * SECOND));
    }

    #[test]
    fn one_probe_at_a_time_finds_out_whether_it_is_mended() {
        let now = Instant::now();
        let mut gate = Gate::default();
        assert!(gate.stop(1, now + SECOND, "token_invalid", "first"));
        assert_eq!(gate.closed_until(now), Some(now + SECOND));
        assert!(gate.closed_until(now + SECOND).is_none() && gate.enter());
        assert!(gate.closed_until(now + SECOND).is_some(), "others wait for it");
        assert!(!gate.stop(9, now + 3 * SECOND, "account_locked", "second"), "still stopped");
        let stop = gate.stopped().unwrap();
        assert_eq!((stop.since, stop.error.as_str()), (1, "second"));
        assert_eq!(gate.closed_until(now + 2 * SECOND), Some(now + 3 * SECOND));
        assert!(gate.recheck(now + 2 * SECOND));
        assert!(gate.closed_until(now + 2 * SECOND).is_none() && gate.enter());
        gate.probe_ended(now + 2 * SECOND);
        assert!(gate.closed_until(now + 2 * SECOND).is_none() && gate.enter(), "no verdict: another one");
        assert!(gate.open().is_some() && gate.open().is_none());
        assert!(gate.closed_until(now).is_none() && !gate.enter() && !gate.recheck(now));
    }
}
