//! Channels and routes in files: edited while the router runs, broken, and taken away.

use std::{fs, path::Path, time::Duration};

use reqwest::Method;
use sandbox::stack::Stack;
use serde_json::Value;

use crate::{
    api_client::{KEY, call, with_keys},
    harness::{
        PATIENCE, PHONE_NUMBER_ID, channel_object, echoed, get, metric, replies, route_object, webhook,
    },
};

/// The first rule takes what begins with `order`.
fn routes(orders: &str, rest: &str) -> String {
    let rules = format!(
        "
- name: orders
  matches: [{{text: {{type: Prefix, value: order}}}}]
  backends: [{{url: \"{orders}\"}}]
- name: default
  backends: [{{url: \"{rest}\"}}]
"
    );
    route_object("shop", "support", &rules)
}

/// As an editor does it: the file is there as a whole or not at all.
fn write(folder: &Path, name: &str, text: &str) {
    let new = folder.join(format!(".{name}.new"));
    fs::write(&new, text).unwrap();
    fs::rename(new, folder.join(name)).unwrap();
}

/// A router with these objects; the server answers what its backends are, the simulator's own backend is beside it.
async fn start(folder: &Path) -> Stack {
    // Addresses are known only when everything runs, so the routes come afterwards.
    write(folder, "channel.yaml", &channel_object("support"));
    with_keys().config_dir(folder).start().await.unwrap()
}

async fn ask(stack: &Stack, path: &str) -> Value {
    let answer = call(stack, Method::GET, path, &[("x-api-key", KEY)], None).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The status and the reason of a condition.
fn condition(object: &Value, kind: &str) -> (String, String) {
    let conditions = object["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    (text("status"), text("reason"))
}

/// Waits until the list is as wanted.
async fn until(stack: &Stack, path: &str, is_right: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let list = ask(stack, path).await;
            if is_right(&list) {
                return list;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(list) => list,
        Err(_) => panic!("{path} did not change; the router says:\n{}", stack.router_output()),
    }
}

fn is_programmed(list: &Value) -> bool {
    list["items"].as_array().unwrap().first().is_some_and(|item| condition(item, "Programmed").0 == "True")
}

async fn say(stack: &Stack, from: &str, wamid: &str, text: &str) {
    let answer = stack.webhook(webhook(&[(from, wamid, text)])).await.unwrap();
    assert_eq!(answer.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_in_use_for_the_next_message_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let stack = start(folder.path()).await;
    let (server, simulator) = (stack.server_url().unwrap().to_owned(), stack.simulator().backend_url());
    write(folder.path(), "routes.yaml", &routes(&server, &server));
    let first = until(&stack, "/api/v1/routes", is_programmed).await;
    assert_eq!(first["source"], "files");
    assert_eq!(first["items"][0]["origin"], "routes.yaml, document 1");
    let channels = ask(&stack, "/api/v1/channels").await;
    assert_eq!(condition(&channels["items"][0], "ResolvedRefs").0, "True");
    assert_eq!(channels["items"][0]["spec"]["accessTokenRef"]["name"], "default");

    say(&stack, "4915100000001", "wamid.1", "order 1").await;
    say(&stack, "4915100000002", "wamid.2", "hello").await;
    replies(&stack, 2).await;
    assert_eq!(stack.simulator().backend_requests().len(), 0, "the server answered both");

    write(folder.path(), "routes.yaml", &routes(&simulator, &server));
    let generation = first["generation"].as_u64().unwrap();
    let second =
        until(&stack, "/api/v1/routes", |list| list["generation"].as_u64().unwrap() > generation).await;
    say(&stack, "4915100000001", "wamid.3", "Order 2").await;
    say(&stack, "4915100000002", "wamid.4", "hello again").await;
    replies(&stack, 4).await;
    let asked = stack.simulator().backend_requests();
    assert_eq!(asked.iter().map(|request| request.text.as_deref()).collect::<Vec<_>>(), [Some("Order 2")]);

    for broken in [
        "kind: [",
        "",
        &routes(&simulator, "http://nowhere:99999"),
        &routes(&simulator, &server).replace("matches", "matchs"),
        &routes(&simulator, &server).replace("kind: Route", "kind: Rout"),
    ] {
        write(folder.path(), "routes.yaml", broken);
        let list = until(&stack, "/api/v1/routes", |list| !is_programmed(list)).await;
        let item = &list["items"][0];
        assert_eq!(condition(item, "Accepted"), ("False".to_owned(), "Invalid".to_owned()), "{broken}");
        assert_eq!(condition(item, "Programmed").1, "LastGoodVersion", "{broken}");
        assert_eq!(item["spec"]["rules"][0]["backends"][0]["url"], *simulator, "what is in use is shown");
        assert_eq!((&list["generation"], &list["checksum"]), (&second["generation"], &second["checksum"]));
        write(folder.path(), "routes.yaml", &routes(&simulator, &server));
        until(&stack, "/api/v1/routes", is_programmed).await;
    }
    write(folder.path(), "routes.yaml", "kind: [");
    until(&stack, "/api/v1/routes", |list| !is_programmed(list)).await;
    say(&stack, "4915100000001", "wamid.5", "order 3").await;
    say(&stack, "4915100000002", "wamid.6", "still there?").await;
    let all = replies(&stack, 6).await;
    let is_answer = |text: &str| text.contains("'still there?'");
    assert_eq!(all.iter().filter(|reply| is_answer(&reply.text)).count(), 1);
    assert!(metric(&stack, "whatsapp_router_config_reloads_total").await >= 3.0);

    let log = stack.router_output();
    assert!(log.contains("Route/shop: routes.yaml: is not YAML"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_work_of_a_channel_that_is_taken_away_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let stack = start(folder.path()).await;
    let server = stack.server_url().unwrap().to_owned();
    // Without a route a message waits.
    say(&stack, "4915100000001", "wamid.1", "anybody there?").await;
    fs::remove_file(folder.path().join("channel.yaml")).unwrap();
    until(&stack, "/api/v1/channels", |list| list["items"].as_array().unwrap().is_empty()).await;
    write(folder.path(), "routes.yaml", &routes(&server, &server));
    let routes = until(&stack, "/api/v1/routes", |list| !list["items"].as_array().unwrap().is_empty()).await;
    assert_eq!(condition(&routes["items"][0], "ResolvedRefs").1, "ChannelNotFound");
    let refused = stack.webhook(webhook(&[("4915100000001", "wamid.2", "hello?")])).await.unwrap();
    assert_eq!(refused.status, 503, "a router without channels keeps nothing, so Meta has to");
    let ledger = ask(&stack, "/api/v1/ledger").await;
    assert_eq!((&ledger["inbox"]["in_flight"], &ledger["balanced"]), (&1.into(), &true.into()));
    assert_eq!(stack.simulator().messages().len(), 0);

    write(folder.path(), "channel.yaml", &channel_object("support"));
    until(&stack, "/api/v1/routes", is_programmed).await;
    let answered = replies(&stack, 1).await;
    assert_eq!(echoed(&answered[0].text), "anybody there?");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_for_a_channel_whose_secret_comes_later() {
    let (folder, secrets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), "channel.yaml", &channel_object("support"));
    let second = channel_object("support")
        .replace("support", "second")
        .replace("106540352242922", "200")
        .replace("accessTokenRef: {name: default", "accessTokenRef: {name: second");
    write(folder.path(), "second.yaml", &second);
    let secrets_dir = secrets.path().to_string_lossy();
    let stack =
        with_keys().config_dir(folder.path()).router_env("SECRETS_DIR", secrets_dir).start().await.unwrap();
    let channels = ask(&stack, "/api/v1/channels").await;
    assert_eq!(condition(&channels["items"][0], "ResolvedRefs").1, "SecretNotFound", "{channels}");

    let other = webhook(&[("4915100000002", "wamid.2", "to the second")]).replace(PHONE_NUMBER_ID, "200");
    let both = {
        let mut first: Value =
            serde_json::from_str(&webhook(&[("4915100000001", "wamid.1", "to the first")])).unwrap();
        let second: Value = serde_json::from_str(&other).unwrap();
        first["entry"].as_array_mut().unwrap().push(second["entry"][0].clone());
        first.to_string()
    };
    for body in [&other, &both, &both] {
        assert_eq!(stack.webhook(body.clone()).await.unwrap().status, 503, "so Meta sends it again");
    }
    assert_eq!(
        ask(&stack, "/api/v1/ledger").await["inbox"]["accepted"],
        1,
        "the first has its message, once"
    );
    // One that is new while the router runs, too.
    let third = second.replace("second", "third").replace("\"200\"", "\"250\"");
    write(folder.path(), "third.yaml", &third);
    until(&stack, "/api/v1/channels", |list| list["items"].as_array().unwrap().len() == 3).await;
    let newest = other.replace("\"200\"", "\"250\"");
    assert_eq!(stack.webhook(newest).await.unwrap().status, 503, "the table knows of it at once");

    let stranger = webhook(&[("4915100000003", "wamid.3", "to nobody")]).replace(PHONE_NUMBER_ID, "300");
    write(folder.path(), "fourth.yaml", "kind: [");
    until(&stack, "/api/v1/channels", |list| !list["problems"].as_array().unwrap().is_empty()).await;
    assert_eq!(stack.webhook(stranger.clone()).await.unwrap().status, 503, "it may be in the file");
    fs::remove_file(folder.path().join("fourth.yaml")).unwrap();
    until(&stack, "/api/v1/channels", |list| list["problems"].as_array().unwrap().is_empty()).await;
    assert_eq!(stack.webhook(stranger).await.unwrap().status, 200, "what is nobody's is nobody's");

    fs::create_dir(secrets.path().join("second")).unwrap();
    write(&secrets.path().join("second"), "access-token", "a-token-that-came-later\n");
    until(&stack, "/api/v1/channels", is_programmed).await;
    assert_eq!(stack.webhook(both).await.unwrap().status, 200);
    let ledger = ask(&stack, "/api/v1/ledger").await;
    assert_eq!((&ledger["inbox"]["accepted"], &ledger["balanced"]), (&2.into(), &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_route_can_not_take_yet_waits_for_it_and_is_answered_by_no_other() {
    let (folder, secrets) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), "channel.yaml", &channel_object("support"));
    let secrets_dir = secrets.path().to_string_lossy();
    let stack =
        with_keys().config_dir(folder.path()).router_env("SECRETS_DIR", secrets_dir).start().await.unwrap();
    let (server, simulator) = (stack.server_url().unwrap().to_owned(), stack.simulator().backend_url());
    let secret = "signingSecretRef: {name: orders, key: signing}";
    let orders = routes(&simulator, &server)
        .replace("name: orders", &format!("name: orders\n      {secret}"))
        .replace("{name: shop}", "{name: before-all}")
        .replace("    - name: default\n", "")
        .replace(&format!("      backends: [{{url: \"{server}\"}}]\n"), "");
    write(folder.path(), "orders.yaml", &orders);
    write(folder.path(), "routes.yaml", &routes(&server, &server));
    let list = until(&stack, "/api/v1/routes", |list| list["items"].as_array().unwrap().len() == 2).await;
    let first = &list["items"][0];
    assert_eq!(condition(first, "Programmed").1, "MessagesWait", "{first}");
    assert_eq!(condition(first, "ResolvedRefs").1, "SecretNotFound");

    let person = "4915100000001";
    say(&stack, person, "wamid.1", "order 1").await;
    say(&stack, person, "wamid.2", "please").await;
    say(&stack, "4915100000002", "wamid.3", "hello").await;
    assert_eq!(echoed(&replies(&stack, 1).await[0].text), "hello", "what others said is answered");
    assert_eq!(metric(&stack, "whatsapp_router_config_routes_held").await, 1.0);
    assert_eq!(ask(&stack, "/api/v1/ledger").await["inbox"]["in_flight"], 2, "they wait, in their order");
    let health = ask(&stack, "/monitoring/queue/health").await;
    let held = &health["reasons"][0];
    assert_eq!((&health["status"], &held["code"]), (&"degraded".into(), &"route_held".into()), "{health}");
    let detail = held["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("the route before-all can't be used") && detail.contains("orders/signing"),
        "{held}"
    );

    fs::create_dir(secrets.path().join("orders")).unwrap();
    write(&secrets.path().join("orders"), "signing", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    until(&stack, "/api/v1/routes", is_programmed).await;
    let all = replies(&stack, 3).await;
    let to_person: Vec<_> = all.iter().filter(|reply| reply.to == person).collect();
    assert_eq!(to_person.len(), 2);
    assert_eq!(echoed(&to_person[1].text), "please", "after the one that it was said after");
    let asked = stack.simulator().backend_requests();
    assert_eq!(asked.iter().map(|request| request.text.as_deref()).collect::<Vec<_>>(), [Some("order 1")]);
    let ledger = ask(&stack, "/api/v1/ledger").await;
    assert_eq!((&ledger["inbox"]["answered"], &ledger["balanced"]), (&3.into(), &true.into()), "{ledger}");
    assert_eq!(metric(&stack, "whatsapp_router_config_routes_held").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_shown_as_objects_too() {
    let stack = with_keys().start().await.unwrap();
    let list = ask(&stack, "/api/v1/channels").await;
    assert_eq!((&list["source"], &list["items"][0]["name"]), (&"env".into(), &"default".into()));
    let route = ask(&stack, "/api/v1/routes/default").await;
    assert_eq!(route["origin"], "the environment");
    assert_eq!(condition(&route, "Programmed").0, "True");
    let missing = call(&stack, Method::GET, "/api/v1/channels/nobody", &[("x-api-key", KEY)], None).await;
    assert_eq!(missing.code(), (404, "not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_works_with_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config");
    let stack = with_keys().config_dir(folder.path()).start().await.unwrap();
    let server = stack.server_url().unwrap();
    for file in ["channels.yaml", "routes.yaml"] {
        let text = fs::read_to_string(Path::new(example).join(file)).unwrap();
        write(folder.path(), file, &text.replace("http://localhost:8001", server));
    }
    let list = until(&stack, "/api/v1/routes", |list| {
        let items = list["items"].as_array().unwrap();
        items.len() == 2 && items.iter().all(|item| condition(item, "Programmed").0 == "True")
    })
    .await;
    assert!(list["problems"].as_array().unwrap().is_empty(), "{list}");
    say(&stack, "4915100000001", "wamid.1", "order 1").await;
    say(&stack, "4915100000002", "wamid.2", "hello").await;
    replies(&stack, 2).await;
    let text = get(&stack, "/metrics").await.1;
    for route in ["orders/keyword", "everything-else"] {
        assert!(text.contains(&format!("route=\"{route}\"")), "{route} took no message: {text}");
    }
}
