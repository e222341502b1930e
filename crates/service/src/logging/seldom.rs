//! Lines about what strangers can cause: said now and then with a count, so that nobody fills the log from outside.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_secs(60);

/// Lets one line a minute through.
#[derive(Debug, Default)]
pub struct Seldom(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    said_at: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// How many there were since the last line, this one included; `None` when there is to be no line now.
    pub fn count(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.unsaid += 1;
        if state.said_at.is_some_and(|at| now.saturating_duration_since(at) < INTERVAL) {
            return None;
        }
        state.said_at = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_those_after_it_are_counted() {
        let seldom = Seldom::default();
        let start = Instant::now();
        for (after, expected) in
            [(0, Some(1)), (1, None), (59, None), (60, Some(3)), (119, None), (121, Some(2))]
        {
            assert_eq!(seldom.count(start + Duration::from_secs(after)), expected, "{after} s");
        }
    }
}
