//! Says why a message waits: once for each reason, however often it is looked at meanwhile.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Engine, lane::Lane};
use crate::{
    clock::millis,
    store::{Item, MessageId, Queue, Refusal},
};

/// Messages that are remembered as told. With more than these all are forgotten, and what still waits is told again.
const TOLD: usize = 65_536;

/// The usual course, which many messages take and which ends by itself: Meta's pace, and waiting for more of a burst.
const USUAL: [&str; 3] = ["channel_busy", "debounce", "pair_waits"];

/// A hash of what was told last of each message, in this process.
#[derive(Debug, Default)]
pub(super) struct ToldWaits(Mutex<HashMap<MessageId, u64>>);

impl ToldWaits {
    fn is_news(&self, id: MessageId, reason: &str, error: &str) -> bool {
        let mut hash = DefaultHasher::new();
        (reason, error).hash(&mut hash);
        let hash = hash.finish();
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD && !told.contains_key(&id) {
            told.clear();
        }
        told.insert(id, hash) != Some(hash)
    }
}

impl Engine {
    /// For an item that was not tried. `wait` is until the next look, where that is known.
    pub(super) fn tell_wait(&self, lane: &Lane, item: &Item, refusal: &Refusal, wait: Option<Duration>) {
        let queue = lane.lease.queue;
        let (message_id, trace_id) = (of_send(queue, item), item.trace_id());
        let (channel, reason, error) = (&*lane.channel, refusal.reason, &*refusal.error);
        let retry_in_ms = wait.map(millis);
        if USUAL.contains(&reason) {
            tracing::debug!(
                correlation_id = %item.correlation, trace_id, message_id, channel, queue = queue.as_str(), reason,
                retry_in_ms, "message waits"
            );
        } else if self.told_waits.is_news(item.id, reason, error) {
            tracing::info!(
                correlation_id = %item.correlation, trace_id, message_id, channel, queue = queue.as_str(), reason, error,
                retry_in_ms, "message waits"
            );
        }
    }
}

/// The id of a message that is sent. One that came in has no other than the correlation id.
fn of_send(queue: Queue, item: &Item) -> Option<tracing::field::DisplayValue<MessageId>> {
    (queue == Queue::Outbox).then(|| tracing::field::display(item.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_once_for_each_reason_and_memory_is_bounded() {
        let told = ToldWaits::default();
        let [one, other] = [MessageId::generate(), MessageId::generate()];
        for (id, reason, error, is_news) in [
            (one, "not_configured", "no route", true),
            (one, "not_configured", "no route", false),
            (other, "not_configured", "no route", true),
            (one, "not_configured", "no channel", true),
            (one, "backend_unavailable", "no channel", true),
            (one, "backend_unavailable", "no channel", false),
            (one, "not_configured", "no route", true),
        ] {
            assert_eq!(told.is_news(id, reason, error), is_news, "{reason}: {error}");
        }
        for _ in 0..TOLD {
            assert!(told.is_news(MessageId::generate(), "not_configured", "no route"));
        }
        assert!(told.0.lock().unwrap().len() <= TOLD);
        assert!(told.is_news(other, "not_configured", "no route"), "forgotten with all the others");
    }
}
