//! What monitoring is told: the queues, the breakers and the limits, when all is well and when it is not.

use serde_json::json;

use crate::{
    api_client::{call, get, send, text, until, with_keys},
    harness::{PHONE_NUMBER_ID, envelope, faults, idle, replies, text_message, value, webhook},
};

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_tells_when_nothing_is_wrong_and_only_to_those_with_a_key() {
    let stack = with_keys().start().await.unwrap();
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    replies(&stack, 1).await;
    idle(&stack).await;
    let health = get(&stack, "/monitoring/queue/health").await;
    let empty = json!({"ready": 0, "in_progress": 0, "delayed": 0, "oldest_age_seconds": null});
    for (field, value) in [
        ("status", json!("ok")),
        ("reasons", json!([])),
        ("inbox", empty.clone()),
        ("outbox", empty),
        ("dead_letters", json!(0)),
    ] {
        assert_eq!(health.body[field], value, "{field}: {}", health.body);
    }
    let breakers = health.body["breakers"].as_array().unwrap();
    assert!(
        breakers.iter().any(|breaker| breaker["kind"] == "backend" && breaker["state"] == "closed"),
        "{breakers:?}"
    );

    let limits = get(&stack, "/rate-limit/health").await;
    assert_eq!(
        (&limits.body["status"], &limits.body["channels"][0]["channel"]),
        (&json!("ok"), &json!("default"))
    );
    for phone in [PHONE_NUMBER_ID, "15550783881"] {
        let stats = get(&stack, &format!("/rate-limit/stats/{phone}")).await;
        assert_eq!(
            (stats.status, &stats.body["phone_number_id"]),
            (200, &json!(PHONE_NUMBER_ID)),
            "{}",
            stats.body
        );
        let kinds: Vec<_> =
            stats.body["limits"].as_array().unwrap().iter().map(|limit| limit["kind"].clone()).collect();
        assert_eq!(kinds, ["throughput", "business_initiated", "user_initiated"]);
        for limit in stats.body["limits"].as_array().unwrap() {
            assert_eq!((&limit["limit"], &limit["window_seconds"]), (&json!(100_000), &json!(1.0)));
            assert!(limit["used"].is_u64() && limit["remaining"].is_u64(), "{limit}");
        }
    }
    assert_eq!(get(&stack, "/rate-limit/stats/4711").await.code(), (404, "not_found"));
    for path in ["/monitoring/queue/health", "/rate-limit/health", "/rate-limit/stats/1"] {
        assert_eq!(
            call(&stack, reqwest::Method::GET, path, &[], None).await.code(),
            (401, "unauthorized"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_names_dead_letters_and_a_stopped_channel() {
    let stack = with_keys().without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({
        "backend": {"errors": [{"status": 422, "count": 1}]}, "graph": {"errors": [{"code": 190, "rate": 1.0}]}})));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    let reason = |code: &'static str| {
        move |answer: &crate::api_client::Answer| {
            let reasons = answer.body["reasons"].as_array().cloned().unwrap_or_default();
            answer.body["status"] == "degraded" && reasons.iter().any(|reason| reason["code"] == code)
        }
    };
    until(&stack, "/monitoring/queue/health", reason("dead_letters")).await;
    assert_eq!(send(&stack, None, &text("15550100002", "stuck")).await.status, 202);
    let health = until(&stack, "/monitoring/queue/health", reason("channel_stopped")).await;
    assert_eq!((health.status, &health.body["dead_letters"]), (200, &json!(1)));
    let limits = get(&stack, "/rate-limit/health").await;
    assert_eq!(limits.body["status"], "degraded");
    assert!(limits.body["channels"][0]["stopped"]["reason"].is_string(), "{}", limits.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_are_no_channel_are_found_with_a_key() {
    let stack = with_keys().start().await.unwrap();
    let mut foreign = value(json!({"messages": [text_message("15550100001", "wamid.1", "one"),
        text_message("15550100001", "wamid.2", "two")]}));
    foreign["metadata"]["phone_number_id"] = json!("999000111222333");
    assert_eq!(stack.webhook(envelope(&[foreign])).await.unwrap().status, 200);
    let health = get(&stack, "/monitoring/queue/health").await;
    let numbers = &health.body["foreign_numbers"];
    assert_eq!(
        (&numbers[0]["phone_number_id"], &numbers[0]["items"], numbers.as_array().unwrap().len()),
        (&json!("999000111222333"), &json!(2), 1),
        "{numbers}"
    );
    assert!(numbers[0]["last_seen_at"].as_str().unwrap().starts_with("20"), "{numbers}");
}
