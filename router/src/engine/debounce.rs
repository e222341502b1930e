//! Several short messages become one call of the backend: when to wait for more, and which belong together.

use std::sync::Arc;

use whatsapp::message::InboundMessage;

use super::{Engine, dispatch::not_to_be_answered, lane::Lane};
use crate::{
    clock::micros,
    routing::{Debounce, Rule, Table, matching::Facts},
    store::{Item, Micros, StoreError},
};

/// Messages in one call, at most.
const MOST: usize = 50;

/// Messages that go to the backend together, oldest first.
pub(super) type Burst = Vec<(Item, InboundMessage)>;

/// When a burst that began and ended so is complete: after a quiet time, or when the first has waited long enough.
fn complete_at(oldest: Micros, newest: Micros, debounce: Debounce) -> Micros {
    newest.saturating_add(micros(debounce.quiet)).min(oldest.saturating_add(micros(debounce.max)))
}

/// How long to wait for more; `None` when it is time.
fn wait(oldest: Micros, newest: Micros, count: usize, now: Micros, debounce: Debounce) -> Option<Micros> {
    let left = complete_at(oldest, newest, debounce).saturating_sub(now);
    // A clock that was set back must not keep anybody waiting for longer than this.
    (count < MOST && left > 0).then(|| left.min(micros(debounce.max)))
}

/// Those that the rule takes, up to the first that another one takes: what comes behind it must not be answered before
/// it. True when there is such a one, so that the burst is complete.
fn burst_of(pending: Vec<Item>, table: &Table, channel: &str, rule: &Arc<Rule>) -> (Burst, bool) {
    let mut burst = Burst::new();
    for item in pending {
        // What can't be read, is taken by nobody or is not to be answered keeps its place and ends as it would have.
        let Ok(message) = InboundMessage::from_json(&item.payload) else { continue };
        let Some(taken_by) = table.select(channel, &Facts::of(&message)) else { continue };
        if !taken_by.is_held && not_to_be_answered(&message, taken_by, &item).is_some() {
            continue;
        }
        if taken_by.label != rule.label {
            return (burst, true);
        }
        burst.push((item, message));
    }
    (burst, false)
}

impl Engine {
    /// What of the lane is to be asked together with its head; `Err` is how long to wait for more of it, in
    /// microseconds.
    pub(super) async fn burst(
        &self,
        lane: &Lane,
        table: &Table,
        rule: &Arc<Rule>,
        debounce: Debounce,
    ) -> Result<Result<Burst, Micros>, StoreError> {
        let pending = self.store.pending(lane.lease, MOST).await?;
        let (burst, is_cut) = burst_of(pending, table, &lane.channel, rule);
        if is_cut {
            return Ok(Ok(burst));
        }
        let (Some((oldest, _)), Some((newest, _))) = (burst.first(), burst.last()) else {
            return Ok(Ok(burst));
        };
        let now = self.clock.now();
        Ok(match wait(oldest.created_at, newest.created_at, burst.len(), now, debounce) {
            Some(wait) => Err(wait),
            None => Ok(burst),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waits_for_quiet_but_not_for_ever() {
        let debounce = Debounce { quiet: Duration::from_secs(2), max: Duration::from_secs(10) };
        let second = 1_000_000;
        for (oldest, newest, count, now, expected) in [
            (0, 0, 1, 0, Some(2)),
            (0, 0, 1, 1, Some(1)),
            (0, 0, 1, 2, None),
            (0, 5, 4, 6, Some(1)),
            (0, 9, 8, 9, Some(1)),
            (0, 9, 8, 10, None),
            (0, 0, MOST, 0, None),
            (100, 100, 1, 0, Some(10)),
        ] {
            assert_eq!(
                wait(oldest * second, newest * second, count, now * second, debounce),
                expected.map(|seconds: i64| seconds * second),
                "{oldest} {newest} {now}"
            );
        }
    }
}
