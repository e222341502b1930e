//! Deletes what is older than it is kept for, in small bites, so that nobody waits for it.

use std::{sync::Arc, time::Duration};

use super::{Engine, streak::Streak};
use crate::{
    clock::micros,
    store::{Cutoffs, Micros, Swept},
};

/// Rows of each kind with one call.
const BITE: usize = 500;
/// Between two bites of a meal.
const PAUSE: Duration = Duration::from_millis(100);
/// A call may have looked at keys that are all too young and have to come back for the others.
const INTERVAL: Duration = Duration::from_secs(1);

/// Meta repeats for up to seven days (webhooks overview), and a clock may be wrong.
const SEEN: Duration = Duration::from_secs(8 * 86_400);

/// How long what is finished is kept; `None` for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub messages: Option<Duration>,
    pub webhooks: Option<Duration>,
    pub events: Option<Duration>,
    pub dead_letters: Option<Duration>,
}

fn cutoffs(retention: Retention, now: Micros) -> Cutoffs {
    let before = |kept: Duration| now.saturating_sub(micros(kept));
    Cutoffs {
        webhooks: retention.webhooks.map(before),
        messages: retention.messages.map(before),
        events: retention.events.map(before),
        seen: Some(before(SEEN)),
        orphan_statuses: Some(before(SEEN)),
        idempotency_keys: Some(before(SEEN)),
        dead_letters: retention.dead_letters.map(before),
    }
}

fn by_kind(swept: Swept) -> [(&'static str, usize); 7] {
    [
        ("webhooks", swept.webhooks),
        ("messages", swept.messages),
        ("events", swept.events),
        ("seen", swept.seen),
        ("orphan_statuses", swept.orphan_statuses),
        ("idempotency_keys", swept.idempotency_keys),
        ("dead_letters", swept.dead_letters),
    ]
}

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut pause = INTERVAL;
    let mut failures = Streak::default();
    loop {
        tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = INTERVAL;
        match engine.store.sweep(cutoffs(engine.settings.retention, engine.clock.now()), BITE).await {
            Ok(swept) => {
                failures.ended();
                for (kind, rows) in by_kind(swept) {
                    if rows > 0 {
                        engine.metrics.flow.swept.with_label_values(&[kind]).inc_by(rows as u64);
                    }
                    if rows >= BITE {
                        pause = PAUSE;
                    }
                }
                if swept.total() > 0 {
                    tracing::debug!(rows = swept.total(), "deleted what is older than it is kept for");
                }
            }
            Err(error) if failures.begins() => {
                tracing::warn!(%error, "what is old can't be deleted now; trying again until it can");
            }
            Err(error) => tracing::debug!(%error, "what is old still can't be deleted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_ever_has_no_cutoff_and_keys_outlive_metas_repeats() {
        let day = Duration::from_secs(86_400);
        let retention =
            Retention { messages: Some(90 * day), webhooks: None, events: Some(day), dead_letters: None };
        let now = micros(100 * day);
        let cutoffs = cutoffs(retention, now);
        assert_eq!((cutoffs.messages, cutoffs.events), (Some(micros(10 * day)), Some(micros(99 * day))));
        assert_eq!((cutoffs.webhooks, cutoffs.dead_letters), (None, None));
        assert_eq!(cutoffs.seen, Some(micros(92 * day)));
    }
}
