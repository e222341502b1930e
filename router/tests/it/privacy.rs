//! What people are called, how they are reached, what they say, and every secret stay out of logs, spans and metrics of
//! router and server, even when everything is logged.

use std::path::Path;

use sandbox::stack::Output;
use secrecy::SecretString;
use serde_json::json;

use crate::{
    collector::{Collector, Seen},
    harness::{
        EVERYTHING, PATIENCE, builder, channel_object, envelope, faults, get, idle, now, route_object,
        text_message, value, webhook,
    },
};

const NUMBERS: [&str; 4] = ["15557310001", "15557310002", "15557310003", "15557310004"];
const WORDS: [&str; 9] = [
    "Wilhelmina Quarkmeister",
    "quarkmeister_w",
    "zwetschgenknoedel",
    "rhabarberbarbara",
    "kaiserschmarrn-caption.pdf",
    "Leopoldine Grantscherm",
    "mohnnudeln",
    "powidltascherl",
    "US.7310998877665544",
];
const SECRETS: [&str; 5] = [
    "access-token-sachertorte",
    "app-secret-linzertorte",
    "verify-token-malakofftorte",
    "api-key-dobostorte-0123456789",
    // What the router signs its calls of the server with, without the prefix.
    "RXN0ZXJoYXp5LVRvcnRlLVB1bnNjaGtyYXBmZXJs",
];

/// Texts that begin with this go to the simulator's backend, which refuses on demand; the server answers the rest.
const REFUSED: &str = "powidltascherl";

