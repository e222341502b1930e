//! What the API asks of a running engine. Each call that writes runs to its end even if the caller goes away: a commit
//! whose lease nobody took up would leave the conversation waiting.

use std::{sync::Arc, time::Duration};

use super::Engine;
use crate::store::{Enqueued, MessageId, Micros, NewSend, Queue, Replay, Replayed, Store, StoreError};

/// How long a person answers when the route does not say.
const TAKEOVER_IDLE: Duration = Duration::from_secs(30 * 60);

impl Engine {
    /// For looking only: what is written has to go through the engine, so that it is worked on.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Why the store refused the last write, if it did.
    pub fn store_failure(&self) -> Option<String> {
        self.store_check.why()
    }

    /// Stores a message and starts to send it. The claim in the answer is always taken up already.
    pub async fn enqueue(self: &Arc<Self>, send: NewSend) -> Result<Enqueued, StoreError> {
        let engine = self.clone();
        to_its_end(async move {
            if engine.settings.bounds.outbox_is_full(engine.store.depth()) {
                return Err(StoreError::Full);
            }
            let rests = engine.is_stopping() || engine.is_held(Queue::Outbox);
            let slot = if rests { None } else { engine.outbox.try_take(1) };
            let waits = engine.why_held(Queue::Outbox);
            let (id, trace, channel) = (send.message.id, send.message.trace, send.channel.clone());
            let message_type = send.message.message_type.clone();
            let commit = engine.spans.begin_beside(trace);
            let enqueued = engine.store.enqueue(send, slot.is_some()).await;
            engine.spans.committed(commit, "enqueue", None, enqueued.is_err());
            match enqueued {
                Ok(Enqueued::Stored { claim, left_work }) => {
                    engine.store_check.ok();
                    tracing::info!(
                        correlation_id = %id, trace_id = trace.map(|trace| tracing::field::display(trace.trace)),
                        message_id = %id, channel = &*channel, r#type = message_type, waits, "message queued"
                    );
                    if let (Some(claim), Some(slot)) = (claim, slot) {
                        engine.start_lane(*claim, slot);
                    }
                    if left_work {
                        engine.outbox.bell.notify_one();
                    }
                    Ok(Enqueued::Stored { claim: None, left_work })
                }
                Ok(known) => Ok(known),
                Err(error) => {
                    engine.store_failed(&error);
                    Err(error)
                }
            }
        })
        .await
    }

    /// Puts dead letters back and starts on them.
    pub async fn replay(self: &Arc<Self>, which: Replay) -> Result<Replayed, StoreError> {
        let engine = self.clone();
        to_its_end(async move {
            let replayed = engine.store.replay(which).await?;
            for (queue, count) in [(Queue::Inbox, replayed.inbox), (Queue::Outbox, replayed.outbox)] {
                if count > 0 {
                    engine.pool(queue).bell.notify_one();
                }
            }
            Ok(replayed)
        })
        .await
    }

    /// Deletes a dead letter; false when there is none.
    pub async fn discard(self: &Arc<Self>, id: MessageId) -> Result<bool, StoreError> {
        let engine = self.clone();
        to_its_end(async move { engine.store.discard(id).await }).await
    }

    /// Sets or ends the time in which a person answers; false when there is no such conversation.
    pub async fn take_over(
        self: &Arc<Self>,
        conversation: i64,
        until: Option<Micros>,
    ) -> Result<bool, StoreError> {
        let engine = self.clone();
        to_its_end(async move {
            let known = engine.store.take_over(conversation, until).await?;
            engine.inbox.bell.notify_one();
            Ok(known)
        })
        .await
    }

    /// How long a person answers on this channel once they began.
    pub fn takeover_idle(&self, channel: &str) -> Duration {
        let idle = self.table.load().takeover_idle(channel);
        if idle.is_zero() { TAKEOVER_IDLE } else { idle }
    }
}

async fn to_its_end<T: Send + 'static>(
    call: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::spawn(call).await.map_err(|_panic| StoreError::Closed)?
}
