//! The backend or Graph misbehave: the class of the failure decides, and order is kept all the while.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    builder, by_contact, echoed, faults, get, idle, metric, query, replies, start, start_with_bad_backend,
    texts, webhook,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_fails_for_a_while_is_asked_again_in_order() {
    let stack = start_with_bad_backend().await;
    stack.simulator().set_faults(faults(json!({"backend": {
        "errors": [{"status": 503, "count": 2}, {"status": 500, "count": 1}], "garbage": {"count": 1}, "resets": {"count": 1}}})));
    let body = webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]);
    stack.webhook(body).await.unwrap();
    let order = texts(&stack, 2).await;
    assert_eq!(order, ["one", "two"]);
    let requests = stack.simulator().backend_requests();
    let first = &requests[0];
    let same: Vec<_> =
        requests.iter().filter(|request| request.idempotency_key == first.idempotency_key).collect();
    assert_eq!(same.len(), 6, "five failures and a success under one key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_down_is_waited_for() {
    let mut stack = start().await;
    stack.kill_server().await.unwrap();
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stack.simulator().messages().len(), 0);
    stack.start_server().await.unwrap();
    let order = texts(&stack, 2).await;
    assert_eq!(order, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_backend_refuses_is_a_dead_letter_at_once_and_the_next_goes_on() {
    let stack = start_with_bad_backend().await;
    stack.simulator().set_faults(faults(json!({"backend": {"errors": [{"status": 422, "count": 1}]}})));
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "bad"), ("15550100001", "wamid.2", "good")]))
        .await
        .unwrap();
    let replies = replies(&stack, 1).await;
    assert_eq!((replies.len(), echoed(&replies[0].text)), (1, "good"));
    assert_eq!(stack.simulator().backend_requests().len(), 2);
    assert_eq!(query::<String>(&stack, "SELECT reason FROM dead_letter"), "backend_refused");
    assert_eq!(metric(&stack, "whatsapp_router_dead_letters_total").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_with_nothing_to_say_ends_it() {
    let stack = start_with_bad_backend().await;
    stack.simulator().set_faults(faults(json!({"backend": {"silent": {"count": 1}}})));
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]))
        .await
        .unwrap();
    let replies = replies(&stack, 1).await;
    assert_eq!((replies.len(), echoed(&replies[0].text)), (1, "two"));
    idle(&stack).await;
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message WHERE state = 'answered'"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_graph_throttles_is_made_again_without_a_duplicate() {
    let stack = start().await;
    stack.simulator().set_faults(faults(json!({"graph": {"errors": [
        {"code": 130_429, "count": 2}, {"code": 131_056, "count": 1}]}})));
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]))
        .await
        .unwrap();
    let order = texts(&stack, 2).await;
    assert_eq!(order, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_graph_refuses_for_good_is_a_dead_letter() {
    let stack = start().await;
    stack.simulator().set_faults(faults(json!({"graph": {"errors": [{"code": 131_047, "count": 1}]}})));
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]))
        .await
        .unwrap();
    let replies = replies(&stack, 1).await;
    assert_eq!((replies.len(), echoed(&replies[0].text)), (1, "two"));
    assert_eq!(query::<String>(&stack, "SELECT reason FROM dead_letter"), "reengagement_window");
    let error: String = query(&stack, "SELECT error FROM message WHERE state = 'dead'");
    assert!(error.contains("131047"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_stops_the_channel_and_keeps_its_queue() {
    let mut stack = start().await;
    let token = stack.simulator().options().access_token.clone();
    stack.stop_router().await.unwrap();
    stack.set_router_env("WHATSAPP_ACCESS_TOKEN", "revoked");
    stack.start_router().await.unwrap();
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    stack.webhook(webhook(&[("15550100002", "wamid.2", "two")])).await.unwrap();
    let refused = async {
        while !stack.router_output().contains("Meta refuses all sends of this channel") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, refused).await.unwrap();
    assert_eq!(metric(&stack, "whatsapp_router_dead_letters_total").await, 0.0);
    assert!(!stack.router_output().contains("revoked"), "the token is not in the log");

    stack.stop_router().await.unwrap();
    use secrecy::ExposeSecret;
    stack.set_router_env("WHATSAPP_ACCESS_TOKEN", token.expose_secret());
    stack.start_router().await.unwrap();
    assert_eq!(by_contact(&replies(&stack, 2).await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_resolved_by_the_status_and_nothing_is_sent_twice() {
    // Long enough for the status to come on a machine that is busy.
    let stack = builder().router_env("SEND_UNCERTAIN_WAIT", "5s").start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"graph": {"lost_answers": {"count": 1}}})));
    stack
        .webhook(webhook(&[("15550100001", "wamid.1", "one"), ("15550100001", "wamid.2", "two")]))
        .await
        .unwrap();
    let order = texts(&stack, 2).await;
    assert_eq!(order, ["one", "two"]);
    idle(&stack).await;
    assert_eq!(stack.simulator().messages().len(), 2);
    assert_eq!(metric(&stack, "whatsapp_router_ambiguous_sends_repeated_total").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_without_any_status_is_sent_again_and_counted() {
    let stack = start().await;
    stack.simulator().set_faults(faults(
        json!({"graph": {"lost_answers": {"count": 1}}, "webhooks": {"no_statuses": true}}),
    ));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    assert_eq!(replies(&stack, 2).await.len(), 2, "the route says that it may be repeated");
    assert_eq!(metric(&stack, "whatsapp_router_ambiguous_sends_repeated_total").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_in_any_order_and_more_than_once_move_a_message_forward_only() {
    let stack = start().await;
    stack.simulator().set_faults(faults(json!({"webhooks": {
        "duplicate": {"rate": 1.0}, "reorder": 3, "statuses_before_messages": true, "omit_callback_data": true}})));
    let person = stack.simulator().contacts()[0].wa_id.clone();
    stack.simulator().open_chat(Some(&person));
    stack.simulator().say(&person, "hi").unwrap();
    replies(&stack, 1).await;
    let read = async {
        while query::<i64>(&stack, "SELECT count(*) FROM message WHERE direction = 'out' AND state = 'read'")
            == 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, read).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(query::<String>(&stack, "SELECT state FROM message WHERE direction = 'out'"), "read");
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM orphan_status"), 0);
    assert_eq!(stack.simulator().messages().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_takes_no_writes_answers_503_and_recovers() {
    let stack = start().await;
    let path = stack.data_dir().join("router.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    // Stands for a full disk: every webhook's first write fails.
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON seen BEGIN SELECT RAISE(ABORT, 'disk is full'); END;
        CREATE TRIGGER full_probe BEFORE INSERT ON probe BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
        )
        .unwrap();
    let body = webhook(&[("15550100001", "wamid.1", "one")]);
    let answer = stack.webhook(body.clone()).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(get(&stack, "/readyz").await.0, 503);
    let health = get(&stack, "/health").await;
    assert!(health.0 == 503 && health.1.contains("store"), "{health:?}");
    assert_eq!(get(&stack, "/livez").await.0, 200);

    other.execute_batch("DROP TRIGGER full; DROP TRIGGER full_probe").unwrap();
    let ready = async {
        while get(&stack, "/readyz").await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, ready).await.unwrap();
    assert_eq!(stack.webhook(body).await.unwrap().status, 200);
    assert_eq!(replies(&stack, 1).await.len(), 1);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_removed_while_it_is_used_is_never_said_to_hold_anything() {
    let stack = start().await;
    stack.webhook(webhook(&[("15550100001", "wamid.1", "one")])).await.unwrap();
    replies(&stack, 1).await;
    for name in ["router.db", "router.db-wal", "router.db-shm"] {
        std::fs::remove_file(stack.data_dir().join(name)).unwrap();
    }
    let answer = stack.webhook(webhook(&[("15550100001", "wamid.2", "two")])).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(get(&stack, "/readyz").await.0, 503);
    assert!(stack.router_output().contains("router.db is gone"), "{}", stack.router_output());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_http2_connection_may_not_open_streams_without_end() {
    let stack = start().await;
    let address = stack.router_url().strip_prefix("http://").unwrap().to_owned();
    let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    // The client's preface and an empty SETTINGS frame (RFC 9113, 3.4).
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut frame = [0; 256];
    let length = socket.read(&mut frame).await.unwrap();
    // SETTINGS_MAX_CONCURRENT_STREAMS is 3 (RFC 9113, 6.5.2).
    assert!(
        frame[..length].windows(6).any(|setting| setting == [0, 3, 0, 0, 0, 64]),
        "{:?}",
        &frame[..length]
    );
}
