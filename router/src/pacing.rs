//! How fast Meta lets a number send: pure limiters that are given the time, so that they can be read and tested.

mod line;
mod pair;
mod share;
mod window;

use std::time::Duration;

pub use self::{
    line::Line,
    pair::Pair,
    share::Share,
    window::{Fastest, SlidingWindow, WINDOW},
};
use crate::store::PaceKind;

/// What a number may send, as configured (Meta, throughput and about-the-platform).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sent and received together, per second.
    pub throughput: u32,
    /// Outside the 24-hour window, per second.
    pub business_initiated: u32,
    /// Inside it, per second.
    pub user_initiated: u32,
    pub pair: Pair,
    /// Between two tries of a channel of which Meta refuses all sends.
    pub stopped_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            throughput: 80,
            business_initiated: 80,
            user_initiated: 1_000,
            pair: Pair { interval: Duration::from_secs(6), burst: 45 },
            stopped_wait: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Per second, after what Meta announced of the number's throughput and while it is `slowed` after a refusal.
    pub fn of(&self, kind: PaceKind, announced: Option<u32>, slowed: bool) -> u32 {
        match kind {
            PaceKind::BusinessInitiated => self.business_initiated,
            PaceKind::UserInitiated => self.user_initiated,
            PaceKind::Throughput => {
                let most = self.throughput.max(announced.unwrap_or_default());
                if slowed { (most / 2).max(1) } else { most }
            }
        }
    }
}

/// The customer service window stays open this long after a person's message (Meta, send-messages).
pub const SERVICE_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// The limit that a message falls under beside the number's throughput, by the age of the person's last message.
pub fn kind_of(since_last_inbound: Option<Duration>) -> PaceKind {
    match since_last_inbound {
        Some(age) if age < SERVICE_WINDOW => PaceKind::UserInitiated,
        _ => PaceKind::BusinessInitiated,
    }
}

#[cfg(test)]
mod tests {
    use super::{PaceKind::*, *};

    #[test]
    fn meta_can_only_raise_what_is_configured_and_a_refusal_halves_it() {
        let configured = Limits::default();
        let one = Limits { throughput: 1, ..configured };
        for (limits, kind, announced, slowed, expected) in [
            (configured, Throughput, None, false, 80),
            (configured, Throughput, Some(1_000), false, 1_000),
            (configured, Throughput, Some(20), false, 80),
            (configured, Throughput, Some(1_000), true, 500),
            (one, Throughput, None, true, 1),
            (configured, BusinessInitiated, Some(1_000), true, 80),
            (configured, UserInitiated, None, true, 1_000),
        ] {
            assert_eq!(limits.of(kind, announced, slowed), expected, "{kind:?} {announced:?} {slowed}");
        }
    }

    #[test]
    fn the_window_of_24_hours_decides_about_the_kind() {
        for (age, kind) in [
            (Some(Duration::ZERO), UserInitiated),
            (Some(SERVICE_WINDOW - Duration::from_secs(1)), UserInitiated),
            (Some(SERVICE_WINDOW), BusinessInitiated),
            (None, BusinessInitiated),
        ] {
            assert_eq!(kind_of(age), kind, "{age:?}");
        }
    }
}
