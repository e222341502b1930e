//! Never more than a number of sends in any one second, as the other end counts them.
//!
//! When Graph counts a send is not known here, only that it is between the call and its answer. So a send is counted
//! from its start until a second after the latest moment at which Graph can have counted it. That moment is the end
//! of the call less the fastest call there was, so that what costs room is the *variation* of the way, not its length.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What limits are counted over.
pub const WINDOW: Duration = Duration::from_secs(1);

/// Sends this close together are kept as one number, at the time of the last: memory stays small at any limit.
const GRAIN: Duration = Duration::from_millis(1);

#[derive(Debug, Clone, Copy)]
struct Bucket {
    first: Instant,
    last: Instant,
    count: u32,
}

/// See the module. Times have to be given in the order in which they pass.
#[derive(Debug)]
pub struct SlidingWindow {
    limit: u32,
    in_flight: u32,
    counted: u32,
    buckets: VecDeque<Bucket>,
}

impl SlidingWindow {
    pub fn new(limit: u32) -> Self {
        Self { limit, in_flight: 0, counted: 0, buckets: VecDeque::new() }
    }

    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// What was sent under another limit stays counted.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    pub fn has_room(&mut self, now: Instant) -> bool {
        self.used(now) < self.limit
    }

    /// A send begins; the caller has asked [`has_room`](Self::has_room).
    pub fn begin(&mut self) {
        self.in_flight += 1;
    }

    /// A send has ended that Graph counted at `at` at the latest.
    pub fn end(&mut self, at: Instant, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.record(at, 1, now);
    }

    /// A send that began was not made.
    pub fn undo(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Counts what does not ask, such as messages that come in; may exceed the limit.
    pub fn record(&mut self, at: Instant, count: u32, now: Instant) {
        self.expire(now);
        let at = self.buckets.back().map_or(at, |newest| newest.last.max(at));
        if count == 0 || now.saturating_duration_since(at) >= WINDOW {
            return;
        }
        self.counted = self.counted.saturating_add(count);
        match self.buckets.back_mut() {
            Some(newest) if at.saturating_duration_since(newest.first) < GRAIN => {
                newest.last = at;
                newest.count = newest.count.saturating_add(count);
            }
            _ => self.buckets.push_back(Bucket { first: at, last: at, count }),
        }
    }

    /// Sends that count now.
    pub fn used(&mut self, now: Instant) -> u32 {
        self.expire(now);
        self.in_flight.saturating_add(self.counted)
    }

    pub fn remaining(&mut self, now: Instant) -> u32 {
        let used = self.used(now);
        self.limit.saturating_sub(used)
    }

    /// When there is room at the latest; `None` when that depends on the end of calls, or on the limit.
    pub fn free_at(&mut self, now: Instant) -> Option<Instant> {
        let used = self.used(now);
        let Some(mut excess) = (used + 1).checked_sub(self.limit).filter(|excess| *excess > 0) else {
            return Some(now);
        };
        if self.limit == 0 {
            return None;
        }
        for bucket in &self.buckets {
            match excess.checked_sub(bucket.count).filter(|left| *left > 0) {
                Some(left) => excess = left,
                None => return Some(bucket.last + WINDOW),
            }
        }
        None
    }

    fn expire(&mut self, now: Instant) {
        while let Some(oldest) = self.buckets.front() {
            if now.saturating_duration_since(oldest.last) < WINDOW {
                return;
            }
            self.counted -= oldest.count;
            self.buckets.pop_front();
        }
    }
}

/// The fastest of many calls in the last one or two minutes, less a tenth: there and back may each have been faster in
/// another. Few calls may all have been slow, and say nothing.
#[derive(Debug)]
pub struct Fastest {
    since: Instant,
    before: Calls,
    current: Calls,
}

#[derive(Debug, Clone, Copy)]
struct Calls {
    count: u32,
    fastest: Duration,
}

impl Fastest {
    const SPAN: Duration = Duration::from_secs(60);
    const ENOUGH: u32 = 200;
    const NONE: Calls = Calls { count: 0, fastest: Duration::MAX };

    pub fn new(now: Instant) -> Self {
        Self { since: now, before: Self::NONE, current: Self::NONE }
    }

    pub fn observe(&mut self, took: Duration, now: Instant) {
        if now.saturating_duration_since(self.since) >= Self::SPAN {
            self.before = std::mem::replace(&mut self.current, Self::NONE);
            self.since = now;
        }
        self.current.count = self.current.count.saturating_add(1);
        self.current.fastest = self.current.fastest.min(took);
    }

