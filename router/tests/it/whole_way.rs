//! Webhook → store → backend → outbox → Graph → status, with everything as it should be.

use std::collections::HashSet;

use serde_json::json;

use crate::harness::{
    by_contact, echoed, envelope, faults, idle, metric, now, query, replies, start, start_with_bad_backend,
    text_message, texts, value, webhook,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_answered_and_its_statuses_come_back() {
    let stack = start().await;
    let person = stack.simulator().contacts()[0].wa_id.clone();
    stack.simulator().open_chat(Some(&person));
    stack.simulator().say(&person, "hello there").unwrap();
    let replies = replies(&stack, 1).await;
    assert_eq!(replies.len(), 1);
    let reply = &replies[0];
    assert_eq!((reply.to.as_str(), reply.kind.as_str()), (person.as_str(), "text"));
    assert_eq!(echoed(&reply.text), "hello there");
    let number: u32 = reply.text.rsplit(' ').next().unwrap().parse().unwrap();
    assert!((1000..=9999).contains(&number));
    assert_eq!(reply.raw["to"], format!("+{person}"));
    assert!(reply.raw.get("context").is_none(), "a reply quotes nothing unless it was asked to");

    // The chat is open, so the last status is `read`; it finds the message by the id that we gave.
    let read = async {
        while query::<i64>(&stack, "SELECT count(*) FROM message WHERE direction = 'out' AND state = 'read'")
            == 0
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, read).await.unwrap();
    let id: Vec<u8> = query(&stack, "SELECT id FROM message WHERE direction = 'out'");
    let ours = uuid::Uuid::from_slice(&id).unwrap().to_string();
    assert_eq!(reply.callback_data.as_deref(), Some(ours.as_str()));
    assert_eq!(query::<String>(&stack, "SELECT wamid FROM message WHERE direction = 'out'"), reply.wamid);
    assert_eq!(query::<String>(&stack, "SELECT state FROM message WHERE direction = 'in'"), "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_in_any_batch_are_answered_once() {
    let stack = start().await;
    let one = webhook(&[("15550100001", "wamid.1", "one")]);
    let batch = webhook(&[
        ("15550100001", "wamid.1", "one"),
        ("15550100001", "wamid.2", "two"),
        ("15550100002", "wamid.3", "three"),
        ("15550100001", "wamid.2", "two"),
    ]);
    let (a, b, c) =
        tokio::join!(stack.webhook(one.clone()), stack.webhook(one), stack.webhook(batch.clone()));
    for answer in [a, b, c, stack.webhook(batch).await] {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
    }
    let replies = replies(&stack, 3).await;
    let texts: HashSet<_> = replies.iter().map(|reply| echoed(&reply.text).to_owned()).collect();
    assert_eq!((replies.len(), texts.len()), (3, 3), "{texts:?}");
    assert_eq!(metric(&stack, "whatsapp_router_messages_received_total").await, 3.0);
    assert_eq!(metric(&stack, "whatsapp_router_duplicates_total").await, 7.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_a_thousand_updates_keeps_the_order_of_each_chat() {
    let stack = start().await;
    let mut messages = Vec::new();
    let mut statuses = Vec::new();
    for index in 0..500 {
        let from = format!("155501{:05}", index % 25);
        messages.push(text_message(&from, &format!("wamid.batch.{index}"), &format!("{}", index / 25)));
        statuses.push(json!({"id": format!("wamid.x{index}"), "status": "delivered", "timestamp": "1", "recipient_id": from}));
    }
    let body = envelope(&[value(json!({"messages": messages})), value(json!({"statuses": statuses}))]);
    assert_eq!(stack.webhook(body).await.unwrap().status, 200);
    let replies = replies(&stack, 500).await;
    assert_eq!(replies.len(), 500);
    let expected: Vec<_> = (0..20).map(|index| index.to_string()).collect();
    let by_contact = by_contact(&replies);
    assert_eq!(by_contact.len(), 25);
    for (contact, texts) in by_contact {
        assert_eq!(texts, expected, "{contact}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_chat_holds_up_no_other_and_stays_in_order() {
    let stack = start_with_bad_backend().await;
    stack.simulator().set_faults(faults(json!({"backend": {"late": {"ms": 6000, "count": 1}}})));
    let slow = webhook(&[("15550100001", "wamid.slow", "slow"), ("15550100001", "wamid.after", "after")]);
    stack.webhook(slow).await.unwrap();
    while stack.simulator().backend_requests().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    stack.webhook(webhook(&[("15550100002", "wamid.quick", "quick")])).await.unwrap();
    let order = texts(&stack, 3).await;
    assert_eq!(order, ["quick", "slow", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_texts_come_back_as_they_were_sent() {
    let stack = start().await;
    let emoji = "👩‍👩‍👧".repeat(600);
    for (index, text) in
        ["", "a\0b", "שלום עולם", "it's \"quoted\" \\ and / more", emoji.as_str(), "line\nbreak\ttab"]
            .into_iter()
            .enumerate()
    {
        let from = format!("1555010000{index}");
        stack.webhook(webhook(&[(&from, &format!("wamid.text{index}"), text)])).await.unwrap();
        let replies = replies(&stack, index + 1).await;
        let reply = replies.iter().find(|reply| reply.to == from).unwrap();
        assert_eq!(echoed(&reply.text), text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_too_long_is_split_at_a_word_in_order() {
    let stack = start().await;
    let words: Vec<_> = (0..800).map(|index| format!("word{index}")).collect();
    let long = words.join(" ");
    // What the server says around the text makes it longer than WhatsApp takes.
    assert!(long.chars().count() <= 7_000);
    stack.webhook(webhook(&[("15550100001", "wamid.long", &long)])).await.unwrap();
    let replies = replies(&stack, 2).await;
    assert_eq!(replies.len(), 2);
    let whole: Vec<_> = replies.iter().map(|reply| reply.text.as_str()).collect();
    assert!(whole.iter().all(|piece| piece.chars().count() <= 4_096));
    assert_eq!(echoed(&whole.join(" ")), long);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_the_backend_and_what_does_not() {
    let stack = start_with_bad_backend().await;
    let from = "15550100001";
    let message = |id: &str, rest: serde_json::Value| {
        let mut message = json!({"from": from, "id": id, "timestamp": now().to_string()});
        message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        message
    };
    let messages = json!([
        message("wamid.img", json!({"type": "image", "image": {"id": "m1", "mime_type": "image/jpeg", "sha256": "x"}})),
        message("wamid.react", json!({"type": "reaction", "reaction": {"message_id": "w", "emoji": "👍"}})),
        message("wamid.group", json!({"type": "text", "text": {"body": "in a group"}, "group_id": "g1"})),
        {"from": from, "id": "wamid.old", "timestamp": (now() - 90_000).to_string(), "type": "text", "text": {"body": "old"}},
        message("wamid.cap", json!({"type": "image", "image": {"id": "m2", "caption": "look"}})),
        message("wamid.btn", json!({"type": "interactive", "context": {"id": "wamid.q", "from": "15550783881"},
            "interactive": {"type": "button_reply", "button_reply": {"id": "b", "title": "Yes please"}}})),
    ]);
    let contacts =
        json!([{"profile": {"name": "Ada", "username": "ada"}, "wa_id": from, "user_id": "US.77"}]);
    stack.webhook(envelope(&[value(json!({"messages": messages, "contacts": contacts}))])).await.unwrap();
    replies(&stack, 2).await;
    idle(&stack).await;
    let requests = stack.simulator().backend_requests();
    let asked: Vec<_> = requests.iter().map(|request| request.text.as_deref().unwrap()).collect();
    assert_eq!(asked, ["look", "Yes please"]);

    let request = &requests[1].body["message"];
    assert_eq!(request["id"], "wamid.btn");
    assert_eq!(request["type"], "interactive");
    assert_eq!(request["channel"], "default");
    assert_eq!(request["phone_number_id"], crate::harness::PHONE_NUMBER_ID);
    assert_eq!(
        request["contact"],
        json!({"id": "US.77", "wa_id": from, "user_id": "US.77", "username": "ada", "name": "Ada"})
    );
    assert_eq!(request["context"]["id"], "wamid.q");
    assert_eq!(request["raw"]["interactive"]["button_reply"]["id"], "b");
    assert_eq!(requests[0].body["message"]["media"]["id"], "m2");
    assert_eq!(requests[0].idempotency_key, requests[0].correlation_id);
    assert_eq!(request["router_id"].as_str(), requests[1].idempotency_key.as_deref());
    let kept: i64 =
        query(&stack, "SELECT count(*) FROM message WHERE direction = 'in' AND state = 'not_answered'");
    assert_eq!(kept, 4, "what is not answered is kept all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_line_holds_a_number_a_name_a_text_or_a_secret() {
    let stack = start().await;
    let number = "15550100987";
    let contacts = json!([{"profile": {"name": "Grace Brewster"}, "wa_id": number}]);
    let message = text_message(number, "wamid.private", "my password is swordfish");
    stack.webhook(envelope(&[value(json!({"messages": [message], "contacts": contacts}))])).await.unwrap();
    replies(&stack, 1).await;
    let metrics = crate::harness::get(&stack, "/metrics").await.1;
    let output = format!("{}{}{metrics}", stack.router_output(), stack.server_output());
    assert!(output.contains("message received") && output.contains("message sent"), "{output}");
    for secret in
        [number, "Grace", "Brewster", "swordfish", "sandbox-access", "sandbox-app", "sandbox-verify"]
    {
        assert!(!output.contains(secret), "{secret} is in the log:\n{output}");
    }
}
