//! A queue that has reached its bound takes no more, and takes more again by itself.

use serde_json::json;

use crate::harness::{builder, envelope, faults, idle, metric, replies, value, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_inbox_refuses_messages_but_no_statuses_and_recovers() {
    let stack = builder().router_env("QUEUE_MAX_ITEMS", "2").without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"backend": {"errors": [{"status": 503, "rate": 1.0}]}})));
    let say = async |wamid| stack.webhook(webhook(&[("15550100001", wamid, "hello")])).await.unwrap().status;
    assert_eq!([say("wamid.1").await, say("wamid.2").await], [200, 200]);
    assert_eq!(say("wamid.3").await, 503);
    assert!(metric(&stack, "whatsapp_router_webhooks_refused_full_total").await >= 1.0);
    let status = json!({"id": "wamid.out", "status": "sent", "timestamp": "1700000000", "recipient_id": "15550100001"});
    let statuses = envelope(&[value(json!({"statuses": [status]}))]);
    assert_eq!(stack.webhook(statuses).await.unwrap().status, 200, "a status ends work, it is always taken");

    stack.simulator().set_faults(faults(json!({})));
    idle(&stack).await;
    assert_eq!(say("wamid.3").await, 200);
    assert_eq!(replies(&stack, 3).await.len(), 3);
}
