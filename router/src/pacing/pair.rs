//! Meta's limit on messages to one person: one each interval on average, with a burst that is borrowed from the
//! time after it (Meta, about-the-platform; over it the answer is error 131056).

use std::time::Duration;

use crate::store::Micros;

/// A generic cell rate algorithm. Its whole state is one time, at which the allowance is whole again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    pub interval: Duration,
    /// Messages in a row, at least 1.
    pub burst: u32,
}

impl Pair {
    /// How long the next message has to wait; `None` when it may go.
    pub fn wait(&self, free_at: Micros, now: Micros) -> Option<Duration> {
        let borrowed = free_at.saturating_sub(now).max(0);
        let most = self.interval().saturating_mul(i64::from(self.burst.saturating_sub(1)));
        let wait = borrowed.saturating_sub(most);
        (wait > 0).then(|| Duration::from_micros(wait.unsigned_abs()))
    }

    /// The state after a message sent now.
    #[must_use]
    pub fn after_send(&self, free_at: Micros, now: Micros) -> Micros {
        free_at.max(now).saturating_add(self.interval())
    }

    /// Whether more than a single message is borrowed: only then it is worth a write.
    pub fn is_worth_keeping(&self, free_at: Micros, now: Micros) -> bool {
        free_at.saturating_sub(now) > self.interval()
    }

    fn interval(&self) -> Micros {
        Micros::try_from(self.interval.as_micros()).unwrap_or(Micros::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const META: Pair = Pair { interval: Duration::from_secs(6), burst: 45 };
    const SECOND: Micros = 1_000_000;

    #[test]
    fn a_burst_goes_at_once_and_is_paid_for_afterwards() {
        let mut free_at = 0;
        for number in 0..45 {
            assert_eq!(META.wait(free_at, SECOND), None, "{number}");
            free_at = META.after_send(free_at, SECOND);
        }
        assert_eq!(META.wait(free_at, SECOND), Some(Duration::from_secs(6)));
        assert_eq!(META.wait(free_at, 6 * SECOND), Some(Duration::from_secs(1)));
        assert_eq!(META.wait(free_at, 7 * SECOND), None);
    }

    #[test]
    fn a_chat_at_a_human_pace_never_waits_and_is_not_worth_a_write() {
        let mut free_at = 0;
        for turn in 1..1_000 {
            let now = turn * 7 * SECOND;
            assert_eq!(META.wait(free_at, now), None);
            free_at = META.after_send(free_at, now);
            assert!(!META.is_worth_keeping(free_at, now));
        }
        assert!(META.is_worth_keeping(META.after_send(free_at, 6_993 * SECOND), 6_993 * SECOND));
    }

    #[test]
    fn a_burst_of_one_is_a_plain_interval() {
        let plain = Pair { burst: 1, ..META };
        let free_at = plain.after_send(0, SECOND);
        assert_eq!(plain.wait(free_at, 2 * SECOND), Some(Duration::from_secs(5)));
        assert_eq!(plain.wait(free_at, 7 * SECOND), None);
    }

    proptest! {
        /// In any span of time no more than the burst and one for each interval that passed.
        #[test]
        fn the_average_holds(burst in 1u32..50, pauses in prop::collection::vec(0i64..20_000_000, 1..200)) {
            let pair = Pair { burst, ..META };
            let (mut now, mut free_at, mut sent) = (SECOND, 0, Vec::new());
            for pause in pauses {
                now += pause;
                if let Some(wait) = pair.wait(free_at, now) {
                    now += i64::try_from(wait.as_micros()).unwrap();
                    prop_assert_eq!(pair.wait(free_at, now), None);
                }
                free_at = pair.after_send(free_at, now);
                sent.push(now);
            }
            for (first, &from) in sent.iter().enumerate() {
                // Every run of sends that begins here.
                for (last, &to) in sent.iter().enumerate().skip(first) {
                    let most = i64::from(burst) + (to - from) / (6 * SECOND);
                    prop_assert!(i64::try_from(last - first + 1).unwrap() <= most);
                }
            }
        }
    }
}
