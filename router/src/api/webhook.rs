//! `GET` and `POST /webhook`: what Meta calls. 200 means stored, and nothing else does.

use std::{sync::Arc, time::Duration};

use poem::{Request, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Header, Query},
    payload::{Json, PlainText},
    types::Example,
};
use secrecy::ExposeSecret;
use service::http::{Problem, body::read_admitted};
use whatsapp::{
    signature::{self, SignatureError},
    webhook,
};

use super::{body_room::BodyRoom, refusals::Refusals, request_ids::RequestIds, signed_body::SignedBody};
use crate::{
    clock::Clock,
    intake::{Intake, Plan, named, not_spoken_for, plan},
    metrics::RouterMetrics,
    routing::{LiveTable, Table},
    store::{Accepted, NewInbound, StoreError},
};

/// Meta sends a body at once; whoever drips one must not hold its memory for long.
const BODY_TIME: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub struct WebhookApi {
    pub intake: Arc<dyn Intake>,
    pub table: LiveTable,
    pub metrics: RouterMetrics,
    pub room: BodyRoom,
    pub clock: Clock,
    pub refusals: Refusals,
}

/// What became of a webhook.
#[derive(Debug, Object)]
#[oai(example)]
struct Receipt {
    /// `ok`: everything in it is stored. `ignored`: there was nothing in it for this router.
    status: String,
}

impl Example for Receipt {
    fn example() -> Self {
        Self { status: "ok".to_owned() }
    }
}

#[derive(ApiResponse)]
enum ReceiveResponse {
    /// Everything in it is on disk, or was before. Meta will not send it again.
    #[oai(status = 200)]
    Done(Json<Receipt>),
    /// The body is not JSON (`invalid_json`) or broke off (`invalid_request`).
    #[oai(status = 400, content_type = "application/problem+json")]
    NotJson(Json<Problem>),
    /// The signature is missing, malformed or wrong (`signature_missing`, `signature_malformed`,
    /// `signature_mismatch`). Nothing is stored.
    #[oai(status = 403, content_type = "application/problem+json")]
    Forbidden(Json<Problem>),
    /// The body did not come in time. Nothing is stored.
    #[oai(status = 408, content_type = "application/problem+json")]
    TooSlow(Json<Problem>),
    /// The body is longer than 3 MiB, which is Meta's own limit.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<Problem>),
    /// The store can't take it now: nothing is stored, Meta sends it again.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(Json<Problem>),
}

#[derive(ApiResponse)]
enum VerifyResponse {
    /// Exactly `hub.challenge`.
    #[oai(status = 200)]
    Challenge(PlainText<String>),
    /// A parameter is missing.
    #[oai(status = 400, content_type = "application/problem+json")]
    Missing(Json<Problem>),
    /// The token is not the one configured, or the mode is not `subscribe` (`verification_refused`).
    #[oai(status = 403, content_type = "application/problem+json")]
    Refused(Json<Problem>),
}

/// Called by Meta
#[OpenApi(tag = "super::RouterTag::Webhook")]
impl WebhookApi {
    /// Confirm the webhook's address
    ///
    /// Meta calls this when the callback URL or the verify token is entered in the app's dashboard.
    #[oai(path = "/webhook", method = "get", operation_id = "verifyWebhook")]
    async fn verify(
        &self,
        /// Always `subscribe`.
        #[oai(name = "hub.mode")]
        mode: Query<Option<String>>,
        /// The verify token that was entered in the dashboard.
        #[oai(name = "hub.verify_token")]
        token: Query<Option<String>>,
        /// To be sent back as it is.
        #[oai(name = "hub.challenge")]
        challenge: Query<Option<String>>,
    ) -> VerifyResponse {
        let (Some(mode), Some(token), Some(challenge)) = (&mode.0, &token.0, challenge.0) else {
            let detail = "hub.mode, hub.verify_token and hub.challenge are all needed: this address is for Meta's check";
            return VerifyResponse::Missing(Json(Problem::bad_request(detail)));
        };
        // Every channel is compared, so that the time does not tell which one it was.
        let known = self.table.load().channels().fold(false, |known, channel| {
            known
                | signature::constant_time_eq(
                    channel.verify_token.expose_secret().as_bytes(),
                    token.as_bytes(),
                )
        });
        if mode != "subscribe" || !known {
            tracing::warn!(mode_ok = mode == "subscribe", token_ok = known, "webhook verification refused");
            let detail = "hub.mode has to be subscribe and hub.verify_token the one that the router was given \
                          (WHATSAPP_WEBHOOK_VERIFY_TOKEN)";
            let problem = Problem::forbidden(detail).with_code("verification_refused");
            return VerifyResponse::Refused(Json(problem));
        }
        tracing::info!("webhook address verified");
        VerifyResponse::Challenge(PlainText(challenge))
    }

