//! A router's share of a limit that it has in common with others, and from when it counts.

use std::time::{Duration, Instant};

/// Whoever gave up what this share gained may have used it in the second before. The rest is for the way: it used it
/// until the store's answer reached it, and its last sends had to reach Graph then.
const GAIN_AFTER: Duration = Duration::from_millis(1_500);

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
    use proptest::prelude::*;

    use super::*;
    use crate::pacing::SlidingWindow;

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
        assert_eq!(share.get(start + GAIN_AFTER - ms(1)), 0);
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
        let later = start + ms(2_000);
        share.grant(50, later, later, HOLDS);
        assert_eq!(share.get(later), 30);
        share.grant(40, later + ms(100), later + ms(100), HOLDS);
        assert_eq!(share.get(later + GAIN_AFTER), 30, "less than was promised counts from its own time");
        assert_eq!(share.get(later + GAIN_AFTER + ms(100)), 40);
    }

    #[test]
    fn without_the_store_it_ends() {
        let start = Instant::now();
        let mut share = Share::default();
        share.grant(30, start, start + ms(300), HOLDS);
        assert_eq!(share.get(start + HOLDS - ms(1)), 30);
        assert_eq!(share.get(start + HOLDS), 0);
    }

    /// A store that never gives away more than the limit in all.
    struct Ledger {
        limit: u32,
        given: Vec<u32>,
    }

    impl Ledger {
        fn ask(&mut self, router: usize, demand: u32) -> u32 {
            self.given[router] = 0;
            let left = self.limit - self.given.iter().sum::<u32>();
            self.given[router] = demand.min(left);
            self.given[router]
        }
    }

    proptest! {
        /// However shares move between routers, together they never send more than the limit in any one second.
        #[test]
        fn together_the_limit_holds(
            limit in 1u32..30,
            steps in prop::collection::vec((0usize..3, 0u64..150, 0u32..40, any::<bool>()), 1..400),
        ) {
            let start = Instant::now();
            let mut ledger = Ledger { limit, given: vec![0; 3] };
            let mut routers: Vec<_> = (0..3).map(|_| (Share::default(), SlidingWindow::new(0))).collect();
            let (mut at, mut sends) = (0u64, Vec::new());
            for (number, pause, demand, asks) in steps {
                at += pause;
                let now = start + ms(at);
                let (share, window) = &mut routers[number];
                if asks {
                    share.grant(ledger.ask(number, demand), now, now, Duration::from_secs(3_600));
                }
                window.set_limit(share.get(now));
                for _ in 0..demand {
                    if window.has_room(now) {
                        window.begin();
                        window.end(now, now);
                        sends.push(at);
                    }
                }
            }
            for &from in &sends {
                let within = sends.iter().filter(|at| (from..from + 1_000).contains(at)).count();
                prop_assert!(within <= limit as usize, "{within} in the second from {from}");
            }
        }
    }
}
