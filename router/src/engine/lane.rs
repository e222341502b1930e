//! Works through one leased lane, one item after the other, until it is empty, has to wait, or the process ends.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;

use super::pace::admission::CHANNEL_WAITS;
use super::{
    Engine,
    pool::Slots,
    rest_in_doubt,
    step::{Step, failed},
    streak::Streak,
};
use crate::store::{
    Attempt, Claim, Contact, Finish, Finished, Item, Lease, MessageId, Micros, Outcome, Queue, Refusal,
    StoreError,
};
use crate::{
    clock::millis,
    failpoints::Failpoint,
    retry::RetryPolicy,
    routing::{DeadLetter, Rule},
};

/// Waits between attempts to write a result that the database refused.
const STORE_WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Items of one conversation before it gives way to others that wait for room.
const TURN: usize = 16;

/// For an item whose handling panics: a mistake of ours that must not take the conversation with it for ever.
const AFTER_PANIC: RetryPolicy = RetryPolicy {
    attempts: Some(5),
    backoff: Duration::from_secs(1),
    max_backoff: Duration::from_secs(60),
    max_age: Duration::from_secs(86_400),
};

/// The lane's fixed surroundings.
pub(super) struct Lane {
    pub(super) lease: Lease,
    pub(super) channel: Arc<str>,
    pub(super) contact: Arc<Contact>,
}

/// Hands a lane back if the task that works on it ends before its time: a conversation must not wait for the next
/// start because of a mistake of ours.
struct LeaseGuard {
    engine: Arc<Engine>,
    lease: Option<Lease>,
}

impl LeaseGuard {
    /// The lane was left in good order.
    fn done(mut self) {
        if let Some(lease) = self.lease.take() {
            self.engine.leases.forget(lease);
        }
    }
}

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            let engine = self.engine.clone();
            tokio::spawn(async move {
                // Not at once: what went wrong would go wrong again.
                tokio::time::sleep(AFTER_PANIC.backoff).await;
                let in_doubt = lease.queue == Queue::Outbox;
                let rest = rest_in_doubt(engine.settings.uncertain_wait, engine.settings.ambiguous);
                let wait = Micros::try_from(rest.as_micros()).unwrap_or(Micros::MAX);
                engine.release(lease, in_doubt.then(|| engine.clock.now().saturating_add(wait))).await;
                engine.leases.forget(lease);
                engine.pool(lease.queue).bell.notify_one();
            });
        }
    }
}

impl Engine {
    /// Works on a lane whose lease was got just now, nobody knows exactly when.
    pub(super) fn start_lane(self: &Arc<Self>, claim: Claim, slot: Slots) {
        self.start_lane_since(claim, slot, None);
    }

    /// `asked_at`: before the call that the lease came from.
    pub(super) fn start_lane_since(self: &Arc<Self>, claim: Claim, slot: Slots, asked_at: Option<Instant>) {
        self.leases.hold(claim.lease, asked_at);
        let engine = self.clone();
        tokio::spawn(async move {
            let Claim { lease, channel, contact, item } = claim;
            let guard = LeaseGuard { engine, lease: Some(lease) };
            guard.engine.work(&Lane { lease, channel, contact }, item).await;
            guard.done();
            drop(slot);
        });
    }

