//! Places in a line for those who find no room to wait in: each is told when its turn is likely to come, so that
//! thousands do not come back at once, or again and again.

use std::time::{Duration, Instant};

/// Whoever would have to wait longer comes back then and asks again: the limit may have been raised meanwhile.
const LONGEST: Duration = Duration::from_secs(300);
const SHORTEST: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Line {
    end: Option<Instant>,
}

impl Line {
    /// Joins the line behind `ahead` others that wait elsewhere; `rate` leave it each second.
    pub fn join(&mut self, now: Instant, ahead: usize, rate: u32) -> Duration {
        let each = Duration::from_secs(1) / rate.max(1);
        let others = each.saturating_mul(u32::try_from(ahead).unwrap_or(u32::MAX)).max(SHORTEST).min(LONGEST);
        let place = self.end.map_or(now + others, |end| (end + each).max(now + others)).min(now + LONGEST);
        self.end = Some(place);
        place - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_up_at_the_rate_behind_those_who_wait_already() {
        let now = Instant::now();
        let mut line = Line::default();
        assert_eq!(line.join(now, 40, 20), Duration::from_secs(2));
        assert_eq!(line.join(now, 40, 20), Duration::from_millis(2_050));
        for _ in 0..198 {
            line.join(now, 40, 20);
        }
        assert_eq!(line.join(now, 40, 20), Duration::from_secs(12));
        assert_eq!(line.join(now + Duration::from_secs(60), 0, 20), SHORTEST, "the line has dissolved");
    }

    #[test]
    fn nobody_is_sent_away_for_ever() {
        let now = Instant::now();
        let mut line = Line::default();
        for _ in 0..1_000 {
            assert!(line.join(now, usize::MAX, 0) <= LONGEST);
        }
    }
}
