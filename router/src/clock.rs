//! The present, by a clock that tests can move: what happens after a day must not take a day to be tried.

use std::time::Duration;

use crate::store::{self, Micros};

/// Tells the time. `Default` is the real one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    ahead: Micros,
}

impl Clock {
    /// A clock that is ahead of the real one.
    pub fn ahead(by: Duration) -> Self {
        Self { ahead: micros(by) }
    }

    pub fn now(self) -> Micros {
        store::now().saturating_add(self.ahead)
    }

    /// How far this clock is ahead of the real one, for a store that asks its database for the time.
    pub fn advance(self) -> Micros {
        self.ahead
    }
}

/// A duration as the store counts.
pub(crate) fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// A duration for a line of the log, where it has to be a number.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ahead_by_what_it_was_told() {
        let real = Clock::default().now();
        assert!(Clock::ahead(Duration::from_secs(86_400)).now() >= real + 86_400_000_000);
        assert_eq!(Clock::ahead(Duration::MAX).now(), Micros::MAX);
    }
}