    async fn work(self: &Arc<Self>, lane: &Lane, first: Item) {
        let mut next = Some(first);
        let mut done = 0;
        while let Some(item) = next.take() {
            if self.is_stopping() {
                self.release(lane.lease, None).await;
                return;
            }
            let pool = self.pool(lane.lease.queue);
            if done >= TURN && pool.is_full() {
                self.release(lane.lease, None).await;
                pool.bell.notify_one();
                return;
            }
            done += 1;
            let attempt = async {
                match lane.lease.queue {
                    Queue::Inbox => {
                        self.failpoints.pass(Failpoint::AfterClaim);
                        self.dispatch(lane, &item).await
                    }
                    Queue::Outbox => self.deliver(lane, &item).await,
                }
            };
            let (step, rule) = AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_panic| {
                let refusal = Refusal {
                    reason: "internal_error",
                    error: "the router's own code failed; its log has a line with the place".to_owned(),
                    attempt: Attempt::Counted,
                    uncertain: lane.lease.queue == Queue::Outbox,
                    doubt: None,
                };
                (failed(&item, self.clock.now(), &AFTER_PANIC, refusal, None), None)
            });
            let rule = rule.as_deref();
            next = match step {
                Step::Done(outcome) => self.finish(lane, &item, rule, outcome, Vec::new()).await,
                Step::Together { outcome, joined } => self.finish(lane, &item, rule, outcome, joined).await,
                Step::Abandon => None,
                Step::Release { because } => {
                    if let Some(refusal) = because {
                        self.tell_wait(lane, &item, &refusal, None);
                    }
                    self.release(lane.lease, None).await;
                    pool.bell.notify_one();
                    None
                }
                Step::Defer { refusal, wait } => {
                    let waits_for_channel = refusal.reason == CHANNEL_WAITS;
                    self.put_back(lane, &item, rule, refusal, wait).await;
                    // Mended while this was being put back: whoever hurried the others came too early for this one.
                    if waits_for_channel && self.sends_again(lane) {
                        self.hurry(Queue::Outbox, &lane.channel);
                    }
                    None
                }
            };
        }
    }

    async fn finish(
        self: &Arc<Self>,
        lane: &Lane,
        item: &Item,
        rule: Option<&Rule>,
        outcome: Outcome,
        joined: Vec<(i64, MessageId)>,
    ) -> Option<Item> {
        let may_reply = matches!(&outcome, Outcome::Answered(replies) if !replies.is_empty());
        let slot = if may_reply && !self.is_held(Queue::Outbox) { self.outbox.try_take(1) } else { None };
        let waits = if may_reply { self.why_held(Queue::Outbox) } else { None };
        let pair_free_at = self.pair_free_at(lane);
        self.failpoints.pass(Failpoint::BeforeCompletion);
        let mut asked_at = Instant::now();
        let commit = self.spans.begin(item);
        let finished = self
            .until_stored(lane, item, || {
                asked_at = Instant::now();
                let joined = joined.iter().map(|(seq, _)| *seq).collect();
                let with = Finish { claim_outbox: slot.is_some(), pair_free_at, joined };
                self.store.finish(lane.lease, item, outcome.clone(), with)
            })
            .await?;
        self.failpoints.pass(Failpoint::AfterCompletion);
        self.spans.committed(commit, "finish", None, false);
        self.spans.ended(lane, item, &outcome, self.clock.now());
        self.report(lane, item, &outcome, waits);
        self.report_joined(lane, item, &outcome, &joined);
        if matches!(outcome, Outcome::Dead(_))
            && rule.is_some_and(|rule| rule.delivery.dead_letter == DeadLetter::Drop)
        {
            self.drop_dead(item.id, &joined).await;
        }
        let Finished { next, opened, left_work } = finished;
        if let (Some(opened), Some(slot)) = (opened, slot) {
            let (channel, contact) = (lane.channel.clone(), lane.contact.clone());
            let claim = Claim { lease: opened.lease, channel, contact, item: opened.item };
            self.start_lane_since(claim, slot, Some(asked_at));
        }
        if left_work {
            self.outbox.bell.notify_one();
        }
        next
    }

    /// What the rule does not want kept: it ends like a dead letter that an operator deletes, so that the ledger adds up.
    /// If the process ends before that is stored, it is kept after all.
    async fn drop_dead(&self, id: MessageId, joined: &[(i64, MessageId)]) {
        for id in joined.iter().map(|(_, id)| *id).chain([id]) {
            match self.store.discard(id).await {
                Ok(was_dead) => self.metrics.flow.dropped.inc_by(u64::from(was_dead)),
                Err(error) => {
                    tracing::warn!(message_id = %id, %error, "a dead letter that is not wanted can't be dropped: it is kept");
                }
            }
        }
    }

    async fn put_back(
        self: &Arc<Self>,
        lane: &Lane,
        item: &Item,
        rule: Option<&Rule>,
        refusal: Refusal,
        wait: Duration,
    ) {
        // An earlier send that may have gone out stays in doubt, whatever this attempt came to.
        let refusal = Refusal { uncertain: refusal.uncertain || item.uncertain, ..refusal };
        let wait_micros = Micros::try_from(wait.as_micros()).unwrap_or(Micros::MAX);
        let due_at = self.clock.now().saturating_add(wait_micros);
        let queue = lane.lease.queue;
        if refusal.attempt == Attempt::None {
            self.tell_wait(lane, item, &refusal, Some(wait));
        } else {
            let asks = rule.filter(|_| queue == Queue::Inbox);
            let backend = asks.and_then(|rule| rule.backend(lane.lease.conversation));
            self.metrics.retries.with_label_values(&[queue.as_str(), refusal.reason]).inc();
            tracing::warn!(
                correlation_id = %item.correlation, trace_id = item.trace_id(), message_id = %item.id,
                channel = &*lane.channel, route = rule.map(|rule| &*rule.label),
                backend = backend.map(|backend| &*backend.name),
                queue = queue.as_str(), reason = refusal.reason, error = %refusal.error,
                attempts = item.attempts + 1, retry_in_ms = millis(wait), "attempt failed, will try again"
            );
        }
        let commit = self.spans.begin(item);
        let stored = self
            .until_stored(lane, item, || self.store.defer(lane.lease, item, refusal.clone(), due_at))
            .await;
        self.spans.committed(commit, "defer", None, stored.is_none());
        self.pool(queue).bell.notify_one();
    }

    /// What was done outside can't be undone, so its record is written as soon as the database takes it, however
    /// long that is. Only a lost lease ends it: then somebody else has the item.
    async fn until_stored<T, F>(&self, lane: &Lane, item: &Item, mut write: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = STORE_WAIT.0;
        let mut failures = Streak::default();
        loop {
            let error = match write().await {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let ids = (lane.lease.queue.as_str(), item.correlation);
            let trace_id = item.trace_id();
            match error {
                StoreError::LeaseLost | StoreError::Closed => {
                    self.metrics.flow.results_dropped.with_label_values(&[ids.0]).inc();
                    tracing::error!(queue = ids.0, correlation_id = %ids.1, trace_id, %error, "result is dropped");
                    return None;
                }
                StoreError::Database(_) | StoreError::Busy | StoreError::Full if failures.begins() => {
                    tracing::warn!(queue = ids.0, correlation_id = %ids.1, trace_id, %error, "result can't be stored yet; trying again until it is");
                }
                StoreError::Database(_) | StoreError::Busy | StoreError::Full => {
                    tracing::debug!(queue = ids.0, correlation_id = %ids.1, trace_id, %error, "result still can't be stored");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(STORE_WAIT.1);
        }
    }

    /// Where leases do not end by themselves nobody else could ever go on with this lane, so this is tried until it
    /// is stored; only a process that ends leaves it to the next start.
    async fn release(&self, lease: Lease, in_doubt_until: Option<Micros>) {
        let mut wait = STORE_WAIT.0;
        let mut failures = Streak::default();
        loop {
            match self.store.release(lease, in_doubt_until).await {
                Ok(()) | Err(StoreError::LeaseLost) => return,
                Err(error) if self.is_stopping() || matches!(error, StoreError::Closed) => {
                    tracing::warn!(%error, "a conversation can't be handed back; the next start takes it over");
                    return;
                }
                Err(error) if failures.begins() => {
                    tracing::warn!(%error, "a conversation can't be handed back yet");
                }
                Err(error) => tracing::debug!(%error, "a conversation still can't be handed back"),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(STORE_WAIT.1);
        }
    }

    /// Counts and logs how an item ended. `waits`: why its replies are not sent now.
    fn report(&self, lane: &Lane, item: &Item, outcome: &Outcome, waits: Option<&str>) {
        let queue = lane.lease.queue.as_str();
        match outcome {
            // Else the line of the send says how it ended.
            Outcome::Answered(replies) if replies.is_empty() || waits.is_some() => tracing::info!(
                correlation_id = %item.correlation, trace_id = item.trace_id(), channel = &*lane.channel,
                replies = replies.len(), waits, "message answered"
            ),
            Outcome::Answered(replies) => tracing::debug!(
                correlation_id = %item.correlation, trace_id = item.trace_id(), channel = &*lane.channel,
                replies = replies.len(), "message answered"
            ),
            Outcome::NotAnswered { reason } => tracing::info!(
                correlation_id = %item.correlation, trace_id = item.trace_id(), channel = &*lane.channel, reason, "message is not to be answered"
            ),
            Outcome::Sent { .. } => {
                self.metrics.calls.sent(&lane.channel, item, self.clock.now());
                tracing::info!(
                    correlation_id = %item.correlation, trace_id = item.trace_id(), message_id = %item.id,
                    channel = &*lane.channel, "message sent"
                );
            }
            Outcome::Dead(refusal) => {
                self.metrics.dead_letters.with_label_values(&[queue, refusal.reason]).inc();
                tracing::error!(
                    correlation_id = %item.correlation, trace_id = item.trace_id(), message_id = %item.id,
                    channel = &*lane.channel, queue,
                    reason = refusal.reason, error = %refusal.error, "given up, now a dead letter"
                );
            }
        }
    }

    /// The same for what was part of one call with the item.
    fn report_joined(&self, lane: &Lane, item: &Item, outcome: &Outcome, joined: &[(i64, MessageId)]) {
        self.metrics.flow.joined.inc_by(joined.len() as u64);
        for (_, id) in joined {
            match outcome {
                Outcome::Dead(refusal) => {
                    let queue = lane.lease.queue.as_str();
                    self.metrics.dead_letters.with_label_values(&[queue, refusal.reason]).inc();
                    tracing::error!(
                        correlation_id = %id, channel = &*lane.channel, queue, reason = refusal.reason,
                        together_with = %item.correlation, "given up, now a dead letter"
                    );
                }
                _ => tracing::info!(
                    correlation_id = %id, channel = &*lane.channel, together_with = %item.correlation,
                    "message answered"
                ),
            }
        }
    }
}