fn write_objects(folder: &Path, server: &str, simulator: &str) {
    let rules = format!(
        "
- name: refused
  matches: [{{text: {{type: Prefix, value: {REFUSED}}}}}]
  backends: [{{url: \"{simulator}\"}}]
- name: default
  backends: [{{url: \"{server}\"}}]
  signingSecretRef: {{name: signing, key: key}}
"
    );
    let new = folder.join(".routes.yaml.new");
    std::fs::write(&new, route_object("all", "default", &rules)).unwrap();
    std::fs::rename(new, folder.join("routes.yaml")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_people_and_no_secret_is_in_logs_spans_or_metrics() {
    let collector = Collector::start().await;
    let logs = tempfile::tempdir().unwrap();
    let objects = tempfile::tempdir().unwrap();
    std::fs::write(objects.path().join("channel.yaml"), channel_object("default")).unwrap();
    let [access, app, verify, key, signing] = SECRETS;
    let signing = format!("whsec_{signing}");
    let mut builder = builder()
        .config_dir(objects.path())
        .output(Output::Files(logs.path().to_owned()))
        .simulator(|simulator| {
            simulator.access_token = SecretString::from(access);
            simulator.app_secret = SecretString::from(app);
            simulator.verify_token = SecretString::from(verify);
        })
        .router_env("LOG_LEVEL", EVERYTHING)
        .router_env("LOG_FORMAT", "json")
        .router_env("ROUTER_API_KEYS", key)
        .router_env("WHATSAPP_ROUTER_SECRET_SIGNING_KEY", &*signing)
        .server_env("SERVER_SIGNING_SECRET", &*signing)
        .server_env("LOG_LEVEL", EVERYTHING)
        .server_env("LOG_FORMAT", "json");
    for (name, value) in collector.env("grpc") {
        builder = builder.router_env(name, value.clone()).server_env(name, value);
    }
    let mut stack = builder.start().await.unwrap();
    let server = stack.server_url().unwrap().to_owned();
    write_objects(objects.path(), &server, &stack.simulator().backend_url());
    let [ada, bob, cleo, dan] = NUMBERS;

    // Everything that people send, with all that Meta tells of them.
    let contacts = json!([{"wa_id": ada, "user_id": "US.7310998877665544", "profile": {"name": "Wilhelmina Quarkmeister", "username": "quarkmeister_w"}}]);
    let message = |wamid: &str, rest: serde_json::Value| {
        let mut message = json!({"from": ada, "id": wamid, "timestamp": now().to_string()});
        message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        message
    };
    let many = json!({"contacts": contacts, "messages": [
        text_message(ada, "wamid.text", "zwetschgenknoedel"),
        message("wamid.image", json!({"type": "image", "image": {"id": "1", "mime_type": "image/jpeg", "caption": "rhabarberbarbara"}})),
        message("wamid.document", json!({"type": "document", "document": {"id": "2", "filename": "kaiserschmarrn-caption.pdf"}})),
        message("wamid.contacts", json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Leopoldine Grantscherm"}, "phones": [{"phone": bob}]}]})),
        message("wamid.unknown", json!({"type": "hologram", "hologram": {"of": "mohnnudeln"}})),
        {"id": "wamid.nobody", "type": "text", "text": {"body": "powidltascherl"}},
    ]});
    assert_eq!(stack.webhook(envelope(&[value(many)])).await.unwrap().status, 200);
    let status = json!({"statuses": [{"id": "wamid.gone", "status": "failed", "recipient_id": ada, "timestamp": now().to_string(),
        "errors": [{"code": 131026, "title": "Message undeliverable", "error_data": {"details": format!("{ada} mohnnudeln")}}]}]});
    assert_eq!(stack.webhook(envelope(&[value(status)])).await.unwrap().status, 200);

    // What strangers send, and what can't be read.
    let client = reqwest::Client::new();
    let url = |path: &str| format!("{}{path}", stack.router_url());
    let unsigned =
        client.post(url("/webhook")).body(webhook(&[(bob, "wamid.x", "mohnnudeln")])).send().await.unwrap();
    assert_eq!(unsigned.status(), 403);
    assert_eq!(stack.webhook(format!("mohnnudeln {bob} no json")).await.unwrap().status, 400);
    let handshake =
        client.get(url("/webhook?hub.mode=subscribe&hub.verify_token=mohnnudeln&hub.challenge=1"));
    assert_eq!(handshake.send().await.unwrap().status(), 403);

    // The server, called by somebody else than the router.
    for (path, body) in [
        ("/process", json!({"text": "mohnnudeln", "message": {"from": bob}}).to_string()),
        ("/process", format!("mohnnudeln {bob} no json")),
        ("/mohnnudeln", bob.to_owned()),
    ] {
        let answer = client.post(format!("{server}{path}")).body(body).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
    }

    // Refusals of both sides, dead letters among them.
    idle(&stack).await;
    stack.simulator().set_faults(faults(json!({"backend": {"errors": {"status": 422, "count": 1}}})));
    stack.webhook(webhook(&[(bob, "wamid.refused", "powidltascherl")])).await.unwrap();
    idle(&stack).await;
    stack.simulator().set_faults(faults(
        json!({"graph": {"errors": [{"code": 131026, "count": 1}, {"code": 131056, "count": 1}]}}),
    ));
    stack.webhook(webhook(&[(cleo, "wamid.undeliverable", "mohnnudeln")])).await.unwrap();
    stack.webhook(webhook(&[(cleo, "wamid.retried", "mohnnudeln")])).await.unwrap();

    // The API, used rightly and wrongly.
    let send = |body: serde_json::Value, key: &str| {
        let request = client.post(url("/api/v1/messages?force=true")).bearer_auth(key.to_owned());
        request.header("content-type", "application/json").body(body.to_string()).send()
    };
    let text = |to: &str, body: &str| json!({"to": to, "type": "text", "text": {"body": body}});
    assert_eq!(send(text(dan, "mohnnudeln"), key).await.unwrap().status(), 202);
    assert_eq!(send(text(dan, "mohnnudeln"), "api-key-mohnnudeln").await.unwrap().status(), 401);
    assert_eq!(send(text(dan, &"mohnnudeln".repeat(1_000)), key).await.unwrap().status(), 400);
    for path in [
        format!("/api/v1/messages?contact={dan}"),
        format!("/rate-limit/stats/{dan}"),
        format!("/{dan}/mohnnudeln"),
    ] {
        let _ = client.get(url(&path)).bearer_auth(key).send().await.unwrap();
    }
    idle(&stack).await;
    let told = |all: &[Seen], name: &str| all.iter().any(|span| span.name() == name && span.is_error());
    collector
        .wait_for("both dead letters", |all| told(all, "process default") && told(all, "send default"))
        .await;
    let served = |all: &[Seen]| all.iter().any(|span| span.service == "whatsapp-server");
    collector.wait_for("spans of the server", served).await;
    let router_metrics = get(&stack, "/metrics").await.1;
    let server_metrics = reqwest::get(format!("{server}/metrics")).await.unwrap().text().await.unwrap();
    assert!(server_metrics.contains("whatsapp_server_messages_processed_total{outcome=\"answered\"}"));
    tokio::time::timeout(PATIENCE, stack.stop_router()).await.unwrap().unwrap();
    tokio::time::timeout(PATIENCE, stack.stop_server()).await.unwrap().unwrap();

    let log = |name: &str| std::fs::read_to_string(logs.path().join(name)).unwrap();
    let (router_log, server_log) = (log("router.log"), log("server.log"));
    assert!(router_log.lines().count() > 100, "everything is logged");
    for message in [
        "message received",
        "given up, now a dead letter",
        "attempt failed, will try again",
        "webhook refused",
    ] {
        assert!(router_log.contains(message), "the log has no line: {message}");
    }
    assert!(server_log.contains("/process") && server_log.lines().count() > 10, "{server_log}");
    let spans = collector.as_text();
    let mut leaks = Vec::new();
    for word in NUMBERS.iter().chain(&WORDS).chain(&SECRETS) {
        for (place, text) in [
            ("the router's log", &router_log),
            ("the server's log", &server_log),
            ("spans", &spans),
            ("the router's metrics", &router_metrics),
            ("the server's metrics", &server_metrics),
        ] {
            leaks.extend(
                text.lines()
                    .filter(|line| line.contains(word))
                    .take(3)
                    .map(|line| format!("{place}: {word}: {line:.600}")),
            );
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
}
