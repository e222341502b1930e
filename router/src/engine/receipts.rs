//! When each channel last received a message. Days of silence are more often a webhook that does not reach us than
//! people who have nothing to say.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use super::{Engine, StoppedView};
use crate::{
    clock::micros,
    routing::Table,
    store::{Cursor, Delivery, Direction, MessageFilter, Micros, PageRequest, Store, StoreError},
};

/// Between two looks at what is known here.
const INTERVAL: Duration = Duration::from_secs(5);
/// Between two looks at the store, for what other routers on it have received.
const STORE_INTERVAL: Duration = Duration::from_secs(60);
/// A look back ends after so many pages; each is bounded by the store.
const MOST_PAGES: usize = 20;

/// What is known of the channels' last messages.
#[derive(Debug, Default)]
pub(super) struct Receipts(RwLock<HashMap<Arc<str>, Micros>>);

/// Whether messages come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiving {
    /// The last one came not long ago.
    Yes,
    /// The last one came so long ago that somebody should look.
    Silent { since: Micros },
    /// There was none, as far as the store was looked through.
    NothingYet,
}

/// Whether a channel works, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelHealth {
    pub channel: Arc<str>,
    /// Meta refuses everything that it sends.
    pub stopped: Option<StoppedView>,
    pub receiving: Receiving,
}

impl Receipts {
    /// What has come in was stored.
    pub(super) fn stored(&self, channels: &BTreeSet<Arc<str>>, at: Micros) {
        for channel in channels {
            self.note(channel, at);
        }
    }

    fn note(&self, channel: &Arc<str>, at: Micros) {
        let mut last = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let known = last.entry(channel.clone()).or_insert(at);
        *known = at.max(*known);
    }

    fn last(&self, channel: &str) -> Option<Micros> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(channel).copied()
    }

    /// Channels that are gone are forgotten.
    fn keep(&self, table: &Table) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        self.0.write().unwrap_or_else(PoisonError::into_inner).retain(|channel, _| {
            let stays = table.channel(channel).is_some();
            if !stays {
                gone.push(channel.clone());
            }
            stays
        });
        gone
    }
}

/// Whose messages, and those written on the phone, a webhook brings.
pub(super) fn channels_of(delivery: &Delivery) -> BTreeSet<Arc<str>> {
    let messages = delivery.messages.iter().map(|message| &message.channel);
    let echoes = delivery.echoes.iter().map(|echo| &echo.channel);
    messages.chain(echoes).cloned().collect()
}

fn judge(last: Option<Micros>, now: Micros, silent_after: Option<Duration>) -> Receiving {
    match (last, silent_after) {
        (Some(at), Some(after)) if now.saturating_sub(at) > micros(after) => Receiving::Silent { since: at },
        (Some(_), _) => Receiving::Yes,
        (None, _) => Receiving::NothingYet,
    }
}

impl Engine {
    /// Whether each channel works, in the order of their names.
    pub fn channels_health(&self) -> Vec<ChannelHealth> {
        let (now, silent_after) = (self.clock.now(), self.settings.silent_after);
        let limits = self.limits_view().into_iter();
        limits
            .map(|limits| ChannelHealth {
                receiving: judge(self.receipts.last(&limits.channel), now, silent_after),
                channel: limits.channel,
                stopped: limits.stopped,
            })
            .collect()
    }

    /// Of a channel in use.
    pub fn channel_health(&self, channel: &str) -> Option<ChannelHealth> {
        self.channels_health().into_iter().find(|health| &*health.channel == channel)
    }

    /// What others have received since, or, in the first look, what was received before this start.
    async fn look_back(&self, channel: &Arc<str>, since: Option<Micros>) -> Result<(), StoreError> {
        let at = last_in_store(&*self.store, channel, since).await?;
        if let Some(at) = at {
            self.receipts.note(channel, at);
        }
        Ok(())
    }

    fn show_receipts(&self, table: &Table) {
        let gauge = &self.metrics.flow.last_message;
        for gone in self.receipts.keep(table) {
            // What was never shown is not there.
            let _ = gauge.remove_label_values(&[&*gone]);
        }
        for channel in table.channels() {
            if let Some(at) = self.receipts.last(&channel.name) {
                gauge.with_label_values(&[&*channel.name]).set(at as f64 / 1e6);
            }
        }
    }
}

async fn last_in_store(
    store: &dyn Store,
    channel: &Arc<str>,
    since: Option<Micros>,
) -> Result<Option<Micros>, StoreError> {
    let filter = MessageFilter {
        channel: Some(channel.to_string()),
        direction: Some(Direction::In),
        since,
        ..MessageFilter::default()
    };
    let mut before: Option<Cursor> = None;
    for _ in 0..MOST_PAGES {
        let page = store.messages(filter.clone(), PageRequest { before, limit: 1 }).await?;
        if let Some(message) = page.items.first() {
            return Ok(Some(message.created_at));
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    Ok(None)
}

/// What only this router writes need not be read twice.
fn is_due(looked_at: Option<Micros>, now: Micros, is_shared: bool) -> bool {
    looked_at.is_none_or(|at| is_shared && now.saturating_sub(at) >= micros(STORE_INTERVAL))
}

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut looked: HashMap<Arc<str>, Micros> = HashMap::new();
    let mut changed = engine.table.changed();
    loop {
        let table = engine.table.load();
        looked.retain(|channel, _| table.channel(channel).is_some());
        let now = engine.clock.now();
        for channel in table.channels().map(|channel| &channel.name) {
            let since = looked.get(channel).copied();
            if !is_due(since, now, engine.store.lease_time().is_some()) {
                continue;
            }
            match engine.look_back(channel, since).await {
                Ok(()) => {
                    looked.insert(channel.clone(), now);
                }
                Err(error) => {
                    tracing::debug!(channel = &**channel, %error, "the channel's last message can't be looked for now");
                }
            }
        }
        engine.show_receipts(&table);
        tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            swapped = changed.changed() => if swapped.is_err() { return },
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = 3_600_000_000;

    #[test]
    fn silence_is_what_lasts_longer_than_it_may() {
        let after = Some(Duration::from_secs(2 * 3_600));
        for (last, silent_after, expected) in [
            (None, after, Receiving::NothingYet),
            (Some(10 * HOUR), after, Receiving::Yes),
            (Some(8 * HOUR), after, Receiving::Yes),
            (Some(8 * HOUR - 1), after, Receiving::Silent { since: 8 * HOUR - 1 }),
            (Some(0), None, Receiving::Yes),
            (Some(11 * HOUR), after, Receiving::Yes),
        ] {
            assert_eq!(judge(last, 10 * HOUR, silent_after), expected, "{last:?}");
        }
    }

    #[test]
    fn the_store_is_asked_once_and_now_and_then_where_others_write_too() {
        for (looked_at, is_shared, due) in [
            (None, false, true),
            (None, true, true),
            (Some(HOUR), false, false),
            (Some(HOUR), true, true),
            (Some(2 * HOUR - 1), true, false),
        ] {
            assert_eq!(is_due(looked_at, 2 * HOUR, is_shared), due, "{looked_at:?}");
        }
    }

    #[test]
    fn the_newest_counts_in_whatever_order_it_becomes_known() {
        let receipts = Receipts::default();
        let channel: Arc<str> = "a".into();
        assert_eq!(receipts.last("a"), None);
        receipts.note(&channel, 5);
        receipts.stored(&BTreeSet::from([channel]), 3);
        assert_eq!(receipts.last("a"), Some(5));
    }
}
