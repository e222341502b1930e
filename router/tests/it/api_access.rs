//! Who is let in to the API.

use reqwest::Method;

use crate::{
    api_client::{KEY, OTHER_KEY, call, with_keys},
    harness::{builder, start},
};

const CLOSED: [(&str, &str); 15] = [
    ("GET", "/api/v1/messages"),
    ("POST", "/api/v1/messages"),
    ("GET", "/api/v1/messages/019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b"),
    ("GET", "/api/v1/conversations"),
    ("POST", "/api/v1/conversations/1/takeover"),
    ("POST", "/api/v1/conversations/1/release"),
    ("GET", "/api/v1/dead-letters"),
    ("POST", "/api/v1/dead-letters/replay"),
    ("DELETE", "/api/v1/dead-letters/019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b"),
    ("GET", "/api/v1/ledger"),
    ("GET", "/api/v1/channels"),
    ("GET", "/api/v1/channels/default"),
    ("GET", "/api/v1/routes"),
    ("GET", "/api/v1/routes/default"),
    ("GET", "/api/v1/conversations/not-a-number"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_call_needs_a_key_before_anything_else_is_looked_at() {
    let stack = with_keys().start().await.unwrap();
    for (method, path) in CLOSED {
        let method: Method = method.parse().unwrap();
        for headers in [&[][..], &[("authorization", "Bearer wrong-key-of-the-tests")], &[("x-api-key", "")]]
        {
            let answer = call(&stack, method.clone(), path, headers, None).await;
            assert_eq!(answer.code(), (401, "unauthorized"), "{method} {path}: {}", answer.body);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert!(answer.body["request_id"].is_string());
        }
    }
    let bearer = format!("Bearer {KEY}");
    for headers in [("authorization", bearer.as_str()), ("x-api-key", KEY), ("x-api-key", OTHER_KEY)] {
        let answer = call(&stack, Method::GET, "/api/v1/ledger", &[headers], None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let log = stack.router_output();
    assert!(!log.contains(KEY) && !log.contains("wrong-key"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_the_api_is_closed_and_says_how_to_open_it() {
    let stack = start().await;
    for (method, path) in CLOSED {
        let answer = call(&stack, method.parse().unwrap(), path, &[("x-api-key", KEY)], None).await;
        assert_eq!(answer.code(), (403, "no_api_keys"), "{method} {path}");
        assert!(answer.body["detail"].as_str().unwrap().contains("ROUTER_API_KEYS"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_too_short_stops_the_start() {
    let error = builder().router_env("ROUTER_API_KEYS", "short-key").start().await.unwrap_err().to_string();
    assert!(error.contains("ROUTER_API_KEYS") && error.contains("16 characters"), "{error}");
    assert!(!error.contains("short-key"), "{error}");
}
