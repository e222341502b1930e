//! What pairs of numbers have borrowed, for as long as it matters: the store keeps only what is worth a write.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{pacing::Pair, store::Micros};

/// Below this many nobody looks for those that have paid back.
const LEAST_CLEANED: usize = 4_096;
/// An allowance that is whole again so soon is not worth remembering.
const SOON: Micros = 50_000;

/// By conversation: when its allowance is whole again.
#[derive(Debug, Default)]
pub(in crate::engine) struct Pairs(Mutex<Debts>);

#[derive(Debug, Default)]
struct Debts {
    free_at: HashMap<i64, Micros>,
    clean_at: usize,
}

impl Pairs {
    /// The state of a pair, of which `stored` was read with its work.
    pub(super) fn free_at(&self, conversation: i64, stored: Micros) -> Micros {
        let debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        debts.free_at.get(&conversation).map_or(stored, |known| stored.max(*known))
    }

    /// A message went out at `now`, from the state `before`.
    pub(super) fn sent(&self, pair: Pair, conversation: i64, before: Micros, now: Micros) {
        let after = pair.after_send(before, now);
        if after - now < SOON {
            return;
        }
        let mut debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if debts.free_at.len() >= debts.clean_at.max(LEAST_CLEANED) {
            debts.free_at.retain(|_, free_at| *free_at > now);
            debts.clean_at = debts.free_at.len() * 2;
        }
        debts.free_at.insert(conversation, after);
    }

    /// What another router would have to know of it.
    pub(super) fn worth_keeping(&self, pair: Pair, conversation: i64, now: Micros) -> Option<Micros> {
        let debts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        debts.free_at.get(&conversation).copied().filter(|free_at| pair.is_worth_keeping(*free_at, now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PAIR: Pair = Pair { interval: Duration::from_secs(6), burst: 45 };
    const SECOND: Micros = 1_000_000;

    #[test]
    fn the_later_of_both_memories_counts_and_only_a_debt_is_written() {
        let pairs = Pairs::default();
        assert_eq!(pairs.free_at(1, 5), 5);
        pairs.sent(PAIR, 1, 5, SECOND);
        assert_eq!(pairs.free_at(1, 5), 7 * SECOND);
        assert_eq!(pairs.worth_keeping(PAIR, 1, SECOND), None, "one message in its interval");
        pairs.sent(PAIR, 1, 7 * SECOND, 2 * SECOND);
        assert_eq!(pairs.worth_keeping(PAIR, 1, 2 * SECOND), Some(13 * SECOND));
        assert_eq!(pairs.free_at(1, 20 * SECOND), 20 * SECOND);
        assert_eq!(pairs.free_at(2, 0), 0);
    }

    #[test]
    fn those_who_have_paid_back_are_forgotten() {
        let pairs = Pairs::default();
        for conversation in 0..10_000 {
            pairs.sent(PAIR, conversation, 0, conversation * SECOND);
        }
        assert!(pairs.0.lock().unwrap().free_at.len() < 2 * LEAST_CLEANED);
        assert_eq!(pairs.free_at(9_999, 0), 10_005 * SECOND);
    }
}
