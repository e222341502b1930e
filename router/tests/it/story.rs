//! A search of the log for the correlation id of a message tells how it ended and why it waits, at the default level.

use std::{fs, time::Duration};

use sandbox::stack::{Stack, StackBuilder};
use serde_json::{Value, json};

use crate::{
    api_client::{send, text, with_keys},
    harness::{PATIENCE, channel_object, envelope, faults, text_message, value, webhook},
};

fn at_info() -> StackBuilder {
    with_keys().router_env("LOG_LEVEL", "info")
}

fn lines(stack: &Stack) -> Vec<Value> {
    stack.router_output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// All lines of a message, in order; but work may begin a moment before it is told that it came.
fn story(stack: &Stack, id: &str) -> Vec<Value> {
    let mut story: Vec<_> = lines(stack).into_iter().filter(|line| line["correlation_id"] == id).collect();
    story.sort_by_key(|line| {
        !["message received", "message queued"].contains(&line["message"].as_str().unwrap())
    });
    story
}

fn words(story: &[Value]) -> Vec<&str> {
    story.iter().map(|line| line["message"].as_str().unwrap()).collect()
}

/// The first line that is as wanted.
async fn until(stack: &Stack, what: &str, found: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            if let Some(line) = lines(stack).into_iter().find(|line| found(line)) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(line) => line,
        Err(_) => panic!("{what} is not told; the router says:\n{}", stack.router_output()),
    }
}

