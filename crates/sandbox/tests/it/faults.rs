//! Every fault does what it says, and no more than that.

use std::collections::HashSet;

use reqwest::Method;
use sandbox::simulator::Answer;
use serde_json::{Value, json};

use crate::harness::{AMARA, Bench, ZOE, read, text_message};

#[tokio::test]
async fn faults_are_put_shown_and_taken_back() {
    let bench = Bench::new().await;
    let (status, refused) = bench.call(Method::PUT, "/faults", &json!({"graph": {"latncy_ms": 1}})).await;
    assert_eq!(status, 400);
    assert!(refused["detail"].as_str().unwrap().contains("latncy_ms"), "{refused}");
    let (status, refused) =
        bench.call(Method::PUT, "/faults", &json!({"webhooks": {"duplicate": {"rate": 2.0}}})).await;
    assert_eq!(status, 400);
    assert!(refused["detail"].as_str().unwrap().contains("webhooks.duplicate"), "{refused}");

    let (status, _) = bench.call(Method::PUT, "/faults", &json!({"graph": {"resets": 2}})).await;
    assert_eq!(status, 200);
    bench.send(&text_message(AMARA, "a", "")).await.unwrap_err();
    assert_eq!(bench.get("/faults").await["graph"]["resets"], json!({"count": 1}));
    bench.call(Method::DELETE, "/faults", &Value::Null).await;
    bench.send_text(AMARA, "b", "").await;
}

#[tokio::test]
async fn a_reset_takes_nothing_and_a_lost_answer_takes_the_message() {
    let bench = Bench::new().await;
    bench.faults(json!({"graph": {"resets": 1, "lost_answers": {"count": 1}}}));
    for text in ["reset", "lost"] {
        assert!(bench.send(&text_message(AMARA, text, "")).await.is_err(), "{text}");
    }
    bench.send_text(AMARA, "fine", "").await;
    let taken: Vec<(String, Answer)> =
        bench.simulator.messages().into_iter().map(|message| (message.text, message.answer)).collect();
    assert_eq!(taken, [("lost".to_owned(), Answer::Lost), ("fine".to_owned(), Answer::Sent)]);
    let calls = bench.simulator.calls();
    assert_eq!(calls.iter().map(|call| call.status).collect::<Vec<_>>(), [None, None, Some(200)]);
}

#[tokio::test]
async fn errors_come_by_code_count_and_recipient() {
    let bench = Bench::new().await;
    bench.faults(json!({"graph": {"errors": [
        {"code": 131_056, "to": AMARA, "count": 1},
        {"code": 130_429, "http_status": 429, "retry_after": 7, "count": 1, "is_transient": true},
    ]}}));
    let first = bench.send(&text_message(ZOE, "a", "")).await.unwrap();
    assert_eq!(first.headers()["retry-after"], "7");
    let (status, body) = read(first).await;
    assert_eq!((status, body["error"]["code"].as_i64()), (429, Some(130_429)));
    assert_eq!(body["error"]["is_transient"], json!(true));
    let (status, body) = read(bench.send(&text_message(AMARA, "a", "")).await.unwrap()).await;
    assert_eq!((status, body["error"]["code"].as_i64()), (400, Some(131_056)));
    bench.send_text(AMARA, "a", "").await;
    assert_eq!(bench.simulator.messages().len(), 1);
}

#[tokio::test]
async fn a_message_can_fail_after_it_was_taken() {
    let bench = Bench::new().await;
    bench.faults(json!({"graph": {"errors": [{"code": 131_026, "as_status": true, "count": 1}]}}));
    let id = bench.send_text(AMARA, "a", "out-1").await;
    let statuses = bench.router.wait_for("statuses", 1).await;
    assert_eq!((&statuses[0]["id"], &statuses[0]["status"]), (&json!(id), &json!("failed")));
    assert_eq!(statuses[0]["errors"][0]["code"], 131_026);
    let contacts = bench.simulator.contacts();
    let chat = contacts.iter().find(|contact| contact.wa_id == AMARA).unwrap();
    assert_eq!(chat.messages[0].error.as_deref(), Some("131026: Message undeliverable"));
}

#[tokio::test]
async fn webhooks_can_come_twice() {
    let bench = Bench::new().await;
    bench.faults(json!({"webhooks": {"duplicate": 1}}));
    bench.simulator.say(AMARA, "twice").unwrap();
    bench.simulator.say(AMARA, "once").unwrap();
    bench.router.wait_for("messages", 3).await;
    let bodies: Vec<Vec<u8>> = bench.router.received().into_iter().map(|received| received.body).collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!(bodies.iter().collect::<HashSet<_>>().len(), 2);
}

#[tokio::test]
async fn webhooks_can_come_in_another_order() {
    let bench = Bench::new().await;
    bench.faults(json!({"webhooks": {"reorder": 3}}));
    for text in ["1", "2", "3"] {
        bench.simulator.say(AMARA, text).unwrap();
    }
    bench.router.wait_for("messages", 3).await;
    // It waits for two more, and leaves alone when they do not come.
    bench.simulator.say(AMARA, "4").unwrap();
    let messages = bench.router.wait_for("messages", 4).await;
    let texts: Vec<&str> = messages.iter().filter_map(|message| message["text"]["body"].as_str()).collect();
    assert_eq!(texts, ["3", "2", "1", "4"]);
}

#[tokio::test]
async fn earlier_items_can_come_again_in_new_batches() {
    let bench = Bench::new().await;
    bench.simulator.say(AMARA, "old").unwrap();
    bench.router.wait_for("messages", 1).await;
    crate::harness::eventually("the first one is noted as accepted", || {
        bench.simulator.webhooks().iter().all(|webhook| webhook.accepted)
    })
    .await;
    bench.faults(json!({"webhooks": {"rebatch": 1}}));
    bench.simulator.say(ZOE, "new").unwrap();
    bench.router.wait_for("messages", 3).await;
    let last = bench.router.received().pop().unwrap();
    let texts: Vec<Value> =
        last.items("messages").into_iter().map(|message| message["text"]["body"].clone()).collect();
    assert_eq!(texts, [json!("new"), json!("old")]);
}

#[tokio::test]
async fn a_status_can_overtake_graph_s_answer() {
    let bench = Bench::new().await;
    bench.faults(json!({"webhooks": {"statuses_before_messages": true}}));
    let id = bench.send_text(AMARA, "a", "out-1").await;
    // No waiting here: it was accepted before the answer came.
    let statuses = bench.router.accepted("statuses");
    assert_eq!((&statuses[0]["id"], &statuses[0]["status"]), (&json!(id), &json!("sent")));
    let statuses = bench.router.wait_for("statuses", 2).await;
    assert_eq!(statuses[1]["status"], "delivered");
}

#[tokio::test]
async fn statuses_can_be_dropped_or_poorer() {
    let bench = Bench::new().await;
    bench.faults(json!({"webhooks": {"drop_statuses": 2}}));
    bench.send_text(AMARA, "a", "out-1").await;
    crate::harness::eventually("both statuses were dropped", || {
        bench
            .simulator
            .faults()
            .webhooks
            .drop_statuses
            .is_some_and(|dose| dose == sandbox::simulator::Dose::Count(0))
    })
    .await;
    bench.faults(json!({"webhooks": {"omit_callback_data": true}}));
    let second = bench.send_text(AMARA, "b", "out-2").await;
    let statuses = bench.router.wait_for("statuses", 2).await;
    assert!(statuses.iter().all(|status| status["id"] == json!(second)), "{statuses:?}");
    assert!(statuses.iter().all(|status| status.get("biz_opaque_callback_data").is_none()), "{statuses:?}");
}
