//! Keeps what the engine holds by name in step with the table: limits, breakers, and what waits for either.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::Engine;
use crate::routing::Table;

/// A call that began under the table before may bring back what is gone; it goes again then.
const TIDY: Duration = Duration::from_secs(10);

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut changed = engine.table.changed();
    let mut before = names(&engine.table.load());
    loop {
        let is_swap = tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            swapped = changed.changed() => swapped.is_ok(),
            () = tokio::time::sleep(TIDY) => false,
        };
        let table = engine.table.load();
        let mended = engine.pace.follow(&table);
        engine.breakers.follow(&table);
        if mended {
            tracing::info!(
                "a stopped channel has another credential: the next send finds out whether it works"
            );
        }
        if is_swap {
            let now = names(&table);
            for channel in before.difference(&now) {
                tracing::warn!(
                    channel = &**channel,
                    "channel removed: what it has left to do waits until it is back"
                );
            }
            for channel in now.difference(&before) {
                tracing::info!(channel = &**channel, "channel added");
            }
            before = now;
        }
        if is_swap || mended {
            engine.inbox.bell.notify_one();
            engine.outbox.bell.notify_one();
        }
    }
}

fn names(table: &Table) -> BTreeSet<Arc<str>> {
    table.channels().map(|channel| channel.name.clone()).collect()
}
