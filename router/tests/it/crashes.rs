//! The router is killed with messages in every stage. Afterwards everything is answered, in order, once.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    PATIENCE, builder, by_contact, echoed, faults, idle, metric, query, replies, start,
    start_with_bad_backend, texts, webhook,
};

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_the_backend_thinks() {
    let mut stack = start_with_bad_backend().await;
    stack.simulator().set_faults(faults(json!({"backend": {"late": {"ms": 60_000, "count": 1}}})));
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]))
        .await
        .unwrap();
    while stack.simulator().backend_requests().is_empty()
        && metric(&stack, "whatsapp_router_queue_depth").await < 2.0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    stack.kill_router().await.unwrap();
    stack.start_router().await.unwrap();
    let order = texts(&stack, 2).await;
    assert_eq!(order, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_graph_is_silent_after_taking_the_message() {
    let mut stack = start().await;
    stack.simulator().set_faults(faults(json!({"graph": {"latency_ms": 60_000}})));
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]))
        .await
        .unwrap();
    let stuck = async {
        while query::<i64>(&stack, "SELECT count(*) FROM work WHERE queue = 2") < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, stuck).await.unwrap();
    stack.kill_router().await.unwrap();
    let taken_before = stack.simulator().messages().len();
    stack.simulator().set_faults(faults(json!({})));
    stack.start_router().await.unwrap();
    idle(&stack).await;
    let messages = replies(&stack, 2).await;
    let mut order: Vec<_> = messages.iter().map(|reply| echoed(&reply.text).to_owned()).collect();
    let repeated = metric(&stack, "whatsapp_router_ambiguous_sends_repeated_total").await;
    // Only the send that was under way is in doubt; if Graph had it, the status must have told.
    assert!(repeated <= 1.0 && taken_before <= 1);
    order.dedup();
    assert_eq!(order, ["one", "two"]);
    assert!(messages.len() <= 3);
}

/// Kills at moments that are spread over the whole way of a message, again and again, while messages come in.
#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_under_traffic() {
    let mut stack = builder().start().await.unwrap();
    let people: Vec<String> = (0..8).map(|index| format!("1555010{index:04}")).collect();
    let mut sent = 0;
    let mut repeated = 0.0;
    for round in 0..12u64 {
        for person in &people {
            let wamid = format!("wamid.{person}.{round}");
            let body = webhook(&[(person, &wamid, &round.to_string())]);
            // Like Meta: again until it was taken.
            let answer = tokio::time::timeout(PATIENCE, stack.webhook(body)).await.unwrap().unwrap();
            assert_eq!(answer.status, 200);
            sent += 1;
        }
        tokio::time::sleep(Duration::from_millis(round * 7 % 40)).await;
        repeated += metric(&stack, "whatsapp_router_ambiguous_sends_repeated_total").await;
        stack.kill_router().await.unwrap();
        stack.start_router().await.unwrap();
    }
    idle(&stack).await;
    repeated += metric(&stack, "whatsapp_router_ambiguous_sends_repeated_total").await;
    let messages = replies(&stack, sent).await;
    let expected: Vec<_> = (0..12).map(|round| round.to_string()).collect();
    let by_contact = by_contact(&messages);
    for person in &people {
        let mut texts = by_contact[person].clone();
        texts.dedup();
        assert_eq!(texts, expected, "{person}: nothing lost, nothing out of order");
    }
    let twice = messages.len() - sent;
    assert!(twice as f64 <= repeated, "{twice} messages were sent twice, of {repeated} that were in doubt");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_loses_nothing_and_leaves_nothing_in_doubt() {
    let mut stack = start().await;
    let people: Vec<String> = (0..40).map(|index| format!("1555010{index:04}")).collect();
    for person in &people {
        stack.webhook(webhook(&[(person, &format!("wamid.{person}"), "hi")])).await.unwrap();
    }
    assert!(stack.stop_router().await.unwrap().success());
    stack.start_router().await.unwrap();
    let messages = replies(&stack, people.len()).await;
    assert_eq!(messages.len(), people.len());
    assert_eq!(metric(&stack, "whatsapp_router_ambiguous_sends_repeated_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_meta_delivers_again_and_it_is_answered_once() {
    let mut stack = start().await;
    let person = stack.simulator().contacts()[0].wa_id.clone();
    stack.kill_router().await.unwrap();
    stack.simulator().say(&person, "while you were away").unwrap();
    stack.start_router().await.unwrap();
    let messages = replies(&stack, 1).await;
    assert_eq!((messages.len(), echoed(&messages[0].text)), (1, "while you were away"));
}
