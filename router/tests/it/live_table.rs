//! The table is replaced while messages flow: nothing is lost, doubled or reordered by it, and every change counts from
//! the next message on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use sandbox::simulator::{BusinessNumber, GraphMessage, Simulator, SimulatorOptions};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use service::{
    health::Health,
    metrics::Metrics,
    shutdown::Shutdown,
    signing::{self, Signer},
};
use whatsapp::client::{Client, Number};

use router::{
    backend::BackendClient,
    clock::Clock,
    config::objects::{Match, TextMatch, TextMatchType},
    engine::{Bounds, Engine, EngineIntake, EngineParts, EngineSettings, Retention},
    failpoints::Failpoints,
    intake::{Intake, plan},
    metrics::{RouterMetrics, StoreMetrics},
    pacing::{Limits, Pair},
    retry::RetryPolicy,
    routing::{
        Ambiguity, Backend, Channel, DeadLetter, Debounce, DeliveryPolicy, Events, LiveTable, MarkRead,
        Route, Rule, Table, Wanted, WeightedBackend, matching::Matcher,
    },
    store::{self, ChannelLedger, Delivery, OpenOptions, Store},
};

use crate::harness::{PATIENCE, echoed, now};

const ONE: &str = "106540352242922";
const TWO: &str = "206540352242922";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An engine in this process, between two simulators: the first is Meta and a backend, the other a second backend.
struct Rig {
    meta: Simulator,
    other: Simulator,
    table: LiveTable,
    engine: Arc<Engine>,
    store: Arc<dyn Store>,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let number = |id: &str, display: &str| BusinessNumber {
            phone_number_id: id.to_owned(),
            display_phone_number: display.to_owned(),
            verified_name: "Corner Bakery".to_owned(),
        };
        let numbers = vec![number(ONE, "+1 555 078 3881"), number(TWO, "+1 555 078 3882")];
        let meta =
            Simulator::start(SimulatorOptions { numbers, ..SimulatorOptions::default() }).await.unwrap();
        let other = Simulator::start(SimulatorOptions::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("router.db").display());
        let second = Duration::from_secs(1);
        let options = OpenOptions {
            uncertain_wait: second,
            lease_time: 30 * second,
            clock: Clock::default(),
            metrics: StoreMetrics::unseen(),
        };
        let store = store::open(&url.parse().unwrap(), options).await.unwrap();
        let metrics = Metrics::new("whatsapp_router", "test", "r");
        let (table, shutdown) = (LiveTable::default(), Shutdown::new());
        let graph = Client::new(meta.url().parse().unwrap(), 10 * second).unwrap();
        let engine = Engine::start(EngineParts {
            store: store.clone(),
            table: table.clone(),
            backend: BackendClient::new(metrics.http_client().clone()).unwrap(),
            graph,
            metrics: RouterMetrics::new(&metrics),
            store_check: Health::new().register("store"),
            shutdown: shutdown.clone(),
            settings: EngineSettings {
                dispatch_concurrency: 32,
                delivery_concurrency: 32,
                send_retry: RetryPolicy { attempts: Some(10), ..retry() },
                uncertain_wait: second,
                ambiguous: Ambiguity::Repeat,
                bounds: Bounds { items: 100_000, bytes: 1 << 30 },
                retention: Retention { messages: None, webhooks: None, events: None, dead_letters: None },
            },
            clock: Clock::default(),
            failpoints: Failpoints::default(),
            tracer: service::telemetry::Tracer::off(),
        });
        Self { meta, other, table, engine, store, shutdown, _folder: folder }
    }

    fn backend(&self) -> Backend {
        Backend::at(&self.meta.backend_url().parse().unwrap())
    }

    fn other_backend(&self) -> Backend {
        Backend::at(&self.other.backend_url().parse().unwrap())
    }

    /// A webhook as the router would take it now; false when none of it is for a channel of the table.
    async fn webhook(&self, number: &str, from: &str, wamid: &str, text: &str) -> bool {
        let body = Bytes::from(webhook(number, from, wamid, text));
        let delivery: Delivery = {
            let webhook = whatsapp::webhook::parse(&body).unwrap();
            plan(webhook, body.clone(), &self.table.load(), store::now()).delivery
        };
        if delivery.is_empty() {
            return false;
        }
        EngineIntake(self.engine.clone()).accept(delivery).await.unwrap();
        true
    }

    async fn replies(&self, count: usize) -> Vec<GraphMessage> {
        if let Err(some) = self.meta.wait_for_messages(count, PATIENCE).await {
            panic!("{} of {count} replies came", some.len());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.meta.messages()
    }

    /// Waits until nothing is left in the queues; each channel adds up then.
    async fn settled(&self) -> HashMap<String, ChannelLedger> {
        let waiting = async {
            loop {
                let depth = self.store.depth();
                if depth.inbox == 0 && depth.outbox == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("work is left in the queues");
        let ledger = self.store.ledger().await.unwrap();
        for channel in &ledger {
            assert_eq!((channel.inbox_gap(), channel.outbox_gap()), (0, 0), "{channel:?}");
        }
        ledger.into_iter().map(|channel| (channel.channel.to_string(), channel)).collect()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
    }

    async fn stop(self) {
        self.shutdown.stop();
        self.engine.idle().await;
    }
}

fn webhook(number: &str, from: &str, wamid: &str, text: &str) -> String {
    let message = json!({"from": from, "id": wamid, "timestamp": now().to_string(), "type": "text",
        "text": {"body": text}});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": number},
        "messages": [message]}}]}]})
    .to_string()
}

