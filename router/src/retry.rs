//! When a failed attempt is made again, and when it is not: pure rules, so that they can be read and tested.

use std::time::Duration;

/// How long work is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts that count, at most; `None` leaves it to `max_age`.
    pub attempts: Option<u32>,
    /// Upper bound of the first wait; it doubles with every attempt.
    pub backoff: Duration,
    /// Upper bound of any wait.
    pub max_backoff: Duration,
    /// Work older than this is not tried again.
    pub max_age: Duration,
}

/// What failed, as far as it matters for the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Attempts that counted, this one included if it does.
    pub(crate) counted: u32,
    /// Attempts in a row as the engine has seen them, for the backoff; starts at 1.
    pub(crate) streak: u32,
    /// Time since the work was stored.
    pub(crate) age: Duration,
    /// The other side said how long to wait, at least.
    pub(crate) wait_at_least: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    RetryIn(Duration),
    GiveUp(GiveUp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GiveUp {
    Attempts,
    Age,
}

impl GiveUp {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts_exhausted",
            Self::Age => "max_age_reached",
        }
    }
}

/// A wait shorter than this would only burn attempts while the other side restarts.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// `jitter` is a number in `0.0..1.0`, drawn anew for each attempt.
///
/// Equal jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): half of the exponential bound is kept, so
/// that the attempts cover a known time, and half is drawn, so that what failed together does not come back together.
pub(crate) fn judge(policy: &RetryPolicy, failed: Failed, jitter: f64) -> Verdict {
    if policy.attempts.is_some_and(|most| failed.counted >= most) {
        return Verdict::GiveUp(GiveUp::Attempts);
    }
    let doublings = failed.streak.saturating_sub(1).min(30);
    let bound = policy.backoff.saturating_mul(1 << doublings).min(policy.max_backoff);
    let drawn = (bound / 2 + bound.mul_f64(jitter.clamp(0.0, 1.0) / 2.0)).max(SHORTEST_WAIT.min(bound));
    // What the other side asked for is kept in full; the jitter goes on top.
    let wait = failed.wait_at_least.map_or(drawn, |least| least.saturating_add(drawn.min(least)));
    if failed.age.saturating_add(wait) > policy.max_age {
        return Verdict::GiveUp(GiveUp::Age);
    }
    Verdict::RetryIn(wait)
}

/// Meta's advice for the pair limit: 4^x seconds, x from 0 (about-the-platform, error 131056).
pub(crate) fn pair_wait(attempt: u32) -> Duration {
    Duration::from_secs(4u64.saturating_pow(attempt.min(6)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        attempts: Some(8),
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(300),
        max_age: Duration::from_secs(86_400),
    };

    fn failed(counted: u32, streak: u32) -> Failed {
        Failed { counted, streak, age: Duration::ZERO, wait_at_least: None }
    }

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        for (streak, bound) in [(1, 1), (2, 2), (3, 4), (4, 8), (9, 256), (10, 300), (200, 300)] {
            assert_eq!(
                judge(&POLICY, failed(1, streak), 1.0),
                Verdict::RetryIn(Duration::from_secs(bound)),
                "{streak}"
            );
        }
    }

    #[test]
    fn it_ends_by_attempts_or_by_age() {
        assert!(matches!(judge(&POLICY, failed(7, 7), 0.5), Verdict::RetryIn(_)));
        assert_eq!(judge(&POLICY, failed(8, 8), 0.5), Verdict::GiveUp(GiveUp::Attempts));
        let unlimited = RetryPolicy { attempts: None, ..POLICY };
        assert!(matches!(judge(&unlimited, failed(1_000, 1_000), 0.5), Verdict::RetryIn(_)));
        let old = Failed { age: POLICY.max_age, ..failed(1, 1) };
        assert_eq!(judge(&unlimited, old, 0.5), Verdict::GiveUp(GiveUp::Age));
    }

    #[test]
    fn the_pair_waits_by_powers_of_four() {
        assert_eq!([0, 1, 2, 3].map(|x| pair_wait(x).as_secs()), [1, 4, 16, 64]);
        assert_eq!(pair_wait(u32::MAX).as_secs(), 4096);
    }

    proptest! {
        #[test]
        fn a_wait_is_within_its_bounds(streak in 1u32..100, jitter in 0.0f64..1.0, least in prop::option::of(0u64..600)) {
            let least = least.map(Duration::from_secs);
            let case = Failed { wait_at_least: least, ..failed(1, streak) };
            let Verdict::RetryIn(wait) = judge(&POLICY, case, jitter) else { panic!("neither limit is reached") };
            prop_assert!(wait >= least.unwrap_or(SHORTEST_WAIT));
            prop_assert!(wait <= least.unwrap_or_default() * 2 + POLICY.max_backoff);
        }
    }
}