    /// Zero until enough calls were observed.
    pub fn get(&self) -> Duration {
        if self.current.count.saturating_add(self.before.count) < Self::ENOUGH {
            return Duration::ZERO;
        }
        let fastest = self.current.fastest.min(self.before.fastest);
        fastest - fastest / 10
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn room_comes_back_one_second_after_the_end_of_each_send() {
        let start = Instant::now();
        let mut window = SlidingWindow::new(2);
        for at in [0, 300] {
            assert!(window.has_room(start + ms(at)));
            window.begin();
        }
        assert!(!window.has_room(start + ms(300)));
        assert_eq!(window.free_at(start + ms(300)), None, "both are on their way");
        window.end(start + ms(400), start + ms(400));
        assert_eq!(window.free_at(start + ms(400)), Some(start + ms(1_400)));
        assert!(!window.has_room(start + ms(1_399)));
        assert!(window.has_room(start + ms(1_400)));
        window.undo();
        assert_eq!(window.remaining(start + ms(1_400)), 2);
    }

    #[test]
    fn what_does_not_ask_uses_room_up_and_is_never_refused() {
        let start = Instant::now();
        let mut window = SlidingWindow::new(3);
        window.record(start, 5, start);
        assert_eq!((window.used(start), window.remaining(start)), (5, 0));
        assert_eq!(window.free_at(start), Some(start + WINDOW));
        assert!(window.has_room(start + WINDOW));
    }

    #[test]
    fn a_limit_can_change_at_any_time() {
        let start = Instant::now();
        let mut window = SlidingWindow::new(10);
        window.record(start, 8, start);
        window.set_limit(4);
        assert!(!window.has_room(start));
        window.set_limit(0);
        assert_eq!(window.free_at(start), None);
        window.set_limit(9);
        assert!(window.has_room(start));
    }

    #[test]
    fn many_sends_take_little_memory() {
        let start = Instant::now();
        let mut window = SlidingWindow::new(100_000);
        for number in 0..50_000u64 {
            let now = start + Duration::from_micros(number * 20);
            assert!(window.has_room(now));
            window.begin();
            window.end(now, now);
        }
        assert_eq!(window.used(start + ms(999)), 50_000);
        assert!(window.buckets.len() <= 1_001, "{}", window.buckets.len());
    }

    #[test]
    fn the_fastest_call_counts_once_there_were_many_and_is_forgotten_after_a_while() {
        let start = Instant::now();
        let mut fastest = Fastest::new(start);
        fastest.observe(ms(50), start);
        for _ in 1..Fastest::ENOUGH {
            assert_eq!(fastest.get(), ms(0));
            fastest.observe(ms(90), start);
        }
        assert_eq!(fastest.get(), ms(45));
        for _ in 0..Fastest::ENOUGH {
            fastest.observe(ms(100), start + Fastest::SPAN);
        }
        assert_eq!(fastest.get(), ms(45));
        fastest.observe(ms(200), start + Fastest::SPAN * 2);
        assert_eq!(fastest.get(), ms(90));
    }

    proptest! {
        /// Whatever the way there and back takes, the other end never counts more than the limit in any one second.
        #[test]
        fn the_other_end_never_counts_more_than_the_limit(
            limit in 1u32..20,
            calls in prop::collection::vec((0u64..120, 0u64..200, 0u64..200), 1..300),
        ) {
            const LEAST: u64 = 7;
            let start = Instant::now();
            let mut window = SlidingWindow::new(limit);
            let mut now = 0u64;
            let mut ends: Vec<u64> = Vec::new();
            let mut arrivals: Vec<u64> = Vec::new();
            for (pause, there, back) in calls {
                now += pause;
                ends.sort_unstable();
                while ends.first().is_some_and(|end| *end <= now) {
                    let end = ends.remove(0);
                    window.end(start + ms(end - 2 * LEAST), start + ms(end));
                }
                if window.has_room(start + ms(now)) {
                    window.begin();
                    arrivals.push(now + LEAST + there);
                    ends.push(now + 2 * LEAST + there + back);
                }
            }
            for &from in &arrivals {
                let within = arrivals.iter().filter(|at| (from..from + 1_000).contains(at)).count();
                prop_assert!(within <= limit as usize, "{within} in the second from {from}");
            }
        }

        /// Who waits until `free_at` finds room, and nobody finds room before.
        #[test]
        fn free_at_is_exact(limit in 1u32..10, times in prop::collection::vec(0u64..50, 1..60)) {
            let start = Instant::now();
            let mut window = SlidingWindow::new(limit);
            let mut now = start;
            for pause in times {
                now += ms(pause);
                let free_at = window.free_at(now).unwrap();
                if free_at > now {
                    prop_assert!(!window.has_room(free_at - Duration::from_nanos(1)));
                    now = free_at;
                }
                prop_assert!(window.has_room(now));
                window.begin();
                window.end(now, now);
            }
        }
    }
}
