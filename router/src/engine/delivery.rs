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
    step::{Step, age, failed},
};
use crate::{
    retry::pair_wait,
    routing::Channel,
    store::{Attempt, Item, Outcome, Refusal, now},
};

/// Between two tries of a channel that Graph refuses as a whole (a token that is not valid, a block).
const STOPPED_CHANNEL_WAIT: Duration = Duration::from_secs(30);
/// Meta: up to a minute of maintenance during a throughput upgrade (throughput, error 131057).
const MAINTENANCE_WAIT: Duration = Duration::from_secs(60);
/// When Meta names no time for its limits on calls of the app.
const APP_LIMIT_WAIT: Duration = Duration::from_secs(60);
/// Between two sends of which nobody knows whether they went out.
const LONGEST_UNCERTAIN_WAIT: Duration = Duration::from_secs(600);
const THROUGHPUT_WAIT: Duration = Duration::from_secs(1);

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
        if let Some(wait) = self.gates.wait(&lane.channel, Instant::now()) {
            // Not all at the same moment.
            let wait = wait + wait.mul_f64(rand::random::<f64>() * 0.1);
            return Step::Defer { refusal: untouched("channel_waits"), wait };
        }
        let request = match request(lane, item) {
            Ok(request) => request,
            Err(step) => return step,
        };
        if item.uncertain {
            tracing::warn!(
                correlation_id = %item.correlation, message_id = %item.id, channel = &*lane.channel,
                "sending again what may have been sent: no status has told otherwise"
            );
            self.metrics.repeated_sends.inc();
        }
        let started = Instant::now();
        let result = self.graph.send_message(&channel.number, request.into(), None).await;
        self.metrics.observe_graph(&result, started.elapsed());
        match result {
            Ok(sent) => {
                if self.gates.open(&lane.channel) {
                    tracing::info!(channel = &*lane.channel, "the channel sends again");
                }
                Step::Done(Outcome::Sent { wamid: Some(sent.wamid), doubt: None, watch_at: None })
            }
            Err(error) => self.refused(lane, channel, item, &error),
        }
    }

    fn refused(&self, lane: &Lane, channel: &Channel, item: &Item, error: &SendError) -> Step {
        let class = error.class();
        let refusal = Refusal {
            reason: error.reason(),
            error: error.to_string(),
            attempt: if class == ErrorClass::Ambiguous { Attempt::Counted } else { Attempt::Free },
            uncertain: class == ErrorClass::Ambiguous,
            doubt: None,
        };
        let policy = &self.settings.send_retry;
        let least = match class {
            ErrorClass::Final => {
                return Step::Done(Outcome::Dead(Refusal { attempt: Attempt::Counted, ..refusal }));
            }
            ErrorClass::Replay => error.retry_after(),
            ErrorClass::WaitPair => Some(pair_wait(item.attempts)),
            ErrorClass::Ambiguous => {
                let doublings = item.counted.min(16);
                Some(self.settings.uncertain_wait.saturating_mul(1 << doublings).min(LONGEST_UNCERTAIN_WAIT))
            }
            ErrorClass::WaitNumber => Some(self.hold(lane, error, THROUGHPUT_WAIT)),
            ErrorClass::WaitApp => Some(self.hold(lane, error, APP_LIMIT_WAIT)),
            ErrorClass::WaitMaintenance => Some(self.hold(lane, error, MAINTENANCE_WAIT)),
            ErrorClass::StopChannel => {
                // Whoever mends it does not want to wait for what the answer said before.
                let wait = error.retry_after().unwrap_or(STOPPED_CHANNEL_WAIT).min(2 * STOPPED_CHANNEL_WAIT);
                if self.gates.close(&channel.name, Instant::now(), wait) {
                    tracing::error!(
                        channel = &*lane.channel, reason = refusal.reason, error = %refusal.error,
                        "Meta refuses all sends of this channel; its queue is kept and tried again until it is mended"
                    );
                }
                // Not this message's fault: it waits as long as policy allows any message to.
                if age(item, now()).saturating_add(wait) > policy.max_age {
                    return Step::Done(Outcome::Dead(refusal));
                }
                return Step::Defer { refusal: Refusal { attempt: Attempt::None, ..refusal }, wait };
            }
        };
        failed(item, now(), policy, refusal, least)
    }

    /// Closes the channel's gate for what Graph asked for, or else `default`.
    fn hold(&self, lane: &Lane, error: &SendError, default: Duration) -> Duration {
        let wait = error.retry_after().unwrap_or(default);
        if self.gates.close(&lane.channel, Instant::now(), wait) {
            tracing::warn!(
                channel = &*lane.channel,
                reason = error.reason(),
                wait_ms = wait.as_millis(),
                "Meta limits this channel, its sends wait"
            );
        }
        wait
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

fn untouched(reason: &'static str) -> Refusal {
    Refusal { reason, error: String::new(), attempt: Attempt::None, uncertain: false, doubt: None }
}
