//! Inbox → backend: asks the rule's backend what to answer.

use std::{
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Engine,
    lane::Lane,
    pace::admission::OUTBOX_FULL,
    step::{Step, age, failed},
};
use crate::{
    backend::{BackendError, Call, Part, Post},
    failpoints::Failpoint,
    routing::{Channel, MarkRead, Rule, Table, matching::Facts},
    store::{Attempt, Item, MessageId, NewOutbound, Outcome, Queue, Refusal, StoreError},
};
use whatsapp::message::InboundMessage;

impl Engine {
    /// What the attempt came to, and the rule that took the message.
    pub(super) async fn dispatch(&self, lane: &Lane, item: &Item) -> (Step, Option<Arc<Rule>>) {
        let table = self.table.load();
        let Some(channel) = table.channel(&lane.channel) else {
            let error = format!("the channel {} is not configured any more", lane.channel);
            return (self.missing(item, error), None);
        };
        let message = match InboundMessage::from_json(&item.payload) {
            Ok(message) => message,
            Err(error) => {
                let refusal = Refusal { error: error.to_string(), ..untouched("message_unreadable") };
                return (Step::Done(Outcome::Dead(refusal)), None);
            }
        };
        let Some(rule) = table.select(&lane.channel, &Facts::of(&message)) else {
            if table.entries(&lane.channel).is_empty() && age(item, self.clock.now()) < ROUTE_COMES_BACK {
                let error = format!("no route names the channel {}", lane.channel);
                return (self.missing(item, error), None);
            }
            self.metrics.unrouted.with_label_values(&[&*lane.channel]).inc();
            return (Step::Done(Outcome::NotAnswered { reason: "unrouted" }), None);
        };
        if rule.is_held {
            // Another rule would answer wrongly; its own policy says nothing of this, neither.
            let error = format!("the route {} can't be used yet: its conditions say why", rule.route);
            return (self.missing(item, error), None);
        }
        let step = self.dispatch_by(&table, channel, rule, lane, item, &message).await;
        (step, Some(rule.clone()))
    }

    async fn dispatch_by(
        &self,
        table: &Table,
        channel: &Channel,
        rule: &Arc<Rule>,
        lane: &Lane,
        item: &Item,
        message: &InboundMessage,
    ) -> Step {
        let is_taken_over = item.standing.taken_over_until.is_some_and(|until| until > self.clock.now());
        if rule.mark_read == MarkRead::OnReceive && !is_taken_over && message.group_id.is_none() {
            self.mark_read(lane, item, &message.id);
        }
        if let Some(reason) = not_to_be_answered(message, rule, item) {
            return Step::Done(Outcome::NotAnswered { reason });
        }
        if is_taken_over {
            return Step::Done(Outcome::NotAnswered { reason: "taken_over" });
        }
        if self.settings.bounds.outbox_is_full(self.store.depth()) {
            return Step::Defer { refusal: untouched(OUTBOX_FULL), wait: FULL_WAIT };
        }
        let Some(debounce) = rule.delivery.debounce else {
            return self.ask(lane, channel, rule, item, message, &[]).await;
        };
        let burst = match self.burst(lane, table, rule, debounce).await {
            Ok(Ok(burst)) => burst,
            Ok(Err(wait)) => {
                let wait = Duration::from_micros(wait.unsigned_abs());
                return Step::Defer { refusal: untouched("debounce"), wait };
            }
            Err(StoreError::LeaseLost) => return Step::Abandon,
            Err(error) => {
                tracing::warn!(correlation_id = %item.correlation, %error, "what else is waiting can't be read now");
                return Step::Defer { refusal: untouched("store_unavailable"), wait: STORE_WAIT };
            }
        };
        if !burst.iter().any(|(other, _)| other.seq == item.seq) {
            // So much was replayed in front of it meanwhile that it is not its turn any more.
            return Step::Release { because: None };
        }
        let others = burst.iter().map(|(other, _)| other).filter(|other| other.seq != item.seq);
        let joined = others.map(|other| (other.seq, other.id)).collect();
        match self.ask(lane, channel, rule, item, message, &burst).await {
            Step::Done(outcome) => {
                for (other, _) in burst.iter().filter(|(other, _)| other.seq != item.seq) {
                    self.spans.ended(lane, other, &outcome, self.clock.now());
                }
                Step::Together { outcome, joined }
            }
            step => step,
        }
    }

