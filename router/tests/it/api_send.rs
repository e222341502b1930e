//! `POST /api/v1/messages`: what is taken is sent once, what can't be sent is refused with the field named.

use serde_json::json;

use crate::{
    api_client::{OTHER_KEY, balanced, call, get, post, send, text, until, with_keys},
    harness::{idle, replies, webhook},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_to_the_person_and_its_message_tells_how_far_it_came() {
    let stack = with_keys().start().await.unwrap();
    let person = stack.simulator().contacts()[0].wa_id.clone();
    let answer = send(&stack, None, &text(&format!("+{person}"), "hello there")).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    assert_eq!(answer.body["status"], "queued");
    let id = answer.body["id"].as_str().unwrap();
    assert_eq!(answer.header("location"), format!("/api/v1/messages/{id}"));

    let sent = replies(&stack, 1).await;
    assert_eq!((sent.len(), &*sent[0].to, &*sent[0].text), (1, &*person, "hello there"));
    let message = until(&stack, answer.header("location"), |answer| {
        ["delivered", "read"].contains(&answer.body["status"].as_str().unwrap_or_default())
    })
    .await;
    for (field, value) in [
        ("id", json!(id)),
        ("direction", json!("out")),
        ("channel", json!("default")),
        ("type", json!("text")),
        ("text", json!("hello there")),
        ("payload", json!({"type": "text", "text": {"body": "hello there"}})),
        ("correlation_id", json!(id)),
        ("route", json!(null)),
        ("error", json!(null)),
    ] {
        assert_eq!(message.body[field], value, "{field}");
    }
    assert_eq!(message.body["contact"]["wa_id"], person.as_str());
    assert!(message.body["wamid"].as_str().unwrap().starts_with("wamid."));
    assert!(message.body["sent_at"].as_str().unwrap().ends_with('Z'));
    let ledger = balanced(&stack).await;
    assert_eq!((&ledger["outbox"]["queued"], &ledger["outbox"]["sent"]), (&json!(1), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_is_the_same_call() {
    let stack = with_keys().start().await.unwrap();
    let body = text("15550100001", "once");
    let first = send(&stack, Some("order-4711"), &body).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, ""));
    replies(&stack, 1).await;
    let spelled = json!({"text": {"body": "once"}, "type": "text", "to": "15550100001"});
    let again = send(&stack, Some("order-4711"), &spelled).await;
    assert_eq!((again.status, &again.body["id"]), (202, &first.body["id"]));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));

    let other = send(&stack, Some("order-4711"), &text("15550100001", "twice")).await;
    assert_eq!(other.code(), (409, "idempotency_key_reused"));
    // Another caller's key of the same name is another key.
    let headers = [("x-api-key", OTHER_KEY), ("idempotency-key", "order-4711")];
    let theirs =
        call(&stack, reqwest::Method::POST, "/api/v1/messages?force=true", &headers, Some(&body)).await;
    assert_eq!(theirs.status, 202);
    assert_ne!(theirs.body["id"], first.body["id"]);
    let texts: Vec<_> = replies(&stack, 2).await.into_iter().map(|message| message.text).collect();
    assert_eq!(texts, ["once", "once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_under_one_key_send_one_message() {
    let stack = with_keys().start().await.unwrap();
    let body = text("15550100001", "race");
    let calls = (0..16).map(|_| send(&stack, Some("race"), &body));
    let answers = futures_util::future::join_all(calls).await;
    let first = &answers[0].body["id"];
    assert!(answers.iter().all(|answer| answer.status == 202 && answer.body["id"] == *first));
    let fresh = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty());
    assert_eq!(fresh.count(), 1);
    assert_eq!(replies(&stack, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_is_refused_and_nothing_is_stored() {
    let stack = with_keys().start().await.unwrap();
    let text = |body: &str| json!({"to": "15550100001", "type": "text", "text": {"body": body}});
    for (body, code, field) in [
        (json!({"type": "text", "text": {"body": "hi"}}), "invalid_message", "to"),
        (json!({"to": "ada", "type": "text", "text": {"body": "hi"}}), "invalid_message", "to"),
        (json!({"to": "15550100001", "type": "poll"}), "invalid_message", "type"),
        (text(""), "invalid_message", "text.body"),
        (text(&"x".repeat(4097)), "invalid_message", "text.body"),
        (json!({"to": "15550100001", "type": "image"}), "invalid_message", "image"),
        (json!({"channel": "other", "to": "15550100001", "type": "text"}), "invalid_message", "channel"),
        (json!(["hi"]), "invalid_request", ""),
    ] {
        let answer = send(&stack, None, &body).await;
        assert_eq!(answer.code(), (400, code), "{body}: {}", answer.body);
        assert_eq!(answer.body["field"].as_str().unwrap_or_default(), field, "{body}");
    }
    let answer = send(&stack, Some(&"k".repeat(256)), &text("hi")).await;
    assert_eq!((answer.status, &answer.body["field"]), (400, &json!("Idempotency-Key")));
    let answer = send(&stack, None, &text(&"x".repeat(300_000))).await;
    assert_eq!(answer.code(), (413, "payload_too_large"));
    assert_eq!(get(&stack, "/api/v1/conversations").await.body["items"], json!([]));
    assert_eq!(balanced(&stack).await["outbox"]["queued"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_template_reaches_somebody_who_did_not_write() {
    let stack = with_keys().start().await.unwrap();
    let person = stack.simulator().contacts()[0].wa_id.clone();
    let closed = post(&stack, "/api/v1/messages", &text(&person, "too early")).await;
    assert_eq!(closed.code(), (409, "window_closed"));
    let template = json!({"to": person, "type": "template",
        "template": {"name": "hello_world", "language": {"code": "en_US"}}});
    let answer = post(&stack, "/api/v1/messages", &template).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    idle(&stack).await;

    stack.webhook(webhook(&[(&person, "wamid.1", "hi")])).await.unwrap();
    idle(&stack).await;
    let open = post(&stack, "/api/v1/messages", &text(&person, "now it goes")).await;
    assert_eq!(open.status, 202, "{}", open.body);
    idle(&stack).await;
    let last = stack.simulator().messages().pop().unwrap();
    assert_eq!((&*last.to, &*last.text), (&*person, "now it goes"));

    let path = format!("/api/v1/conversations?contact={person}");
    let conversation = get(&stack, &path).await.body["items"][0].clone();
    assert_eq!(conversation["window"]["open"], true);
    assert_eq!(conversation["pending"], json!({"inbox": 0, "outbox": 0}));
    assert_eq!(conversation["last_message"]["direction"], "out");
    balanced(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_sent_after_a_crash_too() {
    let mut stack = with_keys().start().await.unwrap();
    stack.simulator().set_faults(crate::harness::faults(json!({"graph": {"latency_ms": 60_000}})));
    let mut ids = Vec::new();
    for number in 0..5 {
        let answer =
            send(&stack, Some(&format!("k{number}")), &text("15550100001", &format!("m{number}"))).await;
        assert_eq!(answer.status, 202);
        ids.push(answer.body["id"].clone());
    }
    stack.kill_router().await.unwrap();
    stack.simulator().set_faults(Default::default());
    stack.start_router().await.unwrap();
    idle(&stack).await;
    let again = send(&stack, Some("k3"), &text("15550100001", "m3")).await;
    assert_eq!((again.status, &again.body["id"]), (202, &ids[3]));
    let mut texts: Vec<_> = stack.simulator().messages().into_iter().map(|message| message.text).collect();
    texts.dedup();
    assert_eq!(
        texts,
        ["m0", "m1", "m2", "m3", "m4"],
        "the first may have gone out before the crash and after it"
    );
    balanced(&stack).await;
}
