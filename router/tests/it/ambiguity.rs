//! A send without an answer, under each policy; and the failpoints of the deployed binary.

use std::time::Duration;

use sandbox::stack::Stack;
use serde_json::json;

use crate::harness::{PATIENCE, builder, faults, idle, query, replies, webhook};

/// Graph takes the message and says nothing; no status follows unless `with_status`.
async fn one_lost_answer(policy: &str, with_status: bool) -> Stack {
    let builder = builder()
        .router_env("SEND_AMBIGUOUS", policy)
        .router_env("SEND_UNCERTAIN_WAIT", if policy == "repeat" { "1s" } else { "200ms" });
    let stack = builder.without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({
        "graph": {"lost_answers": {"count": 1}}, "webhooks": {"no_statuses": !with_status},
    })));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    replies(&stack, 1).await;
    let ended = async {
        while query::<i64>(
            &stack,
            "SELECT count(*) FROM message WHERE direction = 'out' AND state <> 'queued'",
        ) == 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    idle(&stack).await;
    stack
}

fn doubt(stack: &Stack) -> String {
    query(stack, "SELECT doubt FROM message WHERE direction = 'out'")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_repeated_where_that_is_allowed() {
    let stack = one_lost_answer("repeat", false).await;
    assert_eq!((replies(&stack, 2).await.len(), doubt(&stack).as_str()), (2, "repeated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_dead_letter_where_it_is_not() {
    let stack = one_lost_answer("never-repeat", false).await;
    assert_eq!((replies(&stack, 1).await.len(), doubt(&stack).as_str()), (1, "not_repeated"));
    assert_eq!(query::<String>(&stack, "SELECT reason FROM dead_letter"), "send_uncertain");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_settles_it() {
    for policy in ["repeat", "never-repeat"] {
        let stack = one_lost_answer(policy, true).await;
        assert_eq!(replies(&stack, 1).await.len(), 1, "{policy}");
        assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM dead_letter"), 0, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failpoint_ends_the_process_at_its_step() {
    let mut stack = builder().without_server().start().await.unwrap();
    stack.kill_router().await.unwrap();
    stack.set_router_env("ROUTER_TEST_FAILPOINTS", "after_claim=1");
    stack.start_router().await.unwrap();
    // The answer may or may not make it before the end.
    let _ = tokio::time::timeout(
        Duration::from_secs(2),
        stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])),
    )
    .await;
    let ended = async {
        while stack.router_ended_at(0).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    assert!(stack.simulator().backend_requests().is_empty());
    stack.unset_router_env("ROUTER_TEST_FAILPOINTS");
    stack.start_router().await.unwrap();
    assert_eq!(replies(&stack, 1).await.len(), 1, "what was stored is answered");
}
