//! Whether a channel's webhooks are refused because of their signature, as after a change of the app's secret. Anybody
//! may post a webhook with a wrong signature, so a few of them, or those beside others that are taken, say nothing.

use std::time::Duration;

use crate::{clock::micros, store::Micros};

/// Fewer may be somebody who tries.
const FEWEST: u32 = 3;
/// Meta repeats what was refused for days. Without another one for so long it was somebody else's doing.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// Those since the last webhook that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusals {
    first: Micros,
    last: Micros,
    count: u32,
}

impl Refusals {
    /// `stored`: when the last webhook of the channel was.
    pub(super) fn with_one_more(before: Option<Self>, stored: Option<Micros>, now: Micros) -> Self {
        match before.filter(|before| before.is_standing(stored, now)) {
            Some(before) => Self { last: now, count: before.count.saturating_add(1), ..before },
            None => Self { first: now, last: now, count: 1 },
        }
    }

    /// Since when they are refused, if it is for so long that somebody should look.
    pub(super) fn tell(self, stored: Option<Micros>, now: Micros, after: Duration) -> Option<Micros> {
        let lasts = self.last.saturating_sub(self.first) >= micros(after);
        (lasts && self.count >= FEWEST && self.is_standing(stored, now)).then_some(self.first)
    }

    /// Nothing was stored since, and it is not long ago.
    fn is_standing(self, stored: Option<Micros>, now: Micros) -> bool {
        stored.is_none_or(|stored| stored < self.first)
            && now.saturating_sub(self.last) <= micros(FORGOTTEN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Micros = 60_000_000;
    const AFTER: Duration = Duration::from_secs(5 * 60);

    /// What is told in the end of webhooks that were refused or stored in these minutes.
    fn told(events: &[(bool, i64)], now: i64) -> Option<i64> {
        let (mut refusals, mut stored) = (None, None);
        for (is_stored, at) in events {
            if *is_stored {
                stored = Some(at * MINUTE);
            } else {
                refusals = Some(Refusals::with_one_more(refusals, stored, at * MINUTE));
            }
        }
        refusals.and_then(|it| it.tell(stored, now * MINUTE, AFTER)).map(|since| since / MINUTE)
    }

    #[test]
    fn it_is_told_when_nothing_else_came_in_for_long_enough() {
        let (refused, stored) = (|at| (false, at), |at| (true, at));
        for (events, now, expected) in [
            (&[][..], 100, None),
            // Nothing was ever stored, as with a channel that is new.
            (&[refused(10), refused(12), refused(15)], 15, Some(10)),
            (&[stored(1), refused(10), refused(12), refused(15)], 15, Some(10)),
            // All at once, or too few.
            (&[refused(10), refused(11), refused(14)], 60, None),
            (&[refused(10), refused(60)], 60, None),
            // Real ones come in between: it begins anew.
            (&[refused(10), refused(12), stored(13), refused(15)], 15, None),
            (&[refused(10), refused(12), refused(15), stored(16)], 16, None),
            (&[refused(10), refused(12), stored(12), refused(13), refused(15), refused(19)], 19, Some(13)),
            // Nobody repeats it.
            (&[refused(10), refused(12), refused(15)], 15 + 24 * 60, Some(10)),
            (&[refused(10), refused(12), refused(15)], 16 + 24 * 60, None),
            (&[refused(10), refused(12), refused(3_000)], 3_000, None),
        ] {
            assert_eq!(told(events, now), expected, "{events:?} at {now}");
        }
    }

    proptest! {
        /// Whatever somebody posts: while a webhook is stored at least every five minutes, nothing is told.
        #[test]
        fn nobody_can_set_it_while_real_ones_come_in(at in proptest::collection::vec(0..200_i64, 0..60)) {
            let mut events: Vec<_> = at.into_iter().map(|at| (false, at)).collect();
            events.extend((0..=40).map(|five| (true, five * 5)));
            events.sort_by_key(|(is_stored, at)| (*at, !is_stored));
            for end in 1..=events.len() {
                prop_assert_eq!(told(&events[..end], events[end - 1].1), None);
            }
        }
    }
}