/// Sends a webhook and gives the correlation ids of its messages, as many as they are.
async fn say<const COUNT: usize>(stack: &Stack, body: String) -> [String; COUNT] {
    let before = received(stack).len();
    assert_eq!(stack.webhook(body).await.unwrap().status, 200);
    let waiting = async {
        loop {
            let ids = received(stack).split_off(before);
            if let Ok(ids) = <[String; COUNT]>::try_from(ids) {
                return ids;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap()
}

fn received(stack: &Stack) -> Vec<String> {
    let lines = lines(stack).into_iter().filter(|line| line["message"] == "message received");
    lines.map(|line| line["correlation_id"].as_str().unwrap().to_owned()).collect()
}

async fn ended(stack: &Stack, id: &str, how: &str) -> Vec<Value> {
    until(stack, how, |line| line["correlation_id"] == id && line["message"] == how).await;
    story(stack, id)
}

const PERSON: &str = "15550100001";

#[tokio::test(flavor = "multi_thread")]
async fn each_ending_is_told() {
    let stack = at_info().without_server().start().await.unwrap();
    let [sent] = say(&stack, webhook(&[(PERSON, "wamid.1", "with a reply")])).await;
    assert_eq!(words(&ended(&stack, &sent, "message sent").await), ["message received", "message sent"]);

    stack.simulator().set_faults(faults(json!({"backend": {"silent": {"count": 1}}})));
    let [silent] = say(&stack, webhook(&[(PERSON, "wamid.2", "without a reply")])).await;
    let silent = ended(&stack, &silent, "message answered").await;
    assert_eq!(words(&silent), ["message received", "message answered"]);
    assert_eq!((&silent[1]["replies"], &silent[1]["level"]), (&json!(0), &json!("INFO")));

    stack.simulator().set_faults(faults(json!({"backend": {"errors": [
        {"status": 503, "count": 1}, {"status": 422, "count": 1}]}})));
    let [dead] = say(&stack, webhook(&[(PERSON, "wamid.3", "tried, then refused")])).await;
    let dead = ended(&stack, &dead, "given up, now a dead letter").await;
    let expected = ["message received", "attempt failed, will try again", "given up, now a dead letter"];
    assert_eq!(words(&dead), expected);
    let failed = &dead[1];
    assert_eq!((&failed["route"], &failed["backend"]), (&json!("default"), &json!("default")));
    assert!(failed["retry_in_ms"].is_u64() && failed["attempts"] == 1, "{failed}");

    let mut in_group = text_message(PERSON, "wamid.4", "to a group");
    in_group["group_id"] = json!("group-1");
    let [left] = say(&stack, envelope(&[value(json!({"messages": [in_group]}))])).await;
    let left = ended(&stack, &left, "message is not to be answered").await;
    assert_eq!((left.len(), &left[1]["reason"]), (2, &json!("group_message")));

    let answer = send(&stack, None, &text(&format!("+{PERSON}"), "begun by us")).await;
    let id = answer.body["id"].as_str().unwrap();
    let ours = ended(&stack, id, "message sent").await;
    assert_eq!(words(&ours), ["message queued", "message sent"]);
    assert_eq!((&ours[0]["message_id"], &ours[0]["channel"]), (&json!(id), &json!("default")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_tells_its_part_under_the_same_ids() {
    // Nobody takes the traces; that there are any is enough for the lines.
    let (name, nowhere) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let stack = at_info().router_env(name, nowhere).server_env(name, nowhere).start().await.unwrap();
    let [id] = say(&stack, webhook(&[(PERSON, "wamid.1", "hello")])).await;
    let ours = ended(&stack, &id, "message sent").await;
    let has_told = async {
        while !stack.server_output().contains(&id) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, has_told).await.unwrap();
    let server = stack.server_output();
    let theirs = server.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let theirs: Vec<_> = theirs.filter(|line| line["correlation_id"] == *id).collect();
    assert_eq!(words(&theirs), ["message processed"]);
    assert_eq!((&theirs[0]["level"], &theirs[0]["answered"]), (&json!("INFO"), &json!(true)));
    assert!(theirs[0]["trace_id"].is_string() && theirs[0]["trace_id"] == ours[0]["trace_id"], "{theirs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_a_burst_has_its_ending() {
    let stack = at_info().without_server().router_env("DEBOUNCE_QUIET", "300ms").start().await.unwrap();
    let ids: [_; 2] =
        say(&stack, webhook(&[(PERSON, "wamid.1", "first"), (PERSON, "wamid.2", "second")])).await;
    assert_eq!(words(&ended(&stack, &ids[0], "message sent").await), ["message received", "message sent"]);
    let second = ended(&stack, &ids[1], "message answered").await;
    assert_eq!((second.len(), &second[1]["together_with"]), (2, &json!(ids[0])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_route_a_held_one_and_a_missing_channel_are_told_once_each() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(".new"), text).unwrap();
        fs::rename(folder.path().join(".new"), folder.path().join(name)).unwrap();
    };
    write("channel.yaml", &channel_object("support"));
    let stack = at_info().config_dir(folder.path()).start().await.unwrap();
    let [id] = say(&stack, webhook(&[(PERSON, "wamid.1", "hello")])).await;
    let waits = |error: &'static str| {
        let id = id.clone();
        move |line: &Value| {
            let told = line["error"].as_str().is_some_and(|text| text.contains(error));
            line["correlation_id"] == *id && line["message"] == "message waits" && told
        }
    };
    let line = until(&stack, "the missing route", waits("no route names the channel support")).await;
    assert_eq!(
        (&line["reason"], &line["level"], &line["queue"]),
        (&json!("not_configured"), &json!("INFO"), &json!("inbox"))
    );
    assert!(line["retry_in_ms"].is_u64(), "{line}");
    let route = "
apiVersion: whatsapp-router.dev/v1alpha1
kind: Route
metadata: {name: shop}
spec:
  channelRefs: [{name: support}]
  rules:
    - name: all
      signingSecretRef: {name: shop, key: signing}
      backends: [{url: \"http://127.0.0.1:9\"}]
";
    write("route.yaml", route);
    until(&stack, "the route that is held", waits("the route shop can't be used yet")).await;
    fs::remove_file(folder.path().join("channel.yaml")).unwrap();
    until(&stack, "the channel that is gone", waits("the channel support is not configured any more")).await;
    // Long enough for the next look.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        words(&story(&stack, &id)),
        ["message received", "message waits", "message waits", "message waits"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_channel_is_told_for_replies_and_for_sends() {
    let stack = at_info().router_env("WHATSAPP_ACCESS_TOKEN", "revoked").start().await.unwrap();
    let [first] = say(&stack, webhook(&[(PERSON, "wamid.1", "one")])).await;
    let waits = ended(&stack, &first, "message waits").await;
    assert_eq!((&waits[1]["reason"], &waits[1]["queue"]), (&json!("channel_waits"), &json!("outbox")));
    let [second] = say(&stack, webhook(&[("15550100002", "wamid.2", "two")])).await;
    let answered = ended(&stack, &second, "message answered").await;
    assert_eq!((&answered[1]["replies"], &answered[1]["waits"]), (&json!(1), &json!("channel_waits")));
    let answer = send(&stack, None, &text("+15550100003", "begun by us")).await;
    let queued = ended(&stack, answer.body["id"].as_str().unwrap(), "message queued").await;
    assert_eq!(queued[0]["waits"], "channel_waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_room_for_replies_is_told_of_the_message_that_waits_for_it() {
    let full = [("WHATSAPP_ACCESS_TOKEN", "revoked"), ("QUEUE_MAX_ITEMS", "1")];
    let builder = full.into_iter().fold(at_info(), |builder, (name, value)| builder.router_env(name, value));
    let stack = builder.start().await.unwrap();
    let [first] = say(&stack, webhook(&[(PERSON, "wamid.1", "one")])).await;
    ended(&stack, &first, "message waits").await;
    let [second] = say(&stack, webhook(&[("15550100002", "wamid.2", "two")])).await;
    let waits = ended(&stack, &second, "message waits").await;
    assert_eq!((&waits[1]["reason"], &waits[1]["queue"]), (&json!("outbox_full"), &json!("inbox")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_not_called_is_told_for_what_waits_and_for_what_comes() {
    let mut stack = at_info().start().await.unwrap();
    stack.kill_server().await.unwrap();
    let people: Vec<_> = (0..6).map(|index| format!("1555010000{index}")).collect();
    for person in &people {
        let _: [_; 1] = say(&stack, webhook(&[(person, &format!("wamid.{person}"), "anybody")])).await;
    }
    let opened = until(&stack, "the breaker", |line| line["level"] == "ERROR").await;
    assert_eq!((&opened["backend"], &opened["reason"]), (&json!("default"), &json!("backend_unreachable")));
    assert!(opened["probe_in_ms"].is_u64() && opened["error"].is_string(), "{opened}");
    until(&stack, "why the first ones wait", |line| {
        line["message"] == "message waits" && line["reason"] == "backend_unavailable"
    })
    .await;
    // One that comes when a probe is due is the probe.
    let mut count = 0;
    loop {
        count += 1;
        let [id] = say(&stack, webhook(&[("15550100009", &format!("wamid.late{count}"), "late")])).await;
        if story(&stack, &id)[0]["waits"] == "backend_unavailable" {
            break;
        }
        assert!(count < 100, "never told; the router says:\n{}", stack.router_output());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_not_stored_is_told_once_with_the_ids_of_its_answer() {
    let stack = at_info().router_env("QUEUE_MAX_ITEMS", "1").without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"backend": {"errors": [{"status": 503}]}})));
    let [_] = say(&stack, webhook(&[(PERSON, "wamid.1", "one")])).await;
    let refused = stack.webhook(webhook(&[(PERSON, "wamid.2", "two")])).await.unwrap();
    assert_eq!(refused.status, 503, "{}", refused.body);
    let document: Value = serde_json::from_str(&refused.body).unwrap();
    let line = until(&stack, "the refusal", |line| line["request_id"] == document["request_id"]).await;
    assert_eq!(line["level"], "WARN");
    assert!(line["message"].as_str().unwrap().starts_with("webhook not stored"), "{line}");
    assert!(!lines(&stack).iter().any(|line| line["message"] == "request"), "one line is enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_strangers_are_told_once_a_minute_for_each_reason() {
    let stack = at_info().start().await.unwrap();
    let post = async |signature: Option<&str>| {
        let request = reqwest::Client::new().post(format!("{}/webhook", stack.router_url())).body("{}");
        let request =
            signature.iter().fold(request, |request, it| request.header("x-hub-signature-256", *it));
        assert_eq!(request.send().await.unwrap().status(), 403);
    };
    for _ in 0..3 {
        post(None).await;
    }
    let wrong = format!("sha256={}", "0".repeat(64));
    post(Some(&wrong)).await;
    let told = |reason: &str| {
        let lines = lines(&stack)
            .into_iter()
            .filter(|line| line["message"].as_str().unwrap().starts_with("webhook refused"));
        lines.filter(|line| line["reason"] == reason).collect::<Vec<_>>()
    };
    until(&stack, "the last of them", |line| line["reason"] == "mismatch").await;
    let missing = told("missing");
    assert_eq!((missing.len(), &missing[0]["count"]), (1, &json!(1)));
    assert!(missing[0]["request_id"].is_string() && told("mismatch").len() == 1);
}
