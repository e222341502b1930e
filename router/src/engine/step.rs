//! What one attempt at an item came to.

use std::time::Duration;

use rand::RngExt;

use crate::{
    retry::{Failed, RetryPolicy, Verdict, judge},
    store::{Attempt, Item, MessageId, Micros, Outcome, Refusal},
};

#[derive(Debug)]
pub(super) enum Step {
    /// The item has ended.
    Done(Outcome),
    /// The same, with others behind it (by `seq` and id) that were part of one call.
    Together { outcome: Outcome, joined: Vec<(i64, MessageId)> },
    /// Somebody else has the lane: nothing may be done or said any more.
    Abandon,
    /// It keeps its place and is looked at again after `wait`.
    Defer { refusal: Refusal, wait: Duration },
    /// It was not touched, and keeps its place for whoever takes the lane next; `because`: why it has to wait for that.
    Release { because: Option<Refusal> },
}

/// Applies the policy to a failed attempt: another one later, or none.
pub(super) fn failed(
    item: &Item,
    now: Micros,
    policy: &RetryPolicy,
    mut refusal: Refusal,
    wait_at_least: Option<Duration>,
) -> Step {
    let failed = Failed {
        counted: item.counted + u32::from(refusal.attempt == Attempt::Counted),
        streak: item.attempts + 1,
        age: age(item, now),
        wait_at_least,
    };
    match judge(policy, failed, rand::rng().random()) {
        Verdict::RetryIn(wait) => Step::Defer { refusal, wait },
        Verdict::GiveUp(why) => {
            if refusal.uncertain {
                refusal.reason = "send_uncertain";
            }
            refusal.error =
                format!("{} ({} after {} attempts)", refusal.error, why.as_str(), item.attempts + 1);
            Step::Done(Outcome::Dead(refusal))
        }
    }
}

pub(super) fn age(item: &Item, now: Micros) -> Duration {
    Duration::from_micros(u64::try_from(now - item.created_at).unwrap_or_default())
}
