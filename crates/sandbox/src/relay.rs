//! The baseline for load: webhook → `POST /process` → Graph over the same libraries as the router, with the signature
//! checked, but nothing stored and no order kept. What it loses in a crash is lost. Never meant to be deployed.

mod settings;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use poem::{
    Body, EndpointExt, Route, get, handler,
    http::{HeaderMap, StatusCode},
    web::{Data, Query},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use service::{
    http::{Listener, serve},
    metrics::Metrics,
    shutdown::{DRAIN_TIMEOUT, Shutdown},
};
pub use settings::RelaySettings;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whatsapp::{
    client::{Client, InvalidNumber, Number},
    outbound::{OutboundMessage, Recipient},
    signature,
    webhook::{self, ItemKind},
};

/// Messages under way; when there are this many, webhooks wait for their answer.
const UNDER_WAY: usize = 512;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why the relay ended.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    #[error(transparent)]
    Bind(#[from] service::http::BindError),
    #[error("could not prepare the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    #[error(transparent)]
    Number(#[from] InvalidNumber),
    #[error("could not serve: {0}")]
    Serve(#[from] std::io::Error),
}

struct Relay {
    settings: RelaySettings,
    number: Number,
    graph: Client,
    backend: reqwest::Client,
    permits: Arc<Semaphore>,
}

/// Serves until the shutdown begins.
pub async fn run(settings: RelaySettings, shutdown: Shutdown) -> Result<(), RelayError> {
    // Refused when the process has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = Listener::bind(settings.listen, "ROUTER_LISTEN")?;
    let relay = Relay {
        number: Number::new(&settings.phone_number_id, "v25.0", &settings.access_token)?,
        graph: Client::new(settings.graph.clone(), TIMEOUT)?,
        backend: reqwest::Client::builder()
            .timeout(TIMEOUT)
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(usize::MAX)
            .build()?,
        permits: Arc::new(Semaphore::new(UNDER_WAY)),
        settings,
    };
    let app = Route::new()
        .at("/readyz", get(ready))
        .at("/webhook", get(verify).post(receive))
        .data(Arc::new(relay));
    let stop = shutdown.clone();
    let limits = service::http::settings::Limits::default();
    let metrics = Metrics::new("relay", env!("CARGO_PKG_VERSION"), "unknown");
    serve(listener, app, async move { stop.draining().await }, &limits, DRAIN_TIMEOUT, metrics.connections())
        .await?;
    Ok(())
}

#[handler]
fn ready() -> &'static str {
    "ok"
}

#[derive(Deserialize)]
struct Verification {
    #[serde(rename = "hub.challenge")]
    challenge: String,
    #[serde(rename = "hub.verify_token")]
    token: String,
}

#[handler]
fn verify(Data(relay): Data<&Arc<Relay>>, Query(asked): Query<Verification>) -> (StatusCode, String) {
    let known = relay.settings.verify_token.expose_secret().as_bytes();
    if signature::constant_time_eq(known, asked.token.as_bytes()) {
        (StatusCode::OK, asked.challenge)
    } else {
        (StatusCode::FORBIDDEN, String::new())
    }
}

#[handler]
async fn receive(relay: Data<&Arc<Relay>>, headers: &HeaderMap, body: Body) -> StatusCode {
    let Ok(body) = body.into_bytes_limit(webhook::MAX_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE;
    };
    let signed = headers.get(signature::HEADER).and_then(|value| value.to_str().ok());
    if signature::verify(&relay.settings.app_secrets, &body, signed).is_err() {
        return StatusCode::FORBIDDEN;
    }
    let Ok(webhook) = webhook::parse(&body) else { return StatusCode::BAD_REQUEST };
    for item in webhook.items {
        let ItemKind::Message(message) = item.kind else { continue };
        let Some(text) = message.text() else { continue };
        let request = Request { text, message: About { id: &message.id } };
        let Ok(request) = serde_json::to_vec(&request) else { continue };
        // Nobody closes the semaphore.
        let Ok(permit) = Arc::clone(&relay.permits).acquire_owned().await else { continue };
        let to = Recipient { wa_id: message.contact.wa_id, user_id: message.contact.user_id };
        tokio::spawn(pass_on(Arc::clone(&relay), request, to, message.id, permit));
    }
    StatusCode::OK
}

#[derive(Serialize)]
struct Request<'a> {
    text: &'a str,
    message: About<'a>,
}

#[derive(Serialize)]
struct About<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Reply {
    reply: Option<String>,
}

/// A failure is only logged: there is nothing from which it could be tried again.
async fn pass_on(
    relay: Arc<Relay>,
    request: Vec<u8>,
    to: Recipient,
    id: String,
    permit: OwnedSemaphorePermit,
) {
    match answer(&relay, request).await {
        Ok(Some(reply)) => {
            let Ok(body) = OutboundMessage::text(&reply).request(&to, &id) else { return };
            if let Err(error) = relay.graph.send_message(&relay.number, Bytes::from(body), None).await {
                tracing::warn!(%error, "the reply is lost");
            }
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the message is lost"),
    }
    drop(permit);
}

async fn answer(
    relay: &Relay,
    request: Vec<u8>,
) -> Result<Option<String>, Box<dyn std::error::Error + Send + Sync>> {
    let request = relay
        .backend
        .post(relay.settings.process.clone())
        .header(reqwest::header::CONTENT_TYPE, "application/json")
        .body(request);
    let answer = request.send().await?.error_for_status()?.bytes().await?;
    Ok(serde_json::from_slice::<Reply>(&answer)?.reply)
}
