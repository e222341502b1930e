//! A simulator with short delays, and the few calls that every test makes.

use std::time::Duration;

use reqwest::{Client, Method, Response};
use sandbox::simulator::{Faults, Simulator, SimulatorOptions, StatusOptions};
use serde_json::{Value, json};

use crate::fake_router::FakeRouter;

pub(crate) const AMARA: &str = "12025550143";
pub(crate) const ZOE: &str = "447700900461";
pub(crate) const TOKEN: &str = "sandbox-access-token";
pub(crate) const NUMBER: &str = "106540352242922";
pub(crate) const SECRET: &str = "sandbox-app-secret";

pub(crate) struct Bench {
    pub(crate) simulator: Simulator,
    pub(crate) router: FakeRouter,
    pub(crate) client: Client,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut SimulatorOptions)) -> Self {
        let router = FakeRouter::start().await;
        let mut options = SimulatorOptions {
            router_webhook_url: Some(router.webhook_url()),
            ..SimulatorOptions::default()
        };
        options.statuses = StatusOptions {
            sent: Some(Duration::from_millis(1)),
            delivered: Some(Duration::from_millis(2)),
            ..StatusOptions::default()
        };
        options.retry.first = Duration::from_millis(10);
        change(&mut options);
        let simulator = Simulator::start(options).await.unwrap();
        Self { simulator, router, client: Client::builder().no_proxy().build().unwrap() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.simulator.url())
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        read(self.client.request(method, self.url(path)).body(body.to_string()).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = read(self.client.get(self.url(path)).send().await.unwrap()).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// As the router calls Graph.
    pub(crate) async fn graph(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let request = self.client.request(method, self.url(path)).bearer_auth(TOKEN).body(body.to_owned());
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn send(&self, body: &Value) -> reqwest::Result<Response> {
        let path = format!("/v25.0/{NUMBER}/messages");
        self.client.post(self.url(&path)).bearer_auth(TOKEN).body(body.to_string()).send().await
    }

    /// Sends a text as the router does; the answer is the message's id.
    pub(crate) async fn send_text(&self, to: &str, text: &str, callback_data: &str) -> String {
        let answer = self.send(&text_message(to, text, callback_data)).await.unwrap();
        let (status, body) = read(answer).await;
        assert_eq!(status, 200, "{body}");
        body["messages"][0]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn faults(&self, faults: Value) {
        self.simulator.set_faults(serde_json::from_value::<Faults>(faults).unwrap());
    }
}

pub(crate) fn text_message(to: &str, text: &str, callback_data: &str) -> Value {
    json!({
        "messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": text},
        "biz_opaque_callback_data": callback_data,
    })
}

pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.text().await.unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

/// Waits until the question is answered with yes.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
