//! Calls a backend over HTTP and sorts what can go wrong by what it means for the next attempt.

use std::time::{Duration, Instant};

use reqwest::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use service::{
    metrics::HttpClientMetrics,
    signing::{self, Signer},
};
use url::Url;

use super::answer::{Answer, Unreadable, read_answer};
use crate::{
    routing::Backend,
    store::{Attempt, MessageId, now},
};

/// An answer larger than this is a mistake: WhatsApp takes 4,096 characters a message.
const LARGEST_ANSWER: usize = 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A backend that asks for more is asked earlier all the same: its chats would wait for nothing.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Shorter than common servers keep an idle connection (uvicorn: 5 s), so that none is used at the very moment at
/// which the other side closes it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    #[error("the backend can't be reached: {0}")]
    Unreachable(String),
    #[error("the backend did not answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("the connection to the backend broke: {0}")]
    Broken(String),
    #[error("the backend answered {status}")]
    Status { status: u16, retry_after: Option<Duration> },
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl BackendError {
    /// A bounded label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "backend_unreachable",
            Self::Timeout(_) => "backend_timeout",
            Self::Broken(_) => "backend_connection_broken",
            Self::Status { status: 400..=499, .. } => "backend_refused",
            Self::Status { .. } => "backend_error",
            Self::Unreadable(_) => "backend_answer_unreadable",
        }
    }

    /// The backend has understood and refused: asking again would get the same answer.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Status { status: 400..=499, .. })
            && !matches!(self, Self::Status { status: 408 | 425 | 429, .. })
    }

    /// An outage of the backend is not held against the message.
    pub fn attempt(&self) -> Attempt {
        match self {
            Self::Unreachable(_) | Self::Status { status: 429 | 502 | 503 | 504, .. } => Attempt::Free,
            Self::Timeout(_) | Self::Broken(_) | Self::Status { .. } | Self::Unreadable(_) => {
                Attempt::Counted
            }
        }
    }

    /// The backend as a whole does not work, as far as one call can tell.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_)
                | Self::Timeout(_)
                | Self::Broken(_)
                | Self::Status { status: 500..=599, .. }
        )
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// One call of a backend.
#[derive(Debug)]
pub struct Post<'a> {
    /// The same over all attempts, so that the backend can recognise a repeated call.
    pub id: MessageId,
    pub body: Vec<u8>,
    pub timeout: Duration,
    pub signer: Option<&'a Signer>,
    /// W3C Trace Context.
    pub traceparent: Option<String>,
}

/// Keeps connections to backends open between calls.
#[derive(Debug, Clone)]
pub struct BackendClient {
    http: reqwest::Client,
    metrics: HttpClientMetrics,
}

impl BackendClient {
    pub fn new(metrics: HttpClientMetrics) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            // What is known of a failed call is known of HTTP/1.1, one call to a connection.
            .http1_only()
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(usize::MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .user_agent(concat!("whatsapp-router/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, metrics })
    }

    /// The answer, and the status that came before it, if one came.
    pub async fn process(
        &self,
        backend: &Backend,
        post: Post<'_>,
    ) -> (Option<u16>, Result<Answer, BackendError>) {
        let (started, timeout) = (Instant::now(), post.timeout);
        let mut status = None;
        let exchange = self.exchange(&backend.process_url, post, &mut status);
        let body = tokio::time::timeout(timeout, exchange).await;
        let took = started.elapsed();
        let body = body.unwrap_or(Err(BackendError::Timeout(timeout)));
        let status = status.map(|status| status.as_u16());
        let answer = body.and_then(|body| Ok(read_answer(&body)?));
        let failure = answer.as_ref().err().map(BackendError::reason);
        self.metrics.observe(&poem::http::Method::POST, backend.callee.host(), status, failure, took);
        (status, answer)
    }

    async fn exchange(
        &self,
        url: &Url,
        post: Post<'_>,
        answered: &mut Option<StatusCode>,
    ) -> Result<Vec<u8>, BackendError> {
        let id = post.id.to_string();
        let mut request = self
            .http
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &id)
            .header("x-correlation-id", &id);
        if let Some(signer) = post.signer {
            // The receiver compares it with its own clock, whatever a test does to ours.
            let timestamp = now() / 1_000_000;
            request = request
                .header(signing::ID, &id)
                .header(signing::TIMESTAMP, timestamp)
                .header(signing::SIGNATURE, signer.sign(&id, timestamp, &post.body));
        }
        if let Some(traceparent) = post.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let mut response = request.body(post.body).send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        *answered = Some(status);
        if !status.is_success() {
            let retry_after = retry_after(response.headers());
            return Err(BackendError::Status { status: status.as_u16(), retry_after });
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
            if answer.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Unreadable(format!("it is larger than {LARGEST_ANSWER} bytes")).into());
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

fn broken(error: &reqwest::Error) -> BackendError {
    let text = root_cause(error);
    if error.is_connect() { BackendError::Unreachable(text) } else { BackendError::Broken(text) }
}

/// The innermost message, which says what happened; the outer ones repeat the URL.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Seconds only: the date form is not worth a dependency, and nobody's backend sends it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> BackendError {
        BackendError::Status { status, retry_after: None }
    }

    #[test]
    fn what_each_failure_means_for_the_next_attempt() {
        for (error, is_final, attempt) in [
            (status(400), true, Attempt::Counted),
            (status(404), true, Attempt::Counted),
            (status(408), false, Attempt::Counted),
            (status(425), false, Attempt::Counted),
            (status(429), false, Attempt::Free),
            (status(302), false, Attempt::Counted),
            (status(500), false, Attempt::Counted),
            (status(503), false, Attempt::Free),
            (BackendError::Unreachable(String::new()), false, Attempt::Free),
            (BackendError::Timeout(Duration::ZERO), false, Attempt::Counted),
            (BackendError::Unreadable(Unreadable(String::new())), false, Attempt::Counted),
        ] {
            assert_eq!((error.is_final(), error.attempt()), (is_final, attempt), "{error:?}");
        }
    }
}
