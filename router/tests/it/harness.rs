//! What the tests share: a stack to start, webhooks to send, and an account of who was answered what.

use std::{collections::HashMap, time::Duration};

use sandbox::{
    simulator::{Faults, GraphMessage},
    stack::{Output, Stack, StackBuilder},
};
use serde_json::{Value, json};

/// Long enough for a slow machine; nothing waits for it in the usual course.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A `LOG_LEVEL` with which every library tells all it can; without their names some tell no more than warnings.
pub(crate) const EVERYTHING: &str =
    "trace,poem=trace,hyper=trace,hyper_util=trace,h2=trace,reqwest=trace,rustls=trace";

pub(crate) const PHONE_NUMBER_ID: &str = "106540352242922";

/// A stack that keeps its output for failures and is quick about what is usually slow.
pub(crate) fn builder() -> StackBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Stack::builder()
        .output(Output::Captured)
        .search_output()
        .router_env("SEND_UNCERTAIN_WAIT", "1s")
        .router_env("LOG_LEVEL", "info,router=debug")
}

/// The channel that the environment would make, as a file of `CONFIG_DIR`, under this name.
pub(crate) fn channel_object(name: &str) -> String {
    format!(
        "
apiVersion: whatsapp-router.dev/v1alpha1
kind: Channel
metadata: {{name: \"{name}\"}}
spec:
  provider: WhatsAppCloud
  phoneNumberId: \"{PHONE_NUMBER_ID}\"
  accessTokenRef: {{name: default, key: access-token}}
  verification:
    verifyTokenRef: {{name: default, key: verify-token}}
    appSecretRef: {{name: default, key: app-secret}}
  limits: {{messagesPerSecond: 1000, pairBurst: 1000}}
"
    )
}

/// A route of the channel, as a file of `CONFIG_DIR`. `rules` is the list of its rules, as YAML that begins at the margin.
pub(crate) fn route_object(name: &str, channel: &str, rules: &str) -> String {
    let rules: String = rules.trim().lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "
apiVersion: whatsapp-router.dev/v1alpha1
kind: Route
metadata: {{name: {name}}}
spec:
  channelRefs: [{{name: {channel}}}]
  rules:
{rules}"
    )
}

pub(crate) async fn start() -> Stack {
    builder().start().await.unwrap()
}

/// One whose backend is the simulator's, which misbehaves on demand.
pub(crate) async fn start_with_bad_backend() -> Stack {
    builder().without_server().start().await.unwrap()
}

pub(crate) fn faults(document: Value) -> Faults {
    serde_json::from_value(document).unwrap()
}

/// Unix seconds.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn text_message(from: &str, wamid: &str, text: &str) -> Value {
    json!({"from": from, "id": wamid, "timestamp": now().to_string(), "type": "text", "text": {"body": text}})
}

/// The value of a change of the field `messages`.
pub(crate) fn value(rest: Value) -> Value {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID},
    });
    value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    value
}

pub(crate) fn envelope(values: &[Value]) -> String {
    let changes: Vec<_> = values.iter().map(|value| json!({"field": "messages", "value": value})).collect();
    json!({"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": changes}]})
        .to_string()
}

/// A webhook with these messages, as (from, wamid, text).
pub(crate) fn webhook(messages: &[(&str, &str, &str)]) -> String {
    let messages: Vec<_> =
        messages.iter().map(|(from, wamid, text)| text_message(from, wamid, text)).collect();
    envelope(&[value(json!({"messages": messages}))])
}

/// Waits for `count` messages at Graph, and then a moment longer for one too many.
pub(crate) async fn replies(stack: &Stack, count: usize) -> Vec<GraphMessage> {
    if let Err(some) = stack.simulator().wait_for_messages(count, PATIENCE).await {
        panic!("{} of {count} replies came; the router says:\n{}", some.len(), stack.router_output());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    stack.simulator().messages()
}

/// What the backend was given, in the order in which Graph took the replies to it.
pub(crate) async fn texts(stack: &Stack, count: usize) -> Vec<String> {
    replies(stack, count).await.iter().map(|reply| echoed(&reply.text).to_owned()).collect()
}

/// What the server was given, from what it answered.
pub(crate) fn echoed(reply: &str) -> &str {
    let start = "I received your message: '";
    let end = "' and here is a random number: ";
    let rest = reply.strip_prefix(start).unwrap_or_else(|| panic!("not the server's answer: {reply}"));
    &rest[..rest.rfind(end).unwrap_or_else(|| panic!("not the server's answer: {reply}"))]
}

/// The echoed texts by contact, in the order in which Graph took them.
pub(crate) fn by_contact(messages: &[GraphMessage]) -> HashMap<String, Vec<String>> {
    let mut by_contact: HashMap<String, Vec<String>> = HashMap::new();
    for message in messages {
        by_contact.entry(message.to.clone()).or_default().push(echoed(&message.text).to_owned());
    }
    by_contact
}

/// The value of a metric without labels, or the sum over all of them.
pub(crate) async fn metric(stack: &Stack, name: &str) -> f64 {
    let text = get(stack, "/metrics").await.1;
    text.lines()
        .filter(|line| line.split(['{', ' ']).next() == Some(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Waits until nothing is left in the router's queues.
pub(crate) async fn idle(stack: &Stack) {
    let waiting = async {
        loop {
            let text = get(stack, "/metrics").await.1;
            let busy = ["inbox", "outbox"].iter().any(|queue| {
                !text.contains(&format!("whatsapp_router_queue_depth{{queue=\"{queue}\"}} 0\n"))
            });
            if !busy {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("work is left in the queues; the router says:\n{}", stack.router_output());
    }
}

pub(crate) async fn get(stack: &Stack, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("{}{path}", stack.router_url())).await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// One number or text out of the router's database.
pub(crate) fn query<T: rusqlite::types::FromSql>(stack: &Stack, sql: &str) -> T {
    let path = stack.data_dir().join("router.db");
    let connection =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}
