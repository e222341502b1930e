//! How long to wait after a failure: doubling, bounded, and different in every router.

use std::time::Duration;

#[derive(Debug, Clone)]
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// Half to all of the step; routers that lost the same API server do not come back in the same moment.
    pub(super) fn next(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.most);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    pub(super) fn reset(&mut self) {
        self.next = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_bound_and_begins_anew() {
        let (least, most) = (Duration::from_millis(100), Duration::from_millis(300));
        let mut backoff = Backoff::new(least, most);
        for step in [100, 200, 300, 300].map(Duration::from_millis) {
            let wait = backoff.next();
            assert!(wait >= step / 2 && wait <= step, "{wait:?} is not within {step:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= least);
    }
}
