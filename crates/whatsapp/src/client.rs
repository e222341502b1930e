//! Sends through the Graph API, and says of every failure whether the message may have gone out.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use crate::error::{ErrorClass, GraphError, classify};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Graph's answers are small; a larger one comes from something in between.
const LARGEST_ANSWER: usize = 256 * 1024;

/// A number that sends, with its credential. Cheap to use for every send.
pub struct Number {
    phone_number_id: String,
    /// Below the base address.
    messages_path: String,
    authorization: HeaderValue,
}

impl Number {
    /// `api_version` like `v25.0`. A token that can't stand in a header is sent as an empty one, which Meta refuses.
    pub fn new(phone_number_id: &str, api_version: &str, access_token: &SecretString) -> Self {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", access_token.expose_secret()))
            .unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        authorization.set_sensitive(true);
        Self {
            phone_number_id: phone_number_id.to_owned(),
            messages_path: format!("{api_version}/{phone_number_id}/messages"),
            authorization,
        }
    }

    pub fn phone_number_id(&self) -> &str {
        &self.phone_number_id
    }
}

impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Number").field("phone_number_id", &self.phone_number_id).finish_non_exhaustive()
    }
}

/// A connection pool to one Graph API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// Graph took the message; whether it reaches the person, the statuses tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub wamid: String,
    /// `accepted`, `held_for_quality_assessment` or `paused`, when Graph says so.
    pub message_status: Option<String>,
    /// The version of the API that answered (header `facebook-api-version`).
    pub api_version: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection, so nothing was written.
    #[error("the Graph API can't be reached: {0}")]
    NotSent(String),
    #[error("{error}, HTTP {http_status}")]
    Rejected { http_status: u16, error: GraphError, retry_after: Option<Duration> },
    /// The request was, or may have been, written, and no answer tells what became of it.
    #[error("the Graph API may have taken the message: {0}")]
    Ambiguous(String),
}

impl SendError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotSent(_) => ErrorClass::Replay,
            Self::Rejected { http_status, error, .. } => classify(error, Some(*http_status)),
            Self::Ambiguous(_) => ErrorClass::Ambiguous,
        }
    }

    /// A bounded label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "graph_unreachable",
            Self::Rejected { error, .. } => error.reason(),
            Self::Ambiguous(_) => "no_answer",
        }
    }

    /// How long Graph asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Rejected { http_status, .. } => Some(*http_status),
            _ => None,
        }
    }
}

impl Client {
    /// `timeout` is for a whole call. The environment's proxy settings are not used, redirects are not followed.
    pub fn new(base_url: Url, timeout: Duration) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(usize::MAX)
            .user_agent(concat!("whatsapp-router/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let mut base = base_url;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self { http, base })
    }

    /// `POST /{phone-number-id}/messages` with a body from [`crate::outbound::OutboundMessage::request`].
    pub async fn send_message(
        &self,
        number: &Number,
        body: Bytes,
        traceparent: Option<&str>,
    ) -> Result<Sent, SendError> {
        let url =
            self.base.join(&number.messages_path).map_err(|error| SendError::NotSent(error.to_string()))?;
        let mut request = self
            .http
            .request(Method::POST, url)
            .header(AUTHORIZATION, number.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(traceparent) = traceparent {
            request = request.header("traceparent", traceparent);
        }
        let mut response = request.send().await.map_err(|error| {
            let cause = root_cause(&error);
            if error.is_connect() { SendError::NotSent(cause) } else { SendError::Ambiguous(cause) }
        })?;
        let http_status = response.status().as_u16();
        let mut answer = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| SendError::Ambiguous(root_cause(&error)))?
        {
            if answer.len() + chunk.len() > LARGEST_ANSWER {
                return Err(SendError::Ambiguous(format!(
                    "HTTP {http_status} with a body too large to be Graph's"
                )));
            }
            answer.extend_from_slice(&chunk);
        }
        read(http_status, response.headers(), &answer)
    }
}

#[derive(Deserialize)]
struct Accepted {
    messages: Vec<AcceptedMessage>,
}

#[derive(Deserialize)]
struct AcceptedMessage {
    id: String,
    #[serde(default)]
    message_status: Option<String>,
}

/// What an answer means.
fn read(http_status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Sent, SendError> {
    if let Some(error) = GraphError::from_answer(body) {
        return Err(SendError::Rejected { http_status, error, retry_after: retry_after(headers) });
    }
    if !(200..300).contains(&http_status) {
        if matches!(http_status, 400..=499) {
            // Not in Graph's form, so from something in front of it, which did not hand the message on.
            let code = if http_status == 429 { 130_429 } else { -i64::from(http_status) };
            let error = GraphError { code, is_transient: true, ..GraphError::default() };
            return Err(SendError::Rejected { http_status, error, retry_after: retry_after(headers) });
        }
        return Err(SendError::Ambiguous(format!("HTTP {http_status} without an error of Graph's")));
    }
    let message =
        serde_json::from_slice::<Accepted>(body).ok().and_then(|answer| answer.messages.into_iter().next());
    let Some(message) = message else {
        return Err(SendError::Ambiguous(format!("HTTP {http_status} without a message id")));
    };
    let api_version =
        headers.get("facebook-api-version").and_then(|value| value.to_str().ok()).map(str::to_owned);
    Ok(Sent { wamid: message.id, message_status: message.message_status, api_version })
}

/// `Retry-After` in seconds, or the longest `estimated_time_to_regain_access` (minutes) of the usage header.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    if let Some(seconds) = seconds {
        return Some(Duration::from_secs(seconds));
    }
    #[derive(Deserialize)]
    struct Usage {
        #[serde(default)]
        estimated_time_to_regain_access: u64,
    }
    let usage = headers.get("x-business-use-case-usage")?.to_str().ok()?;
    let usage: std::collections::HashMap<String, Vec<Usage>> = serde_json::from_str(usage).ok()?;
    let minutes = usage.into_values().flatten().map(|usage| usage.estimated_time_to_regain_access).max()?;
    (minutes > 0).then(|| Duration::from_secs(minutes * 60))
}

/// The innermost message; the outer ones repeat the address, which holds the number's id.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