fn retry() -> RetryPolicy {
    RetryPolicy {
        attempts: Some(8),
        backoff: Duration::from_millis(200),
        max_backoff: Duration::from_secs(1),
        max_age: Duration::from_secs(600),
    }
}

fn channel(name: &str, number: &str, token: &SecretString, throughput: u32) -> Channel {
    let pair = Pair { interval: Duration::from_millis(1), burst: 100_000 };
    Channel {
        name: Arc::from(name),
        number: Number::new(number, "v25.0", token).unwrap(),
        app_secrets: vec![SecretString::from("app-secret")],
        verify_token: SecretString::from("verify"),
        limits: Limits { throughput, business_initiated: throughput, pair, ..Limits::default() },
    }
}

fn rule(route: &str, name: &str, backends: Vec<(Backend, u32)>) -> Rule {
    Rule {
        label: Rule::label(route, name),
        route: Arc::from(route),
        name: Arc::from(name),
        matchers: Vec::new(),
        backends: backends.into_iter().map(|(backend, weight)| WeightedBackend { backend, weight }).collect(),
        wanted: Wanted::default(),
        delivery: DeliveryPolicy {
            timeout: Duration::from_secs(10),
            retry: retry(),
            ambiguous: Ambiguity::Repeat,
            reply_max_age: Duration::from_secs(86_400),
            debounce: None,
            takeover_idle: Duration::ZERO,
            undelivered: None,
            dead_letter: DeadLetter::Store,
        },
        events: Events::default(),
        mark_read: MarkRead::Never,
        signer: None,
    }
}

fn route(name: &str, channels: &[&str], rules: Vec<Rule>) -> Route {
    let channels = channels.iter().map(|channel| Arc::from(*channel)).collect();
    Route { name: Arc::from(name), channels, priority: 0, created_at: None, rules }
}

fn prefix(value: &str) -> Matcher {
    let text = Some(TextMatch { match_type: TextMatchType::Prefix, value: value.to_owned() });
    Matcher::compile(&Match { text, ..Match::default() }).unwrap()
}

