//! Outbox → Graph: sends a message, and lets the class of an error decide what becomes of it.

use std::time::{Duration, Instant};

use whatsapp::{
    client::SendError,
    error::ErrorClass,
    outbound::{OutboundMessage, Recipient},
};

use super::{
    Engine,
    lane::Lane,
    step::{Step, failed},
};
use crate::{
    failpoints::Failpoint,
    retry::pair_wait,
    routing::Channel,
    store::{Attempt, Item, Outcome, Refusal},
};

/// Between two sends of which nobody knows whether they went out.
const LONGEST_UNCERTAIN_WAIT: Duration = Duration::from_secs(600);

impl Engine {
    pub(super) async fn deliver(&self, lane: &Lane, item: &Item) -> Step {
        if item.already_sent {
            tracing::info!(correlation_id = %item.correlation, message_id = %item.id, "a status shows that it was sent");
            return Step::Done(Outcome::Sent { wamid: None, doubt: None, watch_at: None });
        }
        let Some(channel) = self.table.channel(&lane.channel) else {
            return dead(
                "not_configured",
                format!("the channel {} is not configured any more", lane.channel),
            );
        };
        let request = match request(lane, item) {
            Ok(request) => request,
            Err(step) => return step,
        };
        let permit = match self.admit(lane, channel, item).await {
            Ok(permit) => permit,
            Err(step) => return step,
        };
        if item.uncertain {
            tracing::warn!(
                correlation_id = %item.correlation, message_id = %item.id, channel = &*lane.channel,
                "sending again what may have been sent: no status has told otherwise"
            );
            self.metrics.repeated_sends.inc();
        }
        self.failpoints.pass(Failpoint::BeforeGraphCall);
        let started = Instant::now();
        let result = self.graph.send_message(&channel.number, request.into(), None).await;
        self.failpoints.pass(Failpoint::AfterGraphCall);
        self.metrics.observe_graph(&result, started.elapsed());
        self.settle(lane, channel, item, permit, &result);
        match result {
            Ok(sent) => Step::Done(Outcome::Sent { wamid: Some(sent.wamid), doubt: None, watch_at: None }),
            Err(error) => self.refused(channel, item, &error),
        }
    }

    fn refused(&self, channel: &Channel, item: &Item, error: &SendError) -> Step {
        let class = error.class();
        let refusal = Refusal {
            reason: error.reason(),
            error: error.to_string(),
            attempt: if class == ErrorClass::Ambiguous { Attempt::Counted } else { Attempt::Free },
            uncertain: class == ErrorClass::Ambiguous,
            doubt: None,
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
                let doublings = item.counted.min(16);
                Some(self.settings.uncertain_wait.saturating_mul(1 << doublings).min(LONGEST_UNCERTAIN_WAIT))
            }
            ErrorClass::WaitNumber | ErrorClass::WaitApp | ErrorClass::WaitMaintenance => {
                self.channel_pause(channel)
            }
            ErrorClass::StopChannel => return self.stopped(channel, item, refusal),
        };
        failed(item, self.clock.now(), &policy, refusal, least)
    }
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
