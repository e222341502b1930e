//! The API: one call.

mod answer;
mod request;

use poem::Request;
use poem_openapi::{ApiResponse, OpenApi, Tags, payload::Json};
use prometheus::IntCounter;
use service::{
    http::{Problem, RequestFacts, RequestTrace, request_id::is_identifier},
    metrics::Metrics,
    signing::{self, Signer},
};

use self::{
    answer::Answer,
    request::{Incoming, ProcessBody},
};
use crate::reply::{NUMBERS, reply};

#[derive(Tags)]
enum ApiTag {
    /// Turning messages into replies.
    #[oai(rename = "messages")]
    Messages,
}

/// What a call needs, made once.
#[derive(Debug, Clone)]
pub struct Api {
    answered: IntCounter,
    refused: IntCounter,
    signer: Option<Signer>,
}

impl Api {
    /// Registers `whatsapp_server_messages_processed_total{outcome}`.
    pub fn new(metrics: &Metrics) -> Self {
        let processed =
            metrics.counter_vec("messages_processed_total", "Messages by what became of them", &["outcome"]);
        let [answered, refused] =
            ["answered", "refused"].map(|outcome| processed.with_label_values(&[outcome]));
        Self { answered, refused, signer: None }
    }

    /// Only calls that it signed are answered.
    #[must_use]
    pub fn with_signer(mut self, signer: Option<Signer>) -> Self {
        self.signer = signer;
        self
    }

    fn check(&self, request: &Request, body: &[u8]) -> Result<(), Problem> {
        let Some(signer) = &self.signer else { return Ok(()) };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let [id, timestamp, signature] =
            [signing::ID, signing::TIMESTAMP, signing::SIGNATURE].map(|name| request.header(name));
        signer
            .verify(id, timestamp, signature, body, now)
            .map_err(|error| Problem::unauthorized(error.to_string()).with_code("signature_refused"))
    }
}

#[derive(ApiResponse)]
#[expect(dead_code, reason = "the edge writes the errors; they are here to be documented")]
enum ProcessAnswer {
    /// The reply to the message.
    #[oai(status = 200)]
    Ok(Answer),
    /// The body is not a JSON object with a string `text`; `detail` says what is wrong. Code `invalid_request`.
    #[oai(status = 400, content_type = "application/problem+json")]
    Invalid(Json<Problem>),
    /// The server was given `SERVER_SIGNING_SECRET`, and this call is not signed with it. Code `signature_refused`.
    #[oai(status = 401, content_type = "application/problem+json")]
    Unsigned(Json<Problem>),
    /// The body did not come in time; the same request may be sent again. Code `request_timeout`.
    #[oai(status = 408, content_type = "application/problem+json")]
    TooSlow(Json<Problem>),
    /// The body is longer than 1 MiB. Code `payload_too_large`.
    #[oai(status = 413, content_type = "application/problem+json")]
    TooLarge(Json<Problem>),
    /// Something went wrong in the server; the same request may be sent again. Code `internal_error`.
    #[oai(status = 500, content_type = "application/problem+json")]
    Internal(Json<Problem>),
}

#[OpenApi(tag = "ApiTag::Messages")]
impl Api {
    /// Reply to a message
    ///
    /// Takes the text of a message and answers with the reply that the router sends back to the person. Works the
    /// same without a `Content-Type`. Any backend that answers this call can take the server's place.
    #[oai(
        path = "/process",
        method = "post",
        operation_id = "processMessage",
        request_header(
            name = "X-Correlation-Id",
            ty = "Option<String>",
            description = "Written to the log beside the request id: 1 to 128 of `A-Z a-z 0-9 . _ -`, else ignored."
        )
    )]
    async fn process(&self, body: ProcessBody<'_>) -> poem::Result<ProcessAnswer> {
        let answer = body.bytes.and_then(|bytes| {
            self.check(body.request, &bytes)?;
            let incoming = Incoming::parse(&bytes).map_err(Problem::bad_request)?;
            Ok(Answer::new(&incoming.text, reply(&incoming.text, rand::random_range(NUMBERS))))
        });
        let outcome = match &answer {
            Ok(_) => &self.answered,
            Err(_) => &self.refused,
        };
        outcome.inc();
        log(body.request, answer.is_ok());
        Ok(ProcessAnswer::Ok(answer?))
    }
}

/// One line per message, without its text.
fn log(request: &Request, answered: bool) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let facts = RequestFacts::of(request);
    let request_id = facts.map(|facts| facts.id().as_str());
    let correlation_id = request.header("x-correlation-id").filter(|id| is_identifier(id.as_bytes()));
    let trace_id = facts.and_then(RequestFacts::trace).and_then(RequestTrace::trace_id);
    tracing::info!(request_id, trace_id, correlation_id, answered, "message processed");
}