/// The table of the given number: both channels or one, one backend or several, one rule or two.
fn variant(rig: &Rig, number: usize) -> Table {
    let token = &rig.meta.options().access_token;
    let throughput = [100_000, 500, 3_000][number % 3];
    let mut channels = vec![channel("one", ONE, token, throughput)];
    let mut names = vec!["one"];
    if number % 4 != 3 {
        channels.push(channel("two", TWO, token, throughput));
        names.push("two");
    }
    let rules = match number % 5 {
        0 => vec![rule("r", "default", vec![(rig.backend(), 1)])],
        1 => vec![rule("r", "default", vec![(rig.backend(), 1), (rig.other_backend(), 1)])],
        2 => vec![
            Rule {
                matchers: vec![prefix("1"), prefix("2")],
                ..rule("r", "low", vec![(rig.other_backend(), 1)])
            },
            rule("r", "default", vec![(rig.backend(), 2)]),
        ],
        3 => vec![rule("r", "default", vec![(rig.backend(), 0), (rig.other_backend(), 5)])],
        _ => vec![rule("s", "renamed", vec![(rig.other_backend(), 3), (rig.backend(), 1)])],
    };
    Table::new(channels, vec![route("r", &names, rules)]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_swapped_under_load_and_nothing_is_lost_doubled_or_reordered() {
    const PEOPLE: usize = 24;
    const EACH: usize = 25;
    let rig = Arc::new(Rig::start().await);
    rig.table.store(variant(&rig, 0));
    let swapping = tokio::spawn({
        let rig = rig.clone();
        async move {
            for number in 0..400 {
                rig.table.store(variant(&rig, number));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            rig.table.store(variant(&rig, 1));
        }
    });
    let mut writing = Vec::new();
    for person in 0..PEOPLE {
        let rig = rig.clone();
        writing.push(tokio::spawn(async move {
            let number = if person % 2 == 0 { ONE } else { TWO };
            let from = format!("1555010{person:04}");
            for turn in 0..EACH {
                // While the channel is not there Meta is told that the number is none of ours; it is for us to wait.
                while !rig.webhook(number, &from, &format!("wamid.{person}.{turn}"), &turn.to_string()).await
                {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }));
    }
    for task in writing {
        task.await.unwrap();
    }
    swapping.await.unwrap();
    let replies = rig.replies(PEOPLE * EACH).await;
    assert_eq!(replies.len(), PEOPLE * EACH, "each once");
    let mut by_person: HashMap<(String, String), Vec<String>> = HashMap::new();
    for reply in &replies {
        let key = (reply.phone_number_id.clone(), reply.to.clone());
        by_person.entry(key).or_default().push(echoed(&reply.text).to_owned());
    }
    let in_order: Vec<String> = (0..EACH).map(|turn| turn.to_string()).collect();
    assert_eq!(by_person.len(), PEOPLE);
    for (person, said) in &by_person {
        assert_eq!(said, &in_order, "{person:?}");
    }
    let asked = (rig.meta.backend_requests().len(), rig.other.backend_requests().len());
    assert!(asked.0 > 0 && asked.1 > 0, "both backends were asked: {asked:?}");
    let ledger = rig.settled().await;
    for name in ["one", "two"] {
        let expected = i64::try_from(PEOPLE / 2 * EACH).unwrap();
        assert_eq!(
            (ledger[name].accepted, ledger[name].answered, ledger[name].sent),
            (expected, expected, expected)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_channel_that_is_gone_waits_until_it_is_back() {
    let rig = Rig::start().await;
    let token = rig.meta.options().access_token.clone();
    let wrong = SecretString::from("revoked-token");
    let table = |with_two: bool, token: &SecretString| {
        let mut channels = vec![channel("one", ONE, token, 1_000)];
        let mut names = vec!["one"];
        if with_two {
            channels.push(channel("two", TWO, token, 1_000));
            names.push("two");
        }
        Table::new(channels, vec![route("r", &names, vec![rule("r", "default", vec![(rig.backend(), 1)])])])
            .unwrap()
    };
    rig.table.store(table(true, &wrong));
    assert!(rig.webhook(TWO, "15550100001", "wamid.1", "first").await);
    rig.until("the channel stops for its credential", |rig| {
        rig.engine.limits_view().iter().any(|channel| &*channel.channel == "two" && channel.stopped.is_some())
    })
    .await;
    rig.table.store(table(false, &wrong));
    rig.until("the channel is gone from the limits", |rig| rig.engine.limits_view().len() == 1).await;
    assert!(!rig.webhook(TWO, "15550100001", "wamid.2", "second").await, "none of ours");
    assert_eq!((rig.store.depth().outbox, rig.store.depth().dead_letters), (1, 0), "it waits");
    // The wait between two tries of a stopped channel is 30 s; a credential that changed is tried at once.
    let back = std::time::Instant::now();
    rig.table.store(table(true, &token));
    let replies = rig.replies(1).await;
    assert_eq!((echoed(&replies[0].text), &*replies[0].phone_number_id), ("first", TWO));
    assert!(back.elapsed() < PATIENCE);
    assert!(rig.webhook(TWO, "15550100001", "wamid.2", "second").await);
    assert_eq!(rig.replies(2).await.len(), 2);
    assert_eq!(rig.settled().await["two"].sent, 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_has_its_own_backend_policy_and_signature() {
    let rig = Rig::start().await;
    let token = rig.meta.options().access_token.clone();
    let signer = Signer::new(&[SecretString::from(SECRET)]).unwrap();
    let orders = Rule {
        matchers: vec![prefix("order")],
        mark_read: MarkRead::OnReply,
        signer: Some(signer.clone()),
        ..rule("shop", "orders", vec![(rig.other_backend(), 1)])
    };
    let mut burst = rule("shop", "burst", vec![(rig.backend(), 1)]);
    burst.matchers = vec![prefix("and")];
    burst.delivery.debounce = Some(Debounce { quiet: Duration::from_secs(30), max: Duration::from_secs(60) });
    burst.mark_read = MarkRead::OnReceive;
    let mut dropped = rule(
        "shop",
        "dropped",
        vec![(Backend::at(&format!("{}/nowhere", rig.meta.url()).parse().unwrap()), 1)],
    );
    dropped.matchers = vec![prefix("drop")];
    dropped.delivery.dead_letter = DeadLetter::Drop;
    let channels = vec![channel("one", ONE, &token, 1_000)];
    let rules = vec![orders, burst, dropped];
    rig.table.store(Table::new(channels, vec![route("shop", &["one"], rules)]).unwrap());

    let person = "15550100001";
    for (wamid, text) in [
        ("wamid.1", "order 1"),
        ("wamid.2", "nobody takes this"),
        ("wamid.3", "drop it"),
        ("wamid.4", "and"),
        ("wamid.5", "and more"),
        ("wamid.6", "order 2"),
    ] {
        assert!(rig.webhook(ONE, person, wamid, text).await);
    }
    let replies = rig.replies(3).await;
    let said: Vec<_> = replies.iter().map(|reply| echoed(&reply.text)).collect();
    assert_eq!(said, ["order 1", "and\nand more", "order 2"], "the burst ends where another rule takes over");

    let calls = rig.other.backend_requests();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        let header = |name: &str| call.headers.get(name).map(String::as_str);
        assert_eq!(header(signing::ID), call.idempotency_key.as_deref());
        let at: i64 = header(signing::TIMESTAMP).unwrap().parse().unwrap();
        assert!(
            header(signing::SIGNATURE).unwrap().starts_with("v1,") && at.unsigned_abs().abs_diff(now()) < 60
        );
    }
    let unsigned = rig.meta.backend_requests();
    assert!(unsigned.iter().all(|call| !call.headers.contains_key(signing::SIGNATURE)));

    let read = |rig: &Rig| -> Vec<String> {
        let calls = rig.meta.calls();
        let marks = calls.iter().filter(|call| call.request["status"] == "read" && call.status == Some(200));
        let mut ids: Vec<_> =
            marks.filter_map(|call| call.request["message_id"].as_str().map(str::to_owned)).collect();
        ids.sort();
        ids
    };
    rig.until("messages are shown as read", |rig| read(rig) == ["wamid.1", "wamid.4", "wamid.5", "wamid.6"])
        .await;

    let ledger = rig.settled().await;
    let one = &ledger["one"];
    assert_eq!((one.accepted, one.answered, one.not_to_be_answered, one.inbox_dead), (6, 4, 2, 0), "{one:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_over_the_bytes_that_were_sent() {
    let rig = Rig::start().await;
    let secret = SecretString::from(SECRET);
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", server.local_addr().unwrap());
    let signed = Rule {
        signer: Some(Signer::new(std::slice::from_ref(&secret)).unwrap()),
        ..rule("r", "default", vec![(Backend::at(&base.parse().unwrap()), 1)])
    };
    let channels = vec![channel("one", ONE, &rig.meta.options().access_token, 1_000)];
    rig.table.store(Table::new(channels, vec![route("r", &["one"], vec![signed])]).unwrap());
    let taking = tokio::spawn(take_one(server));
    assert!(rig.webhook(ONE, "15550100001", "wamid.1", "hällo").await);
    let (headers, body) = tokio::time::timeout(PATIENCE, taking).await.unwrap().unwrap();
    let header = |name: &str| headers.get(name).map(String::as_str);
    let (id, at, signature) = (header(signing::ID), header(signing::TIMESTAMP), header(signing::SIGNATURE));
    let verifier = Signer::new(&[SecretString::from(secret.expose_secret())]).unwrap();
    let present = i64::try_from(now()).unwrap();
    assert_eq!(verifier.verify(id, at, signature, &body, present), Ok(()));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["text"], "hällo");
    assert_eq!(rig.replies(1).await[0].text, "yes");
    rig.stop().await;
}

/// One request, by hand, so that its bytes are known.
async fn take_one(server: tokio::net::TcpListener) -> (HashMap<String, String>, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut stream, _) = server.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4_096];
        let count = stream.read(&mut part).await.unwrap();
        bytes.extend_from_slice(&part[..count]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let headers: HashMap<String, String> = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers["content-length"].parse().unwrap();
        if bytes.len() >= end + 4 + length {
            let answer = r#"{"reply":"yes"}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            return (headers, bytes[end + 4..].to_vec());
        }
    }
}
