//! Inbox → backend: asks the route's backend what to answer.

use std::time::Duration;

use super::{
    Engine,
    lane::Lane,
    step::{Step, failed},
};
use crate::{
    backend::{BackendError, Call, Part},
    failpoints::Failpoint,
    retry::RetryPolicy,
    routing::{Channel, Route},
    store::{Attempt, Item, MessageId, NewOutbound, Outcome, Queue, Refusal, StoreError},
};
use whatsapp::message::InboundMessage;

impl Engine {
    pub(super) async fn dispatch(&self, lane: &Lane, item: &Item) -> Step {
        let Some(channel) = self.table.channel(&lane.channel) else {
            return self.missing(item, format!("the channel {} is not configured any more", lane.channel));
        };
        let Some(route) = self.table.route(&lane.channel) else {
            self.metrics.unrouted.inc();
            return self.missing(item, format!("no route takes messages of the channel {}", lane.channel));
        };
        let message = match InboundMessage::from_json(&item.payload) {
            Ok(message) => message,
            Err(error) => {
                return Step::Done(Outcome::Dead(Refusal {
                    reason: "message_unreadable",
                    error: error.to_string(),
                    attempt: Attempt::None,
                    uncertain: false,
                    doubt: None,
                }));
            }
        };
        if let Some(reason) = not_to_be_answered(&message, route, item) {
            return Step::Done(Outcome::NotAnswered { reason });
        }
        if item.standing.taken_over_until.is_some_and(|until| until > self.clock.now()) {
            return Step::Done(Outcome::NotAnswered { reason: "taken_over" });
        }
        if self.settings.bounds.outbox_is_full(self.store.depth()) {
            return Step::Defer { refusal: untouched("outbox_full"), wait: FULL_WAIT };
        }
        let Some(debounce) = route.delivery.debounce else {
            return self.ask(lane, channel, route, item, &message, &[]).await;
        };
        let burst = match self.burst(lane, route, debounce).await {
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
            return Step::Release;
        }
        let joined = burst.iter().map(|(item, _)| item.seq).filter(|seq| *seq != item.seq).collect();
        match self.ask(lane, channel, route, item, &message, &burst).await {
            Step::Done(outcome) => Step::Together { outcome, joined },
            step => step,
        }
    }

    async fn ask(
        &self,
        lane: &Lane,
        channel: &Channel,
        route: &Route,
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
            is_burst: route.delivery.debounce.is_some(),
        };
        let body = match call.body() {
            Ok(body) => body,
            Err(error) => return self.missing(item, format!("the stored message is not JSON: {error}")),
        };
        let called = match self.breakers.enter(&route.backend.name) {
            Ok(called) => called,
            Err(until) => return self.turned_away(item, Queue::Inbox, until, route.delivery.retry.max_age),
        };
        if !self.still_ours(lane.lease).await {
            return Step::Abandon;
        }
        let answer = self.backend.process(&route.backend, route.delivery.timeout, id, body).await;
        self.failpoints.pass(Failpoint::AfterBackendAnswer);
        let after = called.ended(&answer);
        if after.works_again {
            self.inbox.bell.notify_one();
        }
        let outcome = answer.as_ref().map_or_else(BackendError::reason, |_| "ok");
        self.metrics.routed.with_label_values(&[&lane.channel, &route.name, outcome]).inc();
        match answer {
            Ok(answer) => Step::Done(Outcome::Answered(
                answer
                    .messages
                    .iter()
                    .map(|message| NewOutbound {
                        id: MessageId::generate(),
                        message_type: message.message_type().to_owned(),
                        payload: message.to_json_string().into(),
                        route: Some(route.name.clone()),
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
                let mut policy = route.delivery.retry;
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
    fn missing(&self, item: &Item, error: String) -> Step {
        let refusal = Refusal {
            reason: "not_configured",
            error,
            attempt: Attempt::Free,
            uncertain: false,
            doubt: None,
        };
        failed(item, self.clock.now(), &WAIT_FOR_CONFIGURATION, refusal, None)
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

const WAIT_FOR_CONFIGURATION: RetryPolicy = RetryPolicy {
    attempts: None,
    backoff: Duration::from_secs(5),
    max_backoff: Duration::from_secs(60),
    max_age: Duration::from_secs(7 * 86_400),
};

/// Why this message is kept but not answered by itself; `None` when it is to be answered.
pub(super) fn not_to_be_answered(
    message: &InboundMessage,
    route: &Route,
    item: &Item,
) -> Option<&'static str> {
    let sent_at = item.inbound.as_ref().and_then(|inbound| inbound.sent_at);
    if message.group_id.is_some() {
        return Some("group_message");
    }
    if !route.wanted.wants(&message.message_type, message.text()) {
        return Some("type_not_wanted");
    }
    let age = Duration::from_micros(u64::try_from(item.created_at - sent_at?).unwrap_or_default());
    (age > route.delivery.reply_max_age).then_some("too_old")
}
