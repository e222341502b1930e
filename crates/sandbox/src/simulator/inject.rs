//! `POST /webhooks`: a raw body of the caller's own making goes to the router once, and the router's answer comes back.

use bytes::Bytes;
use hyper::{Request, StatusCode, body::Incoming};
use secrecy::SecretString;
use serde_json::json;

use super::{
    http::{self, Reply},
    shared::Shared,
    webhooks::post::WebhookAnswer,
};

/// Beyond the router's own limit of 3 MiB, so that the limit can be tried out.
const LARGEST: usize = 8 * 1024 * 1024;

/// How an injected webhook is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// With the right app secret.
    Right,
    /// With a secret that nobody knows.
    WrongSecret,
    Unsigned,
    /// With this value of `X-Hub-Signature-256`, whatever it is.
    Verbatim(String),
}

/// Why a webhook could not be posted at all.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    #[error("the router's webhook address is not set, set ROUTER_WEBHOOK_URL")]
    NoRouter,
    #[error("the router did not answer: {0}")]
    NoAnswer(#[from] reqwest::Error),
    #[error("the router did not answer in time")]
    TimedOut,
}

/// Posts the body to the router, once.
pub(crate) async fn inject(
    shared: &Shared,
    body: Bytes,
    signing: Signing,
) -> Result<WebhookAnswer, InjectError> {
    if shared.options.keep_injected {
        shared.records.keep_injected(body.clone());
    }
    let url = shared.webhooks.url().ok_or(InjectError::NoRouter)?;
    let poster = &shared.webhooks.poster;
    let signature = match signing {
        Signing::Right => Some(poster.sign(&body)),
        Signing::WrongSecret => {
            let nobody_s = SecretString::from(format!("wrong-{}", rand::random::<u64>()));
            Some(whatsapp::signature::sign(&nobody_s, &body))
        }
        Signing::Unsigned => None,
        Signing::Verbatim(value) => Some(value),
    };
    Ok(poster.post(&url, body, signature.as_deref()).await?)
}

pub(crate) async fn answer(shared: &Shared, request: Request<Incoming>) -> Reply {
    let uri = request.uri().clone();
    let signing =
        if uri.query().is_some_and(|query| query.split('&').any(|part| part.starts_with("unsigned"))) {
            Signing::Unsigned
        } else {
            match http::query(&uri, "secret").as_deref() {
                None => Signing::Right,
                Some("wrong") => Signing::WrongSecret,
                Some(_) => {
                    let detail = "secret can only be \"wrong\"; leave it out for a right signature";
                    return http::problem(StatusCode::BAD_REQUEST, "invalid_query", detail);
                }
            }
        };
    let body = match http::read(request.into_body(), LARGEST).await {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    match inject(shared, body, signing).await {
        Ok(WebhookAnswer { status, body }) => {
            let body = serde_json::from_str(&body).unwrap_or(serde_json::Value::String(body));
            http::ok(&json!({"status": status, "body": body}))
        }
        Err(error) => http::problem(StatusCode::BAD_GATEWAY, "router_unreachable", &error.to_string()),
    }
}
