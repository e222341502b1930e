//! Several short messages of one person are one call of the backend.

use std::time::Duration;

use sandbox::stack::Stack;
use serde_json::Value;

use crate::harness::{builder, idle, query, replies, webhook};

const PERSON: &str = "15550100001";

async fn start(quiet: &str) -> Stack {
    let builder = builder().router_env("DEBOUNCE_QUIET", quiet).router_env("DEBOUNCE_MAX", "30s");
    builder.without_server().start().await.unwrap()
}

/// All at once, so that a slow machine makes no pause between them.
async fn say(stack: &Stack, texts: &[&str]) {
    let wamids: Vec<_> = texts.iter().map(|text| format!("wamid.{text}")).collect();
    let messages: Vec<_> = wamids.iter().zip(texts).map(|(wamid, text)| (PERSON, &**wamid, *text)).collect();
    assert_eq!(stack.webhook(webhook(&messages)).await.unwrap().status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_one_call_with_all_of_it() {
    let stack = start("1s").await;
    say(&stack, &["one", "two", "three"]).await;
    replies(&stack, 1).await;
    idle(&stack).await;
    let calls = stack.simulator().backend_requests();
    assert_eq!(calls.len(), 1, "{}", stack.router_output());
    let body = &calls[0].body;
    assert_eq!(body["text"], "one\ntwo\nthree");
    assert_eq!(body["message"]["id"], "wamid.three");
    let all: Vec<&Value> = body["messages"].as_array().unwrap().iter().map(|one| &one["id"]).collect();
    assert_eq!(all, ["wamid.one", "wamid.two", "wamid.three"]);
    assert_eq!(calls[0].idempotency_key.as_deref(), body["message"]["router_id"].as_str());
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message WHERE state = 'answered'"), 3);
    say(&stack, &["four"]).await;
    replies(&stack, 2).await;
    assert_eq!(stack.simulator().backend_requests()[1].body["text"], "four");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_waits_for_more() {
    let mut stack = start("2s").await;
    say(&stack, &["one", "two"]).await;
    stack.kill_router().await.unwrap();
    assert!(stack.simulator().backend_requests().is_empty());
    stack.start_router().await.unwrap();
    assert_eq!(replies(&stack, 1).await.len(), 1);
    idle(&stack).await;
    assert_eq!(stack.simulator().backend_requests()[0].body["text"], "one\ntwo");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_is_refused_becomes_dead_letters_all_of_it() {
    let stack = start("500ms").await;
    let faults = serde_json::json!({"backend": {"errors": [{"status": 422, "count": 1}]}});
    stack.simulator().set_faults(crate::harness::faults(faults));
    say(&stack, &["one", "two"]).await;
    let dead = async {
        while query::<i64>(&stack, "SELECT count(*) FROM dead_letter") < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, dead).await.unwrap();
    idle(&stack).await;
    assert_eq!(stack.simulator().backend_requests().len(), 1);
    assert!(stack.simulator().messages().is_empty());
}
