//! A caller of the router's API.

use std::time::Duration;

use reqwest::{Method, header::HeaderMap};
use sandbox::stack::{Stack, StackBuilder};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, builder};

pub(crate) const KEY: &str = "a-key-of-the-tests-0123456789";
pub(crate) const OTHER_KEY: &str = "another-key-of-the-tests-01234";

/// A stack whose API takes two keys.
pub(crate) fn with_keys() -> StackBuilder {
    builder().router_env("ROUTER_API_KEYS", format!("{KEY}, {OTHER_KEY}"))
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

/// With exactly these headers.
pub(crate) async fn call(
    stack: &Stack,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Answer {
    let mut request = reqwest::Client::new().request(method, format!("{}{path}", stack.router_url()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.body(body.to_string());
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
    Answer { status, headers, body }
}

fn auth() -> (&'static str, &'static str) {
    ("x-api-key", KEY)
}

pub(crate) async fn get(stack: &Stack, path: &str) -> Answer {
    call(stack, Method::GET, path, &[auth()], None).await
}

pub(crate) async fn post(stack: &Stack, path: &str, body: &Value) -> Answer {
    call(stack, Method::POST, path, &[auth()], Some(body)).await
}

pub(crate) async fn delete(stack: &Stack, path: &str) -> Answer {
    call(stack, Method::DELETE, path, &[auth()], None).await
}

/// A text to somebody who may never have written.
pub(crate) fn text(to: &str, body: &str) -> Value {
    json!({"to": to, "type": "text", "text": {"body": body}})
}

pub(crate) async fn send(stack: &Stack, key: Option<&str>, body: &Value) -> Answer {
    let mut headers = vec![auth()];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    call(stack, Method::POST, "/api/v1/messages?force=true", &headers, Some(body)).await
}

/// All items of a list, page by page.
pub(crate) async fn all(stack: &Stack, path: &str, limit: usize) -> Vec<Value> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(stack, &format!("{path}{joint}limit={limit}&cursor={cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        items.extend(page.body["items"].as_array().unwrap().iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return items,
        }
    }
}

/// Asks until the answer is as wanted.
pub(crate) async fn until(stack: &Stack, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = get(stack, path).await;
        if wanted(&answer) {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "{path} stays at {}", answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The account adds up at this very moment.
pub(crate) async fn balanced(stack: &Stack) -> Value {
    let ledger = get(stack, "/api/v1/ledger").await;
    assert_eq!((ledger.status, &ledger.body["balanced"]), (200, &json!(true)), "{}", ledger.body);
    ledger.body
}
