//! When each channel last received a message, or anything else. Days of silence are more often a webhook that does not
//! reach us than people who have nothing to say; on a channel that only sends, the statuses tell that webhooks arrive.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use super::{Engine, StoppedView, refusals::Refusals};
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

/// What is known of the channels' last messages and webhooks.
#[derive(Debug, Default)]
pub(super) struct Receipts(RwLock<HashMap<Arc<str>, Last>>);

#[derive(Debug, Default, Clone, Copy)]
struct Last {
    message: Option<Micros>,
    /// Of whatever kind.
    webhook: Option<Micros>,
    refusals: Option<Refusals>,
}

impl Last {
    fn stored(&self) -> Option<Micros> {
        self.message.max(self.webhook)
    }
}

/// Whose messages, those written on the phone among them, and whose other news a webhook brings.
#[derive(Debug)]
pub(super) struct Brought {
    /// Each with whether a message is among it.
    channels: Vec<(Arc<str>, bool)>,
}

/// Whether webhooks come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiving {
    /// The last one came not long ago.
    Yes,
    /// The last one came so long ago that somebody should look.
    Silent { since: Micros },
    /// They come, and each is refused because of its signature.
    Refused { since: Micros },
    /// There was none since the process began, and no message before, as far as the store was looked through.
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
    pub(super) fn stored(&self, brought: &Brought, at: Micros) {
        for (channel, with_message) in &brought.channels {
            self.note(channel, |last| {
                last.webhook = last.webhook.max(Some(at));
                if *with_message {
                    last.message = last.message.max(Some(at));
                }
            });
        }
    }

    /// What has come in was refused because of its signature.
    pub(super) fn refused(&self, channels: &[Arc<str>], at: Micros) {
        for channel in channels {
            self.note(channel, |last| {
                last.refusals = Some(Refusals::with_one_more(last.refusals, last.stored(), at));
            });
        }
    }

    fn note_message(&self, channel: &Arc<str>, at: Micros) {
        self.note(channel, |last| last.message = last.message.max(Some(at)));
    }

    fn note(&self, channel: &Arc<str>, change: impl FnOnce(&mut Last)) {
        change(self.0.write().unwrap_or_else(PoisonError::into_inner).entry(channel.clone()).or_default());
    }

    fn last(&self, channel: &str) -> Last {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(channel).copied().unwrap_or_default()
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

impl Brought {
    pub(super) fn by(delivery: &mut Delivery) -> Self {
        let channels = std::mem::take(&mut delivery.channels);
        let with_message = |channel: &Arc<str>| {
            delivery.messages.iter().any(|message| message.channel == *channel)
                || delivery.echoes.iter().any(|echo| echo.channel == *channel)
        };
        let channels = channels.into_iter().map(|channel| {
            let has_message = with_message(&channel);
            (channel, has_message)
        });
        Self { channels: channels.collect() }
    }
}

fn judge(last: Last, now: Micros, silent_after: Option<Duration>, refused_after: Duration) -> Receiving {
    if let Some(since) = last.refusals.and_then(|it| it.tell(last.stored(), now, refused_after)) {
        return Receiving::Refused { since };
    }
    match (last.stored(), silent_after) {
        (Some(at), Some(after)) if now.saturating_sub(at) > micros(after) => Receiving::Silent { since: at },
        (Some(_), _) => Receiving::Yes,
        (None, _) => Receiving::NothingYet,
    }
}

impl Engine {
    /// Whether each channel works, in the order of their names.
    pub fn channels_health(&self) -> Vec<ChannelHealth> {
        let (now, after) = (self.clock.now(), (self.settings.silent_after, self.settings.refused_after));
        let limits = self.limits_view().into_iter();
        limits
            .map(|limits| ChannelHealth {
                receiving: judge(self.receipts.last(&limits.channel), now, after.0, after.1),
                channel: limits.channel,
                stopped: limits.stopped,
            })
            .collect()
    }

    /// Of a channel in use.
    pub fn channel_health(&self, channel: &str) -> Option<ChannelHealth> {
        self.channels_health().into_iter().find(|health| &*health.channel == channel)
    }

    /// What was received before this start, or, of a channel with news, since the last count.
    async fn look_back(&self, channel: &Arc<str>, since: Option<Micros>) -> Result<(), StoreError> {
        let found = last_in_store(&*self.store, channel, since).await?;
        // One that was counted and is not found was received, perhaps by another clock, about then.
        if let Some(at) = found.or(since) {
            self.receipts.note_message(channel, at);
        }
        Ok(())
    }

    /// Counts again when it is time, and tells which channels others have received something of, and since when.
    async fn news(&self, counted: &mut Option<Counted>, now: Micros) -> Vec<(Arc<str>, Micros)> {
        let is_shared = self.store.lease_time().is_some();
        if !is_due(counted.as_ref().map(|it| it.at), now, is_shared) {
            return Vec::new();
        }
        let ledger = match self.store.ledger().await {
            Ok(ledger) => ledger,
            Err(error) => {
                tracing::debug!(%error, "what the channels have received can't be counted now");
                return Vec::new();
            }
        };
        let accepted = ledger.into_iter().map(|account| (account.channel, account.accepted)).collect();
        let before = counted.replace(Counted { at: now, accepted });
        let (Some(before), Some(after)) = (before, counted.as_ref()) else { return Vec::new() };
        risen(&before, after).into_iter().map(|channel| (channel, before.at)).collect()
    }

    fn show_receipts(&self, table: &Table) {
        let gauge = &self.metrics.flow.last_message;
        for gone in self.receipts.keep(table) {
            // What was never shown is not there.
            let _ = gauge.remove_label_values(&[&*gone]);
            self.metrics.signatures.forget(&gone);
            let _ = self.metrics.unrouted.remove_label_values(&[&*gone]);
        }
        for channel in table.channels() {
            // Whatever is shown is known, so that it is forgotten with its channel.
            self.receipts.note(&channel.name, |_| ());
            self.metrics.signatures.show(&channel.name);
            // From zero on, as well.
            self.metrics.unrouted.with_label_values(&[&*channel.name]);
            if let Some(at) = self.receipts.last(&channel.name).message {
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

/// How many messages each channel had accepted. Asking this costs little; looking for a message that is not there means
/// to read what all other channels have received.
#[derive(Debug)]
struct Counted {
    at: Micros,
    accepted: HashMap<Arc<str>, i64>,
}

/// What only this router writes need not be counted.
fn is_due(counted_at: Option<Micros>, now: Micros, is_shared: bool) -> bool {
    is_shared && counted_at.is_none_or(|at| now.saturating_sub(at) >= micros(STORE_INTERVAL))
}

/// Channels that have accepted something between the two.
fn risen(before: &Counted, after: &Counted) -> BTreeSet<Arc<str>> {
    let had = |channel: &Arc<str>| before.accepted.get(channel).copied().unwrap_or_default();
    let more = after.accepted.iter().filter(|(channel, accepted)| **accepted > had(channel));
    more.map(|(channel, _)| channel.clone()).collect()
}

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>) {
    let (mut looked, mut counted) = (HashSet::<Arc<str>>::new(), None);
    let mut changed = engine.table.changed();
    loop {
        let table = engine.table.load();
        looked.retain(|channel| table.channel(channel).is_some());
        // Before anybody looks back, so that nothing is missed between the two.
        let news = engine.news(&mut counted, engine.clock.now()).await;
        let known = news.into_iter().filter(|(channel, _)| looked.contains(channel));
        let mut due: Vec<(Arc<str>, Option<Micros>)> =
            known.map(|(channel, since)| (channel, Some(since))).collect();
        let unknown = table.channels().map(|channel| &channel.name).filter(|name| !looked.contains(*name));
        due.extend(unknown.map(|channel| (channel.clone(), None)));
        for (channel, since) in due {
            match engine.look_back(&channel, since).await {
                Ok(()) => {
                    looked.insert(channel);
                }
                Err(error) => {
                    tracing::debug!(channel = &*channel, %error, "the channel's last message can't be looked for now");
                    looked.remove(&channel);
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
        for (message, webhook, silent_after, expected) in [
            (None, None, after, Receiving::NothingYet),
            (Some(10 * HOUR), None, after, Receiving::Yes),
            (Some(8 * HOUR), None, after, Receiving::Yes),
            (Some(8 * HOUR - 1), None, after, Receiving::Silent { since: 8 * HOUR - 1 }),
            (Some(0), None, None, Receiving::Yes),
            (Some(11 * HOUR), None, after, Receiving::Yes),
            // One that only sends.
            (None, Some(9 * HOUR), after, Receiving::Yes),
            (None, Some(HOUR), after, Receiving::Silent { since: HOUR }),
            (Some(HOUR), Some(9 * HOUR), after, Receiving::Yes),
        ] {
            let last = Last { message, webhook, refusals: None };
            let refused_after = Duration::from_secs(300);
            assert_eq!(judge(last, 10 * HOUR, silent_after, refused_after), expected, "{last:?}");
        }
    }

    #[test]
    fn the_store_is_counted_now_and_then_where_others_write_too() {
        for (counted_at, is_shared, due) in [
            (None, false, false),
            (None, true, true),
            (Some(HOUR), false, false),
            (Some(HOUR), true, true),
            (Some(2 * HOUR - 1), true, false),
        ] {
            assert_eq!(is_due(counted_at, 2 * HOUR, is_shared), due, "{counted_at:?}");
        }
    }

    #[test]
    fn only_channels_that_others_received_something_of_are_looked_at_again() {
        let counted = |accepted: &[(&str, i64)]| Counted {
            at: 0,
            accepted: accepted.iter().map(|(channel, accepted)| (Arc::from(*channel), *accepted)).collect(),
        };
        let before = counted(&[("busy", 5), ("gone", 7), ("quiet", 9)]);
        let after = counted(&[("busy", 6), ("new", 1), ("quiet", 9), ("unused", 0)]);
        assert_eq!(risen(&before, &after), BTreeSet::from([Arc::from("busy"), Arc::from("new")]));
    }

    #[test]
    fn the_newest_counts_in_whatever_order_it_becomes_known() {
        let receipts = Receipts::default();
        let channel: Arc<str> = "a".into();
        assert_eq!(receipts.last("a").message, None);
        receipts.note_message(&channel, 5);
        receipts.stored(&Brought { channels: vec![(channel.clone(), true)] }, 3);
        receipts.stored(&Brought { channels: vec![(channel, false)] }, 7);
        let last = receipts.last("a");
        assert_eq!((last.message, last.webhook), (Some(5), Some(7)));
    }

    #[test]
    fn refused_webhooks_say_more_than_silence_until_one_is_stored() {
        const MINUTE: Micros = 60_000_000;
        let (receipts, channel): (_, Arc<str>) = (Receipts::default(), "a".into());
        let judged =
            |now| judge(receipts.last("a"), now, Some(Duration::from_secs(3_600)), Duration::from_secs(300));
        receipts.note_message(&channel, MINUTE);
        for at in [100, 103, 106] {
            receipts.refused(std::slice::from_ref(&channel), at * MINUTE);
        }
        assert_eq!(judged(107 * MINUTE), Receiving::Refused { since: 100 * MINUTE });
        let brought = Brought { channels: vec![(channel.clone(), false)] };
        receipts.stored(&brought, 108 * MINUTE);
        assert_eq!(judged(109 * MINUTE), Receiving::Yes);
        receipts.refused(&[channel], 109 * MINUTE);
        assert_eq!(judged(109 * MINUTE), Receiving::Yes, "it begins anew");
    }
}
