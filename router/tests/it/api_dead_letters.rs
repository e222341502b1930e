//! The life of a dead letter: it dies, is found, is replayed or deleted, and the ledger adds up all the while.

use serde_json::{Value, json};

use crate::{
    api_client::{all, balanced, delete, get, post, until, with_keys},
    harness::{PATIENCE, echoed, faults, idle, replies, webhook},
};

/// Three messages of one person, of which the first dies at the backend.
async fn with_one_dead() -> (sandbox::stack::Stack, Value) {
    let stack = with_keys().without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"backend": {"errors": [{"status": 422, "count": 1}]}})));
    let messages = [
        ("15550100001", "wamid.1", "one"),
        ("15550100001", "wamid.2", "two"),
        ("15550100001", "wamid.3", "three"),
    ];
    stack.webhook(webhook(&messages)).await.unwrap();
    replies(&stack, 2).await;
    idle(&stack).await;
    let dead = all(&stack, "/api/v1/dead-letters", 50).await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    (stack, dead[0].clone())
}

fn inbox(ledger: &Value) -> [i64; 4] {
    ["accepted", "answered", "not_to_be_answered", "dead"].map(|name| ledger["inbox"][name].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_found_and_answered_once_when_it_is_replayed() {
    let (stack, dead) = with_one_dead().await;
    for (field, value) in [
        ("queue", json!("inbox")),
        ("reason", json!("backend_refused")),
        ("channel", json!("default")),
        ("type", json!("text")),
        ("attempts", json!(1)),
    ] {
        assert_eq!(dead[field], value, "{field}");
    }
    let id = dead["id"].as_str().unwrap();
    assert_eq!(get(&stack, &format!("/api/v1/dead-letters/{id}")).await.body, dead);
    assert_eq!(get(&stack, &format!("/api/v1/messages/{id}")).await.body["status"], "dead");
    assert_eq!(inbox(&balanced(&stack).await), [3, 2, 0, 1]);
    for (query, count) in [
        ("queue=inbox", 1),
        ("queue=outbox", 0),
        ("reason=backend_refused", 1),
        ("reason=other", 0),
        ("contact=15550100001", 1),
        ("contact=15550100002", 0),
        ("channel=default", 1),
        ("since=2099-01-01T00:00:00Z", 0),
        ("until=2099-01-01T00:00:00Z", 1),
    ] {
        assert_eq!(all(&stack, &format!("/api/v1/dead-letters?{query}"), 50).await.len(), count, "{query}");
    }

    let replay = format!("/api/v1/dead-letters/{id}/replay");
    let answer = post(&stack, &replay, &json!({})).await;
    assert_eq!((answer.status, &answer.body), (202, &json!({"replayed": 1})));
    let replies = replies(&stack, 3).await;
    let texts: Vec<_> = replies.iter().map(|reply| echoed(&reply.text)).collect();
    assert_eq!(texts, ["two", "three", "one"], "once, and after what was answered long ago");
    idle(&stack).await;
    until(&stack, &format!("/api/v1/messages/{id}"), |answer| answer.body["status"] == "answered").await;
    assert_eq!(inbox(&balanced(&stack).await), [3, 3, 0, 0]);
    assert_eq!(post(&stack, &replay, &json!({})).await.code(), (404, "not_found"));
    assert_eq!(get(&stack, "/api/v1/dead-letters").await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_deleted_is_accounted_for() {
    let (stack, dead) = with_one_dead().await;
    let path = format!("/api/v1/dead-letters/{}", dead["id"].as_str().unwrap());
    let answer = delete(&stack, &path).await;
    assert_eq!((answer.status, &answer.body), (204, &Value::Null));
    assert_eq!(delete(&stack, &path).await.code(), (404, "not_found"));
    let message = get(&stack, &format!("/api/v1/messages/{}", dead["id"].as_str().unwrap())).await;
    assert_eq!(message.body["status"], "discarded");
    assert_eq!(inbox(&balanced(&stack).await), [3, 2, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_replayed_by_a_filter_and_each_conversation_keeps_its_order() {
    let stack = with_keys().without_server().start().await.unwrap();
    let (people, each) = (12, 3);
    let names: Vec<_> = (0..people * each)
        .map(|at| (format!("155501{:05}", at % people), format!("wamid.{at}"), format!("{at}")))
        .collect();
    let messages: Vec<_> = names.iter().map(|(from, id, text)| (&**from, &**id, &**text)).collect();
    let count = messages.len();
    stack.simulator().set_faults(faults(json!({"backend": {"errors": [{"status": 422, "count": count}]}})));
    stack.webhook(webhook(&messages)).await.unwrap();
    idle(&stack).await;
    assert_eq!(all(&stack, "/api/v1/dead-letters", 5).await.len(), count);

    let path = "/api/v1/dead-letters/replay";
    for (body, field) in [
        (json!({}), ""),
        (json!({"all": false}), ""),
        (json!({"all": true, "reason": "backend_refused"}), "all"),
        (json!({"raeson": "backend_refused"}), ""),
    ] {
        let answer = post(&stack, path, &body).await;
        assert_eq!(answer.code(), (400, "invalid_request"), "{body}");
        assert_eq!(answer.body["field"].as_str().unwrap_or_default(), field, "{body}");
    }
    assert_eq!(post(&stack, path, &json!({"reason": "other"})).await.body, json!({"replayed": 0}));
    let some = post(&stack, path, &json!({"contact": "15550100000", "reason": "backend_refused"})).await;
    assert_eq!((some.status, &some.body), (202, &json!({"replayed": each})));
    let rest = post(&stack, path, &json!({"all": true})).await;
    assert_eq!(rest.body, json!({"replayed": count - each}));
    let arrived = stack.simulator().wait_for_messages(count, PATIENCE).await;
    assert!(arrived.is_ok(), "{}", stack.router_output());
    idle(&stack).await;
    let messages = stack.simulator().messages();
    assert_eq!(messages.len(), count);
    for texts in crate::harness::by_contact(&messages).values() {
        let numbers: Vec<usize> = texts.iter().map(|text| text.parse().unwrap()).collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
    }
    assert_eq!(inbox(&balanced(&stack).await), [count as i64, count as i64, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_again_is_not_replayed_for_ever() {
    let stack = with_keys().without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"backend": {"errors": [{"status": 422, "rate": 1.0}]}})));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    idle(&stack).await;
    let answer = post(&stack, "/api/v1/dead-letters/replay", &json!({"all": true})).await;
    assert_eq!(answer.body, json!({"replayed": 1}));
    idle(&stack).await;
    until(&stack, "/api/v1/dead-letters", |answer| {
        answer.body["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    assert_eq!(inbox(&balanced(&stack).await), [1, 0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_graph_refused_is_sent_when_it_is_replayed() {
    let stack = with_keys().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"graph": {"errors": [{"code": 131_047, "count": 1}]}})));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    let listed = until(&stack, "/api/v1/dead-letters?queue=outbox", |answer| {
        answer.body["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    let dead = &listed.body["items"][0];
    assert_eq!(dead["reason"], "reengagement_window");
    let path = format!("/api/v1/dead-letters/{}/replay", dead["id"].as_str().unwrap());
    assert_eq!(post(&stack, &path, &json!({})).await.status, 202);
    let sent = replies(&stack, 1).await;
    assert_eq!((sent.len(), echoed(&sent[0].text)), (1, "one"));
    idle(&stack).await;
    let ledger = balanced(&stack).await;
    assert_eq!((&ledger["outbox"]["sent"], &ledger["outbox"]["dead"]), (&json!(1), &json!(0)));
}
