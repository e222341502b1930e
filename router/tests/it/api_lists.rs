//! Lists of the API: filters, pages that hold still while messages come, and conversations with who answers in them.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{
    api_client::{all, get, post, until, with_keys},
    harness::{envelope, idle, replies, text_message, value, webhook},
};

fn ids(items: &[Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_still_while_messages_arrive() {
    let stack = with_keys().start().await.unwrap();
    let batch = |round: usize| {
        let messages: Vec<_> = (0..40)
            .map(|at| text_message(&format!("1555010{:04}", at % 7), &format!("wamid.{round}.{at}"), "hi"))
            .collect();
        envelope(&[value(json!({"messages": messages}))])
    };
    stack.webhook(batch(0)).await.unwrap();
    idle(&stack).await;
    let before: HashSet<_> = ids(&all(&stack, "/api/v1/messages", 200).await).into_iter().collect();
    assert_eq!(before.len(), 80, "each message and its reply");

    let arriving = async {
        for round in 1..6 {
            stack.webhook(batch(round)).await.unwrap();
        }
    };
    let (paged, ()) = tokio::join!(all(&stack, "/api/v1/messages", 7), arriving);
    let paged = ids(&paged);
    let seen: HashSet<_> = paged.iter().cloned().collect();
    assert_eq!(seen.len(), paged.len(), "no message comes twice");
    assert!(before.is_subset(&seen), "none is missed");
    idle(&stack).await;
    assert_eq!(all(&stack, "/api/v1/messages", 200).await.len(), 480);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_narrows_and_a_wrong_one_is_refused() {
    let stack = with_keys().start().await.unwrap();
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100002", "wamid.2", "two")]))
        .await
        .unwrap();
    replies(&stack, 2).await;
    idle(&stack).await;
    let conversation =
        get(&stack, "/api/v1/conversations?contact=15550100001").await.body["items"][0]["id"].clone();
    for (query, count) in [
        ("", 4),
        ("channel=default", 4),
        ("channel=other", 0),
        ("contact=%2B1%20555%20010%200001", 2),
        ("contact=15550100009", 0),
        (&*format!("conversation={conversation}"), 2),
        ("direction=in", 2),
        ("direction=out&contact=15550100002", 1),
        ("status=answered", 2),
        ("status=dead", 0),
        ("type=text", 4),
        ("type=image", 0),
        ("since=2020-01-01T00:00:00Z", 4),
        ("since=2099-01-01T00:00:00%2B02:00", 0),
        ("until=2020-01-01T00:00:00Z", 0),
        ("undelivered=true", 0),
    ] {
        let items = all(&stack, &format!("/api/v1/messages?{query}"), 50).await;
        assert_eq!(items.len(), count, "{query}: {items:?}");
    }
    let inbound = &all(&stack, "/api/v1/messages?direction=in&contact=15550100001", 50).await[0];
    assert_eq!((&inbound["text"], &inbound["status"]), (&json!("one"), &json!("answered")));
    assert_eq!(inbound["payload"]["text"]["body"], "one");
    assert_eq!(inbound["wamid"], "wamid.1");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=elsewhere", "cursor"),
        ("cursor=d1", "cursor"),
        ("status=lost", "status"),
        ("since=yesterday", "since"),
        ("until=1760000000", "until"),
    ] {
        let answer = get(&stack, &format!("/api/v1/messages?{query}")).await;
        assert_eq!(answer.code(), (400, "invalid_request"), "{query}");
        assert_eq!(answer.body["field"], field, "{query}");
    }
    for query in ["direction=up", "conversation=one", "limit=many", "undelivered=perhaps"] {
        assert_eq!(
            get(&stack, &format!("/api/v1/messages?{query}")).await.code(),
            (400, "invalid_request"),
            "{query}"
        );
    }
    for path in [
        "/api/v1/messages/019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b",
        "/api/v1/messages/nothing",
        "/api/v1/conversations/4711",
        "/api/v1/dead-letters/019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b",
    ] {
        assert_eq!(get(&stack, path).await.code(), (404, "not_found"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_is_shown_until_it_is_given_back() {
    let stack = with_keys().start().await.unwrap();
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    idle(&stack).await;
    let path = format!("/api/v1/conversations/{}", all(&stack, "/api/v1/conversations", 1).await[0]["id"]);
    assert_eq!(get(&stack, &path).await.body["takeover"], json!({"active": false, "until": null}));
    let taken = post(&stack, &format!("{path}/takeover"), &json!({"for": "2h"})).await;
    assert_eq!((taken.status, &taken.body["takeover"]["active"]), (200, &json!(true)), "{}", taken.body);
    let listed = until(&stack, "/api/v1/conversations?taken_over=true", |answer| {
        answer.body["items"].as_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    assert_eq!(listed.body["items"][0]["takeover"], taken.body["takeover"]);
    let released = post(&stack, &format!("{path}/release"), &json!({})).await;
    assert_eq!((released.status, &released.body["takeover"]["active"]), (200, &json!(false)));
    assert_eq!(get(&stack, "/api/v1/conversations?taken_over=true").await.body["items"], json!([]));

    let usual = post(&stack, &format!("{path}/takeover"), &json!({})).await;
    assert_eq!((usual.status, &usual.body["takeover"]["active"]), (200, &json!(true)));
    for (body, field) in
        [(json!({"for": "soon"}), "for"), (json!({"for": "31d"}), "for"), (json!({"fro": "1h"}), "")]
    {
        let answer = post(&stack, &format!("{path}/takeover"), &body).await;
        assert_eq!(answer.code(), (400, "invalid_request"), "{body}");
        assert_eq!(answer.body["field"].as_str().unwrap_or_default(), field, "{body}");
    }
    for call in ["takeover", "release"] {
        let answer = post(&stack, &format!("/api/v1/conversations/4711/{call}"), &json!({})).await;
        assert_eq!(answer.code(), (404, "not_found"), "{call}");
    }
}
