//! A router's share of a limit that it has in common with others, and from when it counts.

use std::time::{Duration, Instant};

/// Whoever gave up what this share gained may have used it in the second before, and its last sends may still be on
/// their way.
const GAIN_AFTER: Duration = Duration::from_millis(1_100);

/// See the module. Nothing until the first grant.
#[derive(Debug, Default)]
pub struct Share {
    now: u32,
    /// A gain that counts from then on.
    gain: Option<(u32, Instant)>,
    expires_at: Option<Instant>,
}

impl Share {
    /// The store's answer, to an ask made at `asked_at`.
    pub fn grant(&mut self, share: u32, asked_at: Instant, now: Instant, holds: Duration) {
        self.now = self.get(now);
        self.gain = self.gain.filter(|(_, from)| now < *from);
        self.expires_at = Some(asked_at + holds);
        self.gain = if share <= self.now {
            self.now = share;
            None
        } else {
            // What was promised before and is still there does not start to wait anew; the rest is asked for again.
            self.gain.filter(|(gain, _)| *gain <= share).or(Some((share, now + GAIN_AFTER)))
        };
    }

    /// What may be sent in a second.
    pub fn get(&self, now: Instant) -> u32 {
        if self.expires_at.is_none_or(|at| now >= at) {
            return 0;
        }
        match self.gain {
            Some((gain, from)) if now >= from => gain,
            _ => self.now,
        }
    }

    /// When the share grows by itself.
    pub fn grows_at(&self) -> Option<Instant> {
        self.gain.map(|(_, from)| from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS: Duration = Duration::from_secs(10);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_gain_waits_a_second_and_a_loss_is_at_once() {
        let start = Instant::now();
        let mut share = Share::default();
        assert_eq!(share.get(start), 0);
        share.grant(30, start, start, HOLDS);
        assert_eq!(share.get(start + ms(1_099)), 0);
        assert_eq!(share.get(start + GAIN_AFTER), 30);
        share.grant(10, start + ms(2_000), start + ms(2_000), HOLDS);
        assert_eq!(share.get(start + ms(2_000)), 10);
        assert_eq!(share.grows_at(), None);
    }

    #[test]
    fn asking_again_does_not_put_a_gain_off() {
        let start = Instant::now();
        let mut share = Share::default();
        for at in [0, 400, 800] {
            share.grant(30, start + ms(at), start + ms(at), HOLDS);
        }
        assert_eq!(share.get(start + GAIN_AFTER), 30);
        share.grant(50, start + ms(1_200), start + ms(1_200), HOLDS);
        assert_eq!(share.get(start + ms(1_200)), 30);
        share.grant(40, start + ms(1_300), start + ms(1_300), HOLDS);
        assert_eq!(share.get(start + ms(2_300)), 30, "less than was promised counts from its own time");
        assert_eq!(share.get(start + ms(2_400)), 40);
    }

    #[test]
    fn without_the_store_it_ends() {
        let start = Instant::now();
        let mut share = Share::default();
        share.grant(30, start, start + ms(300), HOLDS);
        assert_eq!(share.get(start + HOLDS - ms(1)), 30);
        assert_eq!(share.get(start + HOLDS), 0);
    }
}
