//! Sends through the Graph API, and says of every failure whether the message may have gone out.

mod answer;
mod failure;
mod fenced;
mod number;

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{
    Method, RequestBuilder, Response,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use url::Url;

pub use self::{
    answer::Sent,
    failure::SendError,
    number::{InvalidNumber, Number},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Graph's answers are small; a larger one comes from something in between.
const LARGEST_ANSWER: usize = 256 * 1024;

/// A connection pool to one Graph API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    /// `timeout` is for a whole call. The environment's proxy settings are not used, redirects are not followed.
    pub fn new(base_url: Url, timeout: Duration) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            // Always before the whole call's: only of a connection that did not come about is it known that
            // nothing was sent.
            .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            // What is known of a failed call is known of HTTP/1.1, one call to a connection.
            .http1_only()
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

    /// Where the Graph API is.
    pub fn base_url(&self) -> &Url {
        &self.base
    }

    /// `POST /{phone-number-id}/messages` with a body from [`crate::outbound::OutboundMessage::request`]. A
    /// `traceparent` that can't stand in a header is left out.
    pub async fn send_message(
        &self,
        number: &Number,
        body: Bytes,
        traceparent: Option<&str>,
    ) -> Result<Sent, SendError> {
        self.send_message_until(number, body, traceparent, None).await
    }

    /// Shows the person that this message of theirs, and all before it, were read (Meta, mark-message-as-read).
    pub async fn mark_read(&self, number: &Number, wamid: &str) -> Result<(), SendError> {
        let body =
            serde_json::json!({"messaging_product": "whatsapp", "status": "read", "message_id": wamid});
        let request = self.post(number)?.body(body.to_string());
        let mut response = request.send().await.map_err(failure::of_request)?;
        let body = body_of(&mut response).await.map_err(failure::of_answer)?;
        answer::read_done(response.status().as_u16(), response.headers(), &body)
    }

    /// Like [`send_message`](Self::send_message), and the body only leaves before `until`; after that it is
    /// [`SendError::NotSent`].
    pub async fn send_message_until(
        &self,
        number: &Number,
        body: Bytes,
        traceparent: Option<&str>,
        until: Option<Instant>,
    ) -> Result<Sent, SendError> {
        let (body, kept_back) = match until {
            None => (reqwest::Body::from(body), None),
            Some(until) => {
                let (body, kept_back) = fenced::Fenced::new(body, until);
                (reqwest::Body::wrap(body), Some(kept_back))
            }
        };
        let mut request = self.post(number)?.body(body);
        if let Some(traceparent) = traceparent.and_then(|text| HeaderValue::from_str(text).ok()) {
            request = request.header("traceparent", traceparent);
        }
        let mut response = request.send().await.map_err(|error| match kept_back {
            Some(kept_back) if kept_back.load(Ordering::Relaxed) => {
                SendError::NotSent("it was too late to send".to_owned())
            }
            _ => failure::of_request(error),
        })?;
        let body = body_of(&mut response).await.map_err(failure::of_answer)?;
        answer::read(response.status().as_u16(), response.headers(), &body)
    }

    fn post(&self, number: &Number) -> Result<RequestBuilder, SendError> {
        let url =
            self.base.join(number.messages_path()).map_err(|error| SendError::NotSent(error.to_string()))?;
        let request = self.http.request(Method::POST, url);
        Ok(request
            .header(AUTHORIZATION, number.authorization().clone())
            .header(CONTENT_TYPE, "application/json"))
    }
}

/// The body; empty when it is too large to be Graph's.
async fn body_of(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Ok(Vec::new());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
