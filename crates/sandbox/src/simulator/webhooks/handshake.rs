//! The GET by which Meta makes sure that a callback address belongs to whoever configured it.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use serde::Serialize;

use crate::simulator::{events::Event, shared::Shared};

/// How the last handshake went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handshake {
    pub ok: bool,
    pub detail: String,
}

/// Asks once and remembers the result.
pub(crate) async fn shake(shared: &Shared) -> Handshake {
    let result = match shared.webhooks.url() {
        None => Handshake { ok: false, detail: "the router's webhook address is not set".to_owned() },
        Some(url) => ask(shared, &url).await,
    };
    let mut last = shared.handshake.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if last.as_ref() != Some(&result) {
        shared.events.emit(&Event::Handshake { ok: result.ok, detail: &result.detail });
    }
    *last = Some(result.clone());
    result
}

/// Asks until the router answers rightly; it may well start after the simulator.
pub(crate) async fn shake_until_ok(shared: Arc<Shared>) {
    let mut wait = Duration::from_millis(500);
    while !shake(&shared).await.ok && shared.sleep(wait).await {
        wait = (wait * 2).min(Duration::from_secs(5));
    }
}

async fn ask(shared: &Shared, url: &str) -> Handshake {
    let challenge = rand::random::<u32>().to_string();
    let token = shared.credentials.verify_token();
    let query = [
        ("hub.mode", "subscribe"),
        ("hub.challenge", &challenge),
        ("hub.verify_token", token.expose_secret()),
    ];
    let Ok(url) = reqwest::Url::parse_with_params(url, query) else {
        return Handshake { ok: false, detail: "the router's webhook address is no URL".to_owned() };
    };
    let answer = match shared.webhooks.poster.client().get(url).send().await {
        Ok(response) => (response.status().as_u16(), response.text().await.unwrap_or_default()),
        // Without the URL, which holds the token.
        Err(error) => return Handshake { ok: false, detail: format!("no answer: {}", error.without_url()) },
    };
    match answer {
        (200, body) if body == challenge => {
            Handshake { ok: true, detail: "the router answered the challenge".to_owned() }
        }
        (200, _) => {
            Handshake { ok: false, detail: "the router answered 200 but not the challenge".to_owned() }
        }
        (403, _) => {
            Handshake { ok: false, detail: "the router answered 403: another verify token".to_owned() }
        }
        (status, _) => {
            Handshake { ok: false, detail: format!("the router answered {status} instead of 200") }
        }
    }
}
