//! Keeps what the engine holds by name in step with the table: limits, breakers, and what waits for either.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::Engine;
use crate::{routing::Table, store::Queue};

/// A call that began under the table before may bring back what is gone; it goes again then.
const TIDY: Duration = Duration::from_secs(10);

/// Conversations that are hurried with one write.
const BITE: usize = 2_000;

/// What of which channel need not wait any longer.
pub(super) type Hurry = (Queue, Arc<str>);
pub(super) type Hurries = UnboundedSender<Hurry>;

impl Engine {
    /// What it waited for has come: all of the channel's work in this queue may go on.
    pub(super) fn hurry(&self, queue: Queue, channel: &Arc<str>) {
        // Nobody reads any more when the process ends.
        let _ = self.hurries.send((queue, channel.clone()));
    }

    async fn hurry_now(&self, queue: Queue, channel: &str) {
        loop {
            match self.store.hurry(queue, channel, BITE).await {
                Ok(hurried) => {
                    if hurried > 0 {
                        self.pool(queue).bell.notify_one();
                    }
                    if hurried < BITE {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(channel, %error, "what waits can't be hurried: it goes on when its time comes");
                    return;
                }
            }
        }
    }
}

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>, mut hurries: UnboundedReceiver<Hurry>) {
    let mut changed = engine.table.changed();
    let mut before = names(&engine.table.load());
    let mut held_before = held(&engine.table.load());
    loop {
        let is_swap = tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            swapped = changed.changed() => swapped.is_ok(),
            Some((queue, channel)) = hurries.recv() => {
                engine.hurry_now(queue, &channel).await;
                continue;
            }
            () = tokio::time::sleep(TIDY) => false,
        };
        let table = engine.table.load();
        let mended = engine.pace.follow(&table);
        engine.breakers.follow(&table);
        for channel in &mended {
            let channel = &**channel;
            tracing::info!(channel, "the stopped channel has another credential: the next send finds out");
            engine.hurry_now(Queue::Outbox, channel).await;
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
                engine.hurry_now(Queue::Inbox, channel).await;
                engine.hurry_now(Queue::Outbox, channel).await;
            }
            before = now;
            let held_now = held(&table);
            let freed: BTreeSet<_> =
                held_before.difference(&held_now).map(|(channel, _)| channel.clone()).collect();
            for channel in &freed {
                engine.hurry_now(Queue::Inbox, channel).await;
            }
            held_before = held_now;
            engine.inbox.bell.notify_one();
            engine.outbox.bell.notify_one();
        }
    }
}

/// Rules whose messages wait, by channel.
fn held(table: &Table) -> BTreeSet<(Arc<str>, Arc<str>)> {
    table.held().map(|(channel, rule)| (channel.clone(), rule.label.clone())).collect()
}

fn names(table: &Table) -> BTreeSet<Arc<str>> {
    table.channels().map(|channel| channel.name.clone()).collect()
}
