//! What Graph took and never delivered is noticed, once, and its remedy is sent.

use serde_json::json;

use crate::harness::{builder, faults, idle, metric, query, replies, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn an_undelivered_reply_is_counted_and_a_template_follows() {
    let builder = builder()
        .router_env("UNDELIVERED_AFTER", "1s")
        .router_env("UNDELIVERED_ACTION", "template:hello_world/en_US");
    let stack = builder.without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"webhooks": {"no_statuses": true}})));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    let sent = replies(&stack, 2).await;
    assert_eq!(sent.len(), 2, "a remedy gets no remedy");
    idle(&stack).await;
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message WHERE undelivered_at IS NOT NULL"), 1);
    assert_eq!(
        query::<String>(&stack, "SELECT type FROM message WHERE direction = 'out' ORDER BY seq DESC LIMIT 1"),
        "template"
    );
    assert_eq!(metric(&stack, "whatsapp_router_undelivered_total").await, 1.0);
}