    /// Receive messages, statuses and changes
    ///
    /// Meta calls this with batches of up to 1,000 updates. The answer is 200 only when everything in the batch
    /// is on disk; what was delivered before is recognised and neither stored nor answered twice.
    ///
    /// Trying it out here gives 403, because this page can't sign. The sandbox's `POST /webhooks` signs a body and
    /// posts it.
    #[oai(path = "/webhook", method = "post", operation_id = "receiveWebhook")]
    async fn receive(
        &self,
        /// `sha256=` and 64 hexadecimal digits: the HMAC-SHA256 of the body's bytes under the app secret.
        #[oai(name = "X-Hub-Signature-256")]
        signature: Header<Option<String>>,
        request: &Request,
        body: SignedBody,
    ) -> ReceiveResponse {
        let mut held = self.room.enter();
        let reading =
            read_admitted(request.headers(), body.0, webhook::MAX_BYTES, |length| held.grow(length));
        let read = tokio::time::timeout(BODY_TIME, reading).await;
        let body = match read.unwrap_or_else(|_| Err(Problem::too_slow())) {
            Ok(body) => body,
            Err(problem) if problem.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return ReceiveResponse::TooLarge(Json(problem));
            }
            Err(problem) if problem.status() == StatusCode::REQUEST_TIMEOUT => {
                return ReceiveResponse::TooSlow(Json(problem));
            }
            Err(problem) if problem.status() == StatusCode::SERVICE_UNAVAILABLE => {
                return ReceiveResponse::Unavailable(Json(problem));
            }
            Err(problem) => return ReceiveResponse::NotJson(Json(problem)),
        };
        let ids = RequestIds::of(request);
        let table = self.table.load();
        if table.channels().next().is_none() {
            let problem = Problem::unavailable("no channel is configured yet; send it again");
            return ReceiveResponse::Unavailable(Json(problem));
        }
        let signer = match self.check_signature(&table, &body, signature.0.as_deref(), ids) {
            Ok(signer) => signer,
            Err(problem) => return ReceiveResponse::Forbidden(Json(problem)),
        };
        let plan = match webhook::parse(&body) {
            Ok(webhook) => {
                let others = signer.map(|signer| not_spoken_for(signer, &webhook, &table));
                if let Some(others) = others.filter(|others| !others.is_empty()) {
                    return ReceiveResponse::Forbidden(Json(self.refuse_stranger(&others, ids)));
                }
                plan(webhook, body.clone(), &table, self.clock.now())
            }
            Err(error) => {
                let problem = Problem::bad_request(error.to_string()).with_code("invalid_json");
                return ReceiveResponse::NotJson(Json(problem));
            }
        };
        self.store(plan, ids).await
    }
}

impl WebhookApi {
    /// Which of the table's app secrets signed it; `None`: unsigned ones are allowed.
    fn check_signature(
        &self,
        table: &Table,
        body: &[u8],
        header: Option<&str>,
        ids: RequestIds<'_>,
    ) -> Result<Option<usize>, Problem> {
        if table.allows_unsigned() {
            return Ok(None);
        }
        signature::verify(table.app_secrets(), body, header).map(Some).map_err(|error| {
            // Only what was signed, as Meta would after a change of its secret.
            let claims_to_be_signed = error == SignatureError::Mismatch;
            let channels = if claims_to_be_signed { named(body, table) } else { Vec::new() };
            self.metrics.signatures.refused(error, &channels);
            self.intake.refused(&channels);
            self.refusals.tell(error.as_str(), &error.to_string(), ids);
            Problem::forbidden(error.to_string()).with_code(match error {
                SignatureError::Missing => "signature_missing",
                SignatureError::Malformed => "signature_malformed",
                SignatureError::Mismatch => "signature_mismatch",
            })
        })
    }