    async fn ask(
        &self,
        lane: &Lane,
        channel: &Channel,
        rule: &Rule,
        item: &Item,
        message: &InboundMessage,
        burst: &[(Item, InboundMessage)],
    ) -> Step {
        let parts: Vec<_> = match burst {
            [] => vec![Part { id: item.id, message, raw: &item.payload }],
            burst => burst
                .iter()
                .map(|(item, message)| Part { id: item.id, message, raw: &item.payload })
                .collect(),
        };
        // The newest names the call.
        let id = parts.last().map_or(item.id, |part| part.id);
        let call = Call {
            channel: &lane.channel,
            phone_number_id: channel.number.phone_number_id(),
            contact: &lane.contact,
            parts: &parts,
            is_burst: rule.delivery.debounce.is_some(),
        };
        let body = match call.body() {
            Ok(body) => body,
            Err(error) => return self.missing(item, format!("the stored message is not JSON: {error}")),
        };
        let Some(backend) = rule.backend(lane.lease.conversation) else {
            return self.missing(item, format!("no backend of the rule {} has a weight", rule.label));
        };
        let called = match self.breakers.enter(&backend.name) {
            Ok(called) => called,
            Err(until) => return self.turned_away(item, Queue::Inbox, until, rule.delivery.retry.max_age),
        };
        if !self.still_ours(lane.lease).await {
            return Step::Abandon;
        }
        let span = self.spans.begin(item);
        let traceparent = self.spans.traceparent(span.as_ref(), item);
        let post =
            Post { id, body, timeout: rule.delivery.timeout, signer: rule.signer.as_ref(), traceparent };
        let asked_at = Instant::now();
        let (status, answer) = self.backend.process(backend, post).await;
        let asked = burst.iter().map(|(item, _)| item);
        self.spans.asked(span, item, asked, (&rule.label, backend), (status, &answer));
        self.failpoints.pass(Failpoint::AfterBackendAnswer);
        let after = called.ended(&answer);
        if after.works_again {
            self.inbox.bell.notify_one();
            for channel in self.table.load().channels() {
                self.hurry(Queue::Inbox, &channel.name);
            }
        }
        let outcome = answer.as_ref().map_or_else(BackendError::reason, |_| "ok");
        self.metrics.routed.with_label_values(&[&lane.channel, &rule.label, outcome]).inc();
        self.metrics.calls.asked(&backend.name, outcome, asked_at.elapsed());
        if answer.is_ok() {
            self.metrics.calls.answered(&rule.label, item, self.clock.now());
        }
        let newest = parts.last().map_or(message, |part| part.message);
        let is_read = match rule.mark_read {
            MarkRead::OnReceive => true,
            MarkRead::OnReply => answer.as_ref().is_ok_and(|answer| !answer.messages.is_empty()),
            MarkRead::Never => false,
        };
        if is_read {
            self.mark_read(lane, item, &newest.id);
        }
        match answer {
            Ok(answer) => Step::Done(Outcome::Answered(
                answer
                    .messages
                    .iter()
                    .map(|message| NewOutbound {
                        id: MessageId::generate(),
                        message_type: message.message_type().to_owned(),
                        payload: message.to_json_string().into(),
                        route: Some(rule.label.clone()),
                        trace: item.trace.map(|trace| trace.child(item.id)),
                    })
                    .collect(),
            )),
            Err(error) => {
                let refusal = Refusal {
                    reason: error.reason(),
                    error: error.to_string(),
                    attempt: error.attempt(),
                    uncertain: false,
                    doubt: None,
                };
                if error.is_final() {
                    return Step::Done(Outcome::Dead(refusal));
                }
                let mut policy = rule.delivery.retry;
                if refusal.attempt == Attempt::Free {
                    // It is down for everybody: when it is back, nobody should have to wait long.
                    policy.max_backoff = policy.max_backoff.min(LONGEST_OUTAGE_WAIT);
                }
                if let Some(rest) = after.rests_for {
                    // Nobody is asked before that; then this one should be among the first.
                    policy.max_backoff = policy.max_backoff.min(rest);
                }
                failed(item, self.clock.now(), &policy, refusal, error.retry_after())
            }
        }
    }

    /// Work whose configuration is gone waits for it to come back; an operator sees it in the queue's age.
    pub(super) fn missing(&self, item: &Item, error: String) -> Step {
        let refusal = Refusal { error, ..untouched("not_configured") };
        if age(item, self.clock.now()) > CONFIGURATION_COMES_BACK {
            return Step::Done(Outcome::Dead(refusal));
        }
        let wait =
            self.unconfigured.lock().unwrap_or_else(PoisonError::into_inner).join(Instant::now(), 0, LOOKS);
        Step::Defer { refusal, wait }
    }
}

/// While replies can't be put into the outbox.
const FULL_WAIT: Duration = Duration::from_secs(2);

/// After the store did not answer.
const STORE_WAIT: Duration = Duration::from_secs(1);

fn untouched(reason: &'static str) -> Refusal {
    Refusal { reason, error: reason.to_owned(), attempt: Attempt::None, uncertain: false, doubt: None }
}

const LONGEST_OUTAGE_WAIT: Duration = Duration::from_secs(30);

/// Work of a channel that is gone is given up after this.
const CONFIGURATION_COMES_BACK: Duration = Duration::from_secs(7 * 86_400);

/// A channel that no route names has none on purpose after this: it only sends.
const ROUTE_COMES_BACK: Duration = Duration::from_secs(10 * 60);

/// How many items without configuration look for it each second, all together.
const LOOKS: u32 = 200;

/// Why this message is kept but not answered by itself; `None` when it is to be answered.
pub(super) fn not_to_be_answered(message: &InboundMessage, rule: &Rule, item: &Item) -> Option<&'static str> {
    let sent_at = item.inbound.as_ref().and_then(|inbound| inbound.sent_at);
    if message.group_id.is_some() {
        return Some("group_message");
    }
    if !rule.wanted.wants(&message.message_type, message.text()) {
        return Some("type_not_wanted");
    }
    let age = Duration::from_micros(u64::try_from(item.created_at - sent_at?).unwrap_or_default());
    (age > rule.delivery.reply_max_age).then_some("too_old")
}
