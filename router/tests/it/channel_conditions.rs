//! Whether a channel works is among its conditions: a token that Meta refuses, silence, and an app secret that is wrong.

use reqwest::Method;
use sandbox::{
    simulator::{NewCredentials, Signing},
    stack::Stack,
};
use serde_json::{Value, json};

use crate::{
    api_client::{KEY, call, with_keys},
    harness::{PATIENCE, envelope, get, now, replies, value, webhook},
};

/// Waits until the condition is so; answers its message.
async fn until(stack: &Stack, kind: &str, expected: (&str, &str)) -> String {
    let mut seen = Value::Null;
    let waiting = async {
        loop {
            let answer =
                call(stack, Method::GET, "/api/v1/channels/default", &[("x-api-key", KEY)], None).await;
            let conditions = answer.body["status"]["conditions"].as_array().unwrap();
            assert_eq!(conditions.len(), 5, "{conditions:?}");
            seen = conditions.iter().find(|condition| condition["type"] == kind).unwrap().clone();
            if (seen["status"].as_str(), seen["reason"].as_str()) == (Some(expected.0), Some(expected.1)) {
                return seen["message"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(message) => message,
        Err(_) => panic!("{kind} is not {expected:?} but {seen}"),
    }
}

async fn reasons(stack: &Stack) -> String {
    let answer = call(stack, Method::GET, "/monitoring/queue/health", &[("x-api-key", KEY)], None).await;
    answer.body["reasons"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_a_condition_until_it_is_taken_again() {
    let stack = with_keys().router_env("WHATSAPP_STOPPED_CHANNEL_WAIT", "1s").start().await.unwrap();
    until(&stack, "Sending", ("True", "Sending")).await;
    let token = stack.simulator().options().access_token.clone();
    let only = |token| NewCredentials { access_token: Some(token), ..NewCredentials::default() };
    stack.simulator().set_credentials(only("a-newer-token".into()));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    let message = until(&stack, "Sending", ("False", "TokenRefused")).await;
    assert!(message.contains("write a new one into its secret"), "{message}");
    assert!(reasons(&stack).await.contains("channel_stopped"));
    stack.simulator().set_credentials(only(token));
    replies(&stack, 1).await;
    until(&stack, "Sending", ("True", "Sending")).await;
    assert!(!reasons(&stack).await.contains("channel_stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_condition_also_after_a_restart() {
    let mut stack = with_keys().router_env("CHANNEL_SILENT_AFTER", "1d").start().await.unwrap();
    until(&stack, "Receiving", ("Unknown", "NothingYet")).await;
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    until(&stack, "Receiving", ("True", "Receiving")).await;
    replies(&stack, 1).await;
    assert!(!reasons(&stack).await.contains("channel_silent"));

    stack.stop_router().await.unwrap();
    stack.set_router_env("ROUTER_TEST_CLOCK_AHEAD", "2d");
    stack.start_router().await.unwrap();
    let message = until(&stack, "Receiving", ("False", "Silent")).await;
    assert!(message.starts_with("nothing came in since 20"), "{message}");
    assert!(reasons(&stack).await.contains("channel_silent"));
    let shown = async {
        let name = "whatsapp_router_channel_last_message_timestamp_seconds{channel=\"default\"} ";
        while !get(&stack, "/metrics").await.1.contains(name) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, shown).await.expect("the time is among the metrics");

    stack.webhook(webhook(&[("15550100001", "wamid.2", "still there?")])).await.unwrap();
    until(&stack, "Receiving", ("True", "Receiving")).await;
    assert!(!reasons(&stack).await.contains("channel_silent"));
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_show_that_webhooks_of_a_channel_arrive_that_only_sends() {
    let stack = with_keys().start().await.unwrap();
    until(&stack, "Receiving", ("Unknown", "NothingYet")).await;
    let status = json!({"statuses": [
        {"id": "wamid.1", "status": "sent", "recipient_id": "15550100001", "timestamp": now().to_string()},
    ]});
    stack.webhook(envelope(&[value(status)])).await.unwrap();
    until(&stack, "Receiving", ("True", "Receiving")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_app_secret_is_a_condition_until_a_webhook_is_taken() {
    let stack = with_keys().router_env("CHANNEL_REFUSED_AFTER", "1s").start().await.unwrap();
    until(&stack, "Receiving", ("Unknown", "NothingYet")).await;
    let mut foreign = value(json!({"statuses": []}));
    foreign["metadata"]["phone_number_id"] = json!("999");
    let genuine = webhook(&[("15550100001", "wamid.1", "hello")]);
    let refused = async |body: &str, signing: Signing| {
        let answer = stack.simulator().inject(body.to_owned(), signing).await.unwrap();
        assert_eq!(answer.status, 403, "{}", answer.body);
    };
    refused(&envelope(&[foreign]), Signing::WrongSecret).await;
    refused("not even JSON", Signing::WrongSecret).await;
    refused(&genuine, Signing::Unsigned).await;
    for _ in 0..3 {
        refused(&genuine, Signing::WrongSecret).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    refused(&genuine, Signing::WrongSecret).await;
    let message = until(&stack, "Receiving", ("False", "SignatureRefused")).await;
    assert!(message.starts_with("every webhook for it is refused since 20"), "{message}");
    assert!(reasons(&stack).await.contains("webhooks_refused"));
    let metrics = get(&stack, "/metrics").await.1;
    for line in [
        r#"signature_failures_total{channel="",reason="mismatch"} 2"#,
        r#"signature_failures_total{channel="",reason="missing"} 1"#,
        r#"signature_failures_total{channel="default",reason="mismatch"} 4"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }

    stack.webhook(genuine).await.unwrap();
    until(&stack, "Receiving", ("True", "Receiving")).await;
    assert!(!reasons(&stack).await.contains("webhooks_refused"));
}
