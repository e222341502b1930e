//! A conversation in which a person of the business writes is theirs for a while.

use serde_json::json;

use crate::harness::{builder, idle, metric, now, query, replies, value, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_on_the_phone_silences_the_backend_for_a_while() {
    let stack = builder().router_env("TAKEOVER_IDLE", "3s").without_server().start().await.unwrap();
    let person = "15550100001";
    let echo = json!({"from": "15550783881", "to": person, "id": "wamid.echo", "timestamp": now().to_string(),
        "type": "text", "text": {"body": "I am here myself"}});
    let unreadable = json!({"from": "15550783881", "id": "wamid.nobody", "type": "text"});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
        {"field": "smb_message_echoes", "value": value(json!({"message_echoes": [echo, unreadable]}))}
    ]}]})
    .to_string();
    assert_eq!(stack.webhook(body.clone()).await.unwrap().status, 200);
    assert_eq!(stack.webhook(body).await.unwrap().status, 200);
    for (from, wamid, text) in [(person, "wamid.1", "thank you"), ("15550100002", "wamid.2", "hello")] {
        stack.webhook(webhook(&[(from, wamid, text)])).await.unwrap();
    }
    let answered = replies(&stack, 1).await;
    assert_eq!(answered.len(), 1);
    assert_eq!(answered[0].to, "15550100002", "the other one is answered as always");
    idle(&stack).await;
    let error: String = query(&stack, "SELECT error FROM message WHERE state = 'not_answered'");
    assert_eq!(error, "taken_over");
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message WHERE wamid = 'wamid.echo'"), 1);
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM event WHERE field = 'smb_message_echoes'"), 1);
    assert!(metric(&stack, "whatsapp_router_echoes_received_total").await >= 1.0);

    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    stack.webhook(webhook(&[(person, "wamid.3", "are you still there?")])).await.unwrap();
    assert_eq!(replies(&stack, 2).await[1].to, person);
}
