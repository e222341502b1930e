//! Outbox → Graph: sends a message, and lets the class of an error decide what becomes of it.

use std::{sync::Arc, time::Instant};

use whatsapp::{
    client::SendError,
    error::ErrorClass,
    outbound::{OutboundMessage, Recipient},
};

use super::{
    Engine,
    ambiguity::{self, Next},
    lane::Lane,
    step::{Step, failed},
};
use crate::{
    clock::micros,
    failpoints::Failpoint,
    retry::pair_wait,
    routing::{Ambiguity, Channel, Rule, Table},
    store::{Attempt, Doubt, Item, Outcome, Refusal},
};

impl Engine {
    /// What the attempt came to, and the rule whose reply it is. A rule that is gone leaves its replies to the defaults.
    pub(super) async fn deliver(&self, lane: &Lane, item: &Item) -> (Step, Option<Arc<Rule>>) {
        let table = self.table.load();
        let rule = item.route.as_deref().and_then(|label| table.rule(label));
        (self.deliver_by(&table, rule.map(|rule| &**rule), lane, item).await, rule.cloned())
    }

    async fn deliver_by(&self, table: &Table, rule: Option<&Rule>, lane: &Lane, item: &Item) -> Step {
        let ambiguity = rule.map_or(self.settings.ambiguous, |rule| rule.delivery.ambiguous);
        let doubt = match ambiguity::next(item, ambiguity) {
            Next::Send(doubt) => doubt,
            Next::WasSent => {
                tracing::info!(correlation_id = %item.correlation, trace_id = item.trace_id(), message_id = %item.id, "a status shows that it was sent");
                return Step::Done(self.sent(rule, None, Some(Doubt::SettledByStatus)));
            }
            Next::GiveUp => return given_up(item),
        };
        let Some(channel) = table.channel(&lane.channel) else { return self.without_channel(lane, item) };
        let request = match request(lane, item) {
            Ok(request) => request,
            Err(step) => return step,
        };
        let wait = self.spans.begin(item);
        let permit = match self.admit(lane, channel, item).await {
            Ok(permit) => permit,
            Err(step) => return step,
        };
        self.spans.waited(wait);
        // While it waited for room, its credential may have been replaced.
        let table = self.table.load();
        let Some(channel) = table.channel(&lane.channel) else { return self.without_channel(lane, item) };
        if !self.still_ours(lane.lease).await {
            return Step::Abandon;
        }
        if doubt == Some(Doubt::Repeated) {
            tracing::warn!(
                correlation_id = %item.correlation, trace_id = item.trace_id(), message_id = %item.id,
                channel = &*lane.channel,
                "sending again what may have been sent: no status has told otherwise"
            );
            self.metrics.repeated_sends.inc();
        }
        self.failpoints.pass(Failpoint::BeforeGraphCall);
        let started = Instant::now();
        let span = self.spans.begin(item);
        let result = self
            .graph
            .send_message_until(&channel.number, request.into(), None, self.lease_ends(lane.lease))
            .await;
        self.failpoints.pass(Failpoint::AfterGraphCall);
        self.metrics.calls.tried_to_send(&lane.channel, self.graph_callee.host(), &result, started.elapsed());
        self.spans.called_graph(span, item.attempts, &self.graph_callee, &result);
        self.settle(lane, channel, item, permit, &result);
        match result {
            Ok(sent) => Step::Done(self.sent(rule, Some(sent.wamid), doubt)),
            Err(error) => self.refused(channel, item, &error, ambiguity, doubt),
        }
    }

    fn without_channel(&self, lane: &Lane, item: &Item) -> Step {
        self.missing(item, format!("the channel {} is not configured any more", lane.channel))
    }

    fn sent(&self, rule: Option<&Rule>, wamid: Option<String>, doubt: Option<Doubt>) -> Outcome {
        let after = rule.and_then(|rule| rule.delivery.undelivered.as_ref()).map(|it| it.after);
        let watch_at = after.map(|after| self.clock.now().saturating_add(micros(after)));
        Outcome::Sent { wamid, doubt, watch_at }
    }

    fn refused(
        &self,
        channel: &Channel,
        item: &Item,
        error: &SendError,
        ambiguity: Ambiguity,
        doubt: Option<Doubt>,
    ) -> Step {
        let class = error.class();
        let refusal = Refusal {
            reason: error.reason(),
            error: error.to_string(),
            attempt: if class == ErrorClass::Ambiguous { Attempt::Counted } else { Attempt::Free },
            uncertain: class == ErrorClass::Ambiguous,
            doubt,
        };
        let mut policy = self.settings.send_retry;
        let least = match class {
            ErrorClass::Final => {
                return Step::Done(Outcome::Dead(Refusal { attempt: Attempt::Counted, ..refusal }));
            }
            ErrorClass::Replay => {
                if let Some(pause) = self.channel_pause(channel) {
                    // Nothing is sent before that; then this one should be among the first.
                    policy.max_backoff = policy.max_backoff.min(pause);
                }
                error.retry_after()
            }
            ErrorClass::WaitPair => Some(pair_wait(item.attempts)),
            ErrorClass::Ambiguous => {
                Some(ambiguity::wait(self.settings.uncertain_wait, item.counted, ambiguity))
            }
            ErrorClass::WaitNumber | ErrorClass::WaitApp | ErrorClass::WaitMaintenance => {
                self.channel_pause(channel)
            }
            ErrorClass::StopChannel => return self.stopped(channel, item, refusal),
        };
        failed(item, self.clock.now(), &policy, refusal, least)
    }
}

/// The route forbids to send it twice, and nothing has told that it was sent once.
fn given_up(item: &Item) -> Step {
    Step::Done(Outcome::Dead(Refusal {
        reason: "send_uncertain",
        error: format!(
            "it may have been sent (after {} attempts), and its policy is never-repeat",
            item.attempts
        ),
        attempt: Attempt::None,
        uncertain: true,
        doubt: Some(Doubt::NotRepeated),
    }))
}

fn request(lane: &Lane, item: &Item) -> Result<Vec<u8>, Step> {
    let contact = &lane.contact;
    let to = Recipient { wa_id: contact.wa_id.clone(), user_id: contact.user_id.clone() };
    let body = serde_json::from_str(&item.payload)
        .map_err(|error| dead("message_unreadable", format!("the stored message is not JSON: {error}")))?;
    let invalid = |invalid: whatsapp::outbound::Invalid| {
        dead("invalid_message", format!("{}: {}", invalid.field, invalid.problem))
    };
    OutboundMessage::from_json(body).map_err(invalid)?.request(&to, &item.id.to_string()).map_err(invalid)
}

fn dead(reason: &'static str, error: String) -> Step {
    Step::Done(Outcome::Dead(Refusal {
        reason,
        error,
        attempt: Attempt::None,
        uncertain: false,
        doubt: None,
    }))
}
