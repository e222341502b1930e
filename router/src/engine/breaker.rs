//! Stops calling what fails anyway, and finds out with single calls whether it works again: a pure state machine.

use std::time::{Duration, Instant};

/// Failures in a row, without anything else in between, after which it opens.
const FAILURES: u32 = 5;
/// The failures have to be spread over this time: connections that broke at the same moment are one failure.
const SPREAD: Duration = Duration::from_millis(250);
/// Before the first probe, and at most before any.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// When the outcome of a probe is awaited, look again after this.
const WHILE_PROBING: Duration = Duration::from_millis(500);

/// For metrics and the API; the numbers are what the gauge shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed = 0,
    HalfOpen = 1,
    Open = 2,
}

impl BreakerState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// What the outcome of a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Opened {
        wait: Duration,
    },
    /// A probe failed: it stays open for longer.
    Reopened {
        wait: Duration,
    },
    Closed {
        after: Duration,
    },
}

/// Permission for one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    Call,
    /// The one call that finds out.
    Probe,
}

/// What a call showed of the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It answers, if only to refuse.
    Alive,
    /// It can't be reached, or does not manage to answer.
    Outage,
    /// The call came to no end.
    Nothing,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// In a row, while closed.
    failures: u32,
    failing_since: Option<Instant>,
    /// In a row, to double the wait.
    opened: u32,
    opened_at: Option<Instant>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, failures: 0, failing_since: None, opened: 0, opened_at: None }
    }
}

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }

    /// Since when it has not been closed.
    pub(super) fn open_since(&self) -> Option<Instant> {
        self.opened_at
    }

    /// Until when no call is let through; may be over, and then the next call is the probe.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Open { until } => Some(until),
            State::HalfOpen => Some(now + WHILE_PROBING),
        }
    }

    /// Whether a call may be made now, else when to ask again.
    pub(super) fn enter(&mut self, now: Instant) -> Result<Ticket, Instant> {
        match self.state {
            State::Closed => Ok(Ticket::Call),
            State::Open { until } if now >= until => {
                self.state = State::HalfOpen;
                Ok(Ticket::Probe)
            }
            State::Open { until } => Err(until),
            State::HalfOpen => Err(now + WHILE_PROBING),
        }
    }

    /// What a call came to. Only the probe moves a breaker that is open: the others began before it opened.
    /// `jitter` is a number in `0.0..1.0`, drawn anew each time.
    pub(super) fn leave(&mut self, ticket: Ticket, seen: Seen, now: Instant, jitter: f64) -> Option<Change> {
        match (self.state, ticket, seen) {
            (State::Closed, _, Seen::Alive) => {
                self.failures = 0;
                self.failing_since = None;
                None
            }
            (State::Closed, _, Seen::Outage) => {
                self.failures = self.failures.saturating_add(1);
                let since = *self.failing_since.get_or_insert(now);
                let is_outage = self.failures >= FAILURES && now.saturating_duration_since(since) >= SPREAD;
                is_outage.then(|| Change::Opened { wait: self.open(now, jitter) })
            }
            (State::HalfOpen, Ticket::Probe, Seen::Alive) => {
                let after = self.opened_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
                *self = Self::default();
                Some(Change::Closed { after })
            }
            (State::HalfOpen, Ticket::Probe, Seen::Outage) => {
                Some(Change::Reopened { wait: self.open(now, jitter) })
            }
            (State::HalfOpen, Ticket::Probe, Seen::Nothing) => {
                self.state = State::Open { until: now };
                None
            }
            _ => None,
        }
    }

    /// Equal jitter, as for retries: half of the bound is kept and half is drawn.
    fn open(&mut self, now: Instant, jitter: f64) -> Duration {
        let bound = WAIT.0.saturating_mul(1 << self.opened.min(16)).min(WAIT.1);
        let wait = bound / 2 + bound.mul_f64(jitter.clamp(0.0, 1.0) / 2.0);
        self.opened = self.opened.saturating_add(1);
        self.opened_at.get_or_insert(now);
        self.state = State::Open { until: now + wait };
        wait
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn opened(at: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for number in 0..FAILURES {
            let now = at - SPREAD + SPREAD * number / (FAILURES - 1);
            let ticket = breaker.enter(now).unwrap();
            breaker.leave(ticket, Seen::Outage, now, 1.0);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_that_are_not_one_and_the_same() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(breaker.leave(Ticket::Call, Seen::Outage, now, 1.0), None, "one moment");
        }
        assert_eq!(breaker.leave(Ticket::Call, Seen::Alive, now + SPREAD, 1.0), None);
        for at in [0, 100, 200, 300] {
            assert_eq!(breaker.leave(Ticket::Call, Seen::Outage, now + ms(at), 1.0), None);
        }
        let change = breaker.leave(Ticket::Call, Seen::Outage, now + ms(400), 1.0);
        assert_eq!(change, Some(Change::Opened { wait: WAIT.0 }));
        assert_eq!(breaker.enter(now + ms(400)), Err(now + ms(1_400)));
    }

    #[test]
    fn one_probe_decides_and_the_wait_doubles_up_to_its_bound() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for wait in [2, 4, 8, 16, 30, 30] {
            now = breaker.closed_until(now).unwrap();
            assert_eq!(breaker.enter(now), Ok(Ticket::Probe));
            assert!(breaker.enter(now + ms(5_000)).is_err(), "one at a time");
            let change = breaker.leave(Ticket::Probe, Seen::Outage, now, 1.0);
            assert_eq!(change, Some(Change::Reopened { wait: Duration::from_secs(wait) }));
        }
        now = breaker.closed_until(now).unwrap();
        assert_eq!(breaker.enter(now), Ok(Ticket::Probe));
        assert!(matches!(breaker.leave(Ticket::Probe, Seen::Alive, now, 1.0), Some(Change::Closed { .. })));
        assert_eq!((breaker.state(), breaker.enter(now)), (BreakerState::Closed, Ok(Ticket::Call)));
        assert_eq!(opened(now).closed_until(now), Some(now + WAIT.0), "the next outage begins anew");
    }

    #[test]
    fn a_probe_that_comes_to_no_end_is_followed_by_another() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + WAIT.0;
        assert_eq!(breaker.enter(later), Ok(Ticket::Probe));
        assert_eq!(breaker.leave(Ticket::Probe, Seen::Nothing, later, 1.0), None);
        assert_eq!(breaker.enter(later), Ok(Ticket::Probe));
    }

    #[test]
    fn calls_that_began_before_it_opened_change_nothing() {
        let now = Instant::now();
        let mut breaker = opened(now);
        for seen in [Seen::Alive, Seen::Outage, Seen::Nothing] {
            assert_eq!(breaker.leave(Ticket::Call, seen, now, 1.0), None);
        }
        assert_eq!(breaker.closed_until(now), Some(now + WAIT.0));
    }

    proptest! {
        /// Whatever happens, at most one probe is under way, and it never stays shut for longer than its bound.
        #[test]
        fn there_is_never_more_than_one_probe(steps in prop::collection::vec((0u64..3_000, 0u8..3, any::<bool>()), 1..200)) {
            let mut now = Instant::now();
            let mut breaker = Breaker::default();
            let mut calls: Vec<Ticket> = Vec::new();
            for (pause, seen, ends) in steps {
                now += ms(pause);
                match breaker.enter(now) {
                    Ok(ticket) => calls.push(ticket),
                    Err(until) => prop_assert!(until <= now + WAIT.1),
                }
                prop_assert!(calls.iter().filter(|call| **call == Ticket::Probe).count() <= 1);
                if ends && !calls.is_empty() {
                    let seen = [Seen::Alive, Seen::Outage, Seen::Nothing][usize::from(seen)];
                    let _ = breaker.leave(calls.remove(0), seen, now, 0.5);
                }
            }
        }
    }
}