    /// 403 and not 200: should the secrets of two channels have been mixed up, Meta has the messages for seven days.
    fn refuse_stranger(&self, channels: &[Arc<str>], ids: RequestIds<'_>) -> Problem {
        self.metrics.signatures.refused_for_another(channels);
        self.intake.refused(channels);
        let why = "it was signed with the app secret of another channel than the one that it names";
        self.refusals.tell("other_channel", why, ids);
        let detail = "the webhook is signed with the app secret of another channel than the one that it names; give \
                      the channel the secret of the app that is subscribed to its account";
        Problem::forbidden(detail).with_code("signature_of_other_channel")
    }

    async fn store(&self, plan: Plan, ids: RequestIds<'_>) -> ReceiveResponse {
        let Plan { mut delivery, foreign, awaited, unanswerable } = plan;
        let receipt = |status| if awaited > 0 { not_yet(awaited, ids) } else { receipt(status) };
        let (request_id, trace_id) = (ids.request_id(), ids.trace_id());
        if let Some(trace) = ids.trace() {
            delivery.trace_by(trace.context);
        }
        if foreign.items() > 0 {
            self.metrics.foreign.inc_by(foreign.items() as u64);
            self.intake.foreign(&foreign);
            tracing::warn!(
                request_id,
                trace_id,
                items = foreign.items(),
                "webhook has items for a phone number that is no channel of this router"
            );
        }
        if unanswerable > 0 {
            tracing::warn!(
                request_id,
                trace_id,
                items = unanswerable,
                "webhook has messages that name no sender or can't be read: kept, not answered"
            );
        }
        if delivery.is_empty() {
            return receipt("ignored");
        }
        let messages = delivery.messages.clone();
        let statuses: Vec<_> = delivery.statuses.iter().map(|status| status.state).collect();
        let (events, echoes) = (delivery.events.len(), delivery.echoes.len());
        match self.intake.accept(delivery).await {
            Ok(accepted) => {
                self.report(&messages, &accepted);
                for state in statuses {
                    self.metrics.statuses.with_label_values(&[state.as_str()]).inc();
                }
                self.metrics.events.inc_by(events as u64);
                self.metrics.flow.echoes.inc_by(echoes as u64);
                receipt("ok")
            }
            Err(error) => {
                ids.told();
                tracing::warn!(
                    request_id, trace_id = ids.trace_id_of_failure(), %error, messages = messages.len(),
                    "webhook not stored, Meta will send it again"
                );
                let detail = match error {
                    StoreError::Busy => "more webhooks are waiting than can be stored; send it again",
                    StoreError::Full => "as many messages are waiting as are allowed to; send it again",
                    _ => "the store can't take it now; send it again",
                };
                ReceiveResponse::Unavailable(Json(Problem::unavailable(detail)))
            }
        }
    }

    fn report(&self, messages: &[NewInbound], accepted: &Accepted) {
        self.metrics.duplicates.inc_by(accepted.duplicates as u64);
        let waits = self.intake.rests();
        for (message, _) in messages.iter().zip(&accepted.new_messages).filter(|(_, new)| **new) {
            self.metrics.received.with_label_values(&[&message.channel, message.message_type]).inc();
            tracing::info!(
                correlation_id = %message.id,
                trace_id = message.trace.map(|trace| tracing::field::display(trace.trace)),
                channel = &*message.channel, r#type = message.message_type, waits,
                "message received"
            );
        }
    }
}

/// What else was in the webhook is stored by now, and will be recognised when it comes again.
fn not_yet(items: usize, ids: RequestIds<'_>) -> ReceiveResponse {
    ids.told();
    tracing::warn!(
        request_id = ids.request_id(),
        trace_id = ids.trace_id_of_failure(),
        items,
        "webhook has items for a channel that can't be used yet, or that may be in what can't be read: Meta will send them again"
    );
    let detail =
        "a channel of this webhook can't be used yet, or its configuration can't be read: send it again";
    ReceiveResponse::Unavailable(Json(Problem::unavailable(detail)))
}

fn receipt(status: &str) -> ReceiveResponse {
    ReceiveResponse::Done(Json(Receipt { status: status.to_owned() }))
}
