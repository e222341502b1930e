//! How long we wait for the other side: a fixed time, and more the more it has moved. So a long body over a slow line
//! passes, and a byte a second does not.

use std::time::Duration;

/// Bytes that earn the other side one second more. A modem of 1998 is faster.
const BYTES_PER_SECOND: u64 = 4 * 1024;

/// A time to wait that is used up by waiting and earned back by bytes, never above what it was at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    full: Duration,
    left: Duration,
}

impl Patience {
    pub(super) fn new(full: Duration) -> Self {
        Self { full, left: full }
    }

    pub(super) fn left(self) -> Duration {
        self.left
    }

    /// After waiting for `time`, `bytes` moved.
    pub(super) fn moved(&mut self, time: Duration, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let earned = Duration::from_micros(bytes.saturating_mul(1_000_000) / BYTES_PER_SECOND);
        self.left = self.left.saturating_sub(time).saturating_add(earned).min(self.full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Duration = Duration::from_secs(30);

    #[test]
    fn waiting_uses_it_up_and_bytes_earn_it_back() {
        for (name, moves, left) in [
            ("nothing yet", &[][..], 30_000),
            ("waited", &[(10_000, 0)], 20_000),
            ("a page is a second", &[(10_000, 4096)], 21_000),
            ("never above the full time", &[(1, 1 << 20)], 30_000),
            ("a byte a second is nothing", &[(1000, 1); 29], 1_007),
            ("used up", &[(31_000, 0)], 0),
        ] {
            let mut patience = Patience::new(FULL);
            for (millis, bytes) in moves {
                patience.moved(Duration::from_millis(*millis), *bytes);
            }
            assert_eq!(patience.left().as_millis(), left, "{name}");
        }
    }

    #[test]
    fn a_steady_line_is_never_given_up_and_a_trickle_is() {
        let (mut steady, mut trickle) = (Patience::new(FULL), Patience::new(FULL));
        for _ in 0..10_000 {
            steady.moved(Duration::from_secs(2), 8 * 1024);
            trickle.moved(Duration::from_secs(1), 1024);
        }
        assert!(steady.left() >= Duration::from_secs(28));
        assert_eq!(trickle.left(), Duration::from_millis(250), "what the last bytes earned, and no more");
    }
}
