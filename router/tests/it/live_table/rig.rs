//! An engine between two simulators, whose table the tests replace.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use sandbox::simulator::{BusinessNumber, GraphMessage, Simulator, SimulatorOptions};
use secrecy::SecretString;
use serde_json::json;
use service::{health::Health, metrics::Metrics, shutdown::Shutdown};
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
        Ambiguity, Backend, Channel, DeadLetter, DeliveryPolicy, Events, LiveTable, MarkRead, Route, Rule,
        Wanted, WeightedBackend, matching::Matcher,
    },
    store::{self, ChannelLedger, Delivery, OpenOptions, Store},
};

use crate::harness::{PATIENCE, now};

pub(super) const ONE: &str = "106540352242922";
pub(super) const TWO: &str = "206540352242922";
/// An engine in this process, between two simulators: the first is Meta and a backend, the other a second backend.
pub(super) struct Rig {
    pub(super) meta: Simulator,
    pub(super) other: Simulator,
    pub(super) table: LiveTable,
    pub(super) engine: Arc<Engine>,
    pub(super) store: Arc<dyn Store>,
    shutdown: Shutdown,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(super) async fn start() -> Self {
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
                silent_after: None,
                refused_after: Duration::from_secs(300),
            },
            clock: Clock::default(),
            failpoints: Failpoints::default(),
            tracer: service::telemetry::Tracer::off(),
        });
        Self { meta, other, table, engine, store, shutdown, _folder: folder }
    }

    pub(super) fn backend(&self) -> Backend {
        Backend::at(&self.meta.backend_url().parse().unwrap())
    }

    pub(super) fn other_backend(&self) -> Backend {
        Backend::at(&self.other.backend_url().parse().unwrap())
    }

    /// A webhook as the router would take it now; false when none of it is for a channel of the table.
    pub(super) async fn webhook(&self, number: &str, from: &str, wamid: &str, text: &str) -> bool {
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

    pub(super) async fn replies(&self, count: usize) -> Vec<GraphMessage> {
        if let Err(some) = self.meta.wait_for_messages(count, PATIENCE).await {
            let came: Vec<_> = some.iter().map(|reply| &reply.text).collect();
            panic!(
                "{} of {count} replies came: {came:?}; {:?}; {:?}; calls of Graph {:?}",
                some.len(),
                self.store.depth(),
                self.engine.limits_view(),
                self.meta.calls().iter().map(|call| call.status).collect::<Vec<_>>()
            );
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.meta.messages()
    }

    /// Waits until nothing is left in the queues; each channel adds up then.
    pub(super) async fn settled(&self) -> HashMap<String, ChannelLedger> {
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

    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
    }

    pub(super) async fn stop(self) {
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
        // Far longer than a channel rests that is stopped: what could not be tried before its age is given up at once.
        max_age: Duration::from_secs(86_400),
    }
}

pub(super) fn channel(name: &str, number: &str, token: &SecretString, throughput: u32) -> Channel {
    let pair = Pair { interval: Duration::from_millis(1), burst: 100_000 };
    Channel {
        name: Arc::from(name),
        number: Number::new(number, "v25.0", token).unwrap(),
        app_secrets: vec![SecretString::from("app-secret")],
        verify_token: SecretString::from("verify"),
        limits: Limits { throughput, business_initiated: throughput, pair, ..Limits::default() },
    }
}

pub(super) fn rule(route: &str, name: &str, backends: Vec<(Backend, u32)>) -> Rule {
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
        is_held: false,
    }
}

pub(super) fn route(name: &str, channels: &[&str], rules: Vec<Rule>) -> Route {
    let channels = channels.iter().map(|channel| Arc::from(*channel)).collect();
    Route { name: Arc::from(name), channels, priority: 0, created_at: None, rules }
}

pub(super) fn prefix(value: &str) -> Matcher {
    let text = Some(TextMatch { match_type: TextMatchType::Prefix, value: value.to_owned() });
    Matcher::compile(&Match { text, ..Match::default() }).unwrap()
}
