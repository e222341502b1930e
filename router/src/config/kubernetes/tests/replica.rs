//! One router as far as it has to do with the cluster, and what the tests ask about it.

use std::time::Duration;

use serde_json::{Value, json};
use service::{
    health::{CheckHandle, Health},
    metrics::Metrics,
    secrets::Secrets,
    shutdown::Shutdown,
};
use tokio::{sync::watch, task::JoinHandle};

use super::super::{
    fake_api::{EVENTS, FakeApi, NAMESPACE, collection},
    source::{self, WatchTimes, Watched},
    *,
};
use crate::{
    config::{
        compile::{Compiler, fixtures as objects},
        reconcile,
        snapshot::Kind,
    },
    metrics::RouterMetrics,
    routing::LiveTable,
    settings::KubernetesSettings,
};

pub(super) const LEASE: &str = "whatsapp-router-status";

pub(super) fn watch_times() -> WatchTimes {
    WatchTimes {
        watch: Duration::from_secs(60),
        answer: Duration::from_secs(20),
        relist: Duration::from_secs(600),
        least_backoff: Duration::from_millis(5),
        most_backoff: Duration::from_millis(20),
    }
}

fn lease_times() -> LeaseTimes {
    LeaseTimes {
        lasts: Duration::from_secs(2),
        renew: Duration::from_millis(100),
        give_up: Duration::from_millis(1_500),
        look: Duration::from_millis(20),
        answer: Duration::from_secs(1),
    }
}

fn writer_times() -> WriterTimes {
    WriterTimes {
        resync: Duration::from_secs(600),
        answer: Duration::from_secs(20),
        settle: Duration::from_millis(100),
        pause: Duration::from_millis(1),
        least_backoff: Duration::from_millis(5),
        most_backoff: Duration::from_millis(20),
    }
}

/// One router, as far as it has to do with the cluster.
pub(super) struct Replica {
    pub(super) watched: Watched,
    pub(super) check: CheckHandle,
    pub(super) health: Health,
    pub(super) secrets: watch::Sender<Secrets>,
    pub(super) table: LiveTable,
    pub(super) metrics: KubernetesMetrics,
    leading: watch::Receiver<bool>,
    pub(super) shutdown: Shutdown,
    tasks: Vec<JoinHandle<()>>,
}

impl Replica {
    pub(super) fn start(api: &FakeApi, pod: &str) -> Self {
        Self::with(api, pod, &watch_times(), &[])
    }

    /// `namespaces`: none for its own.
    pub(super) fn with(api: &FakeApi, pod: &str, times: &WatchTimes, namespaces: &[&str]) -> Self {
        let settings = KubernetesSettings {
            pod_name: pod.to_owned(),
            status_lease: LEASE.to_owned(),
            watch_namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
            ..KubernetesSettings::default()
        };
        let cluster = Cluster::new(api.client(), NAMESPACE, &settings);
        let health = Health::new();
        health.ready();
        let check = health.register("kubernetes");
        let watched = source::start(&cluster.client, &cluster.namespaces, times, check.clone());
        let metrics = Metrics::new("whatsapp_test", "1", "r");
        let (secrets, secrets_now) = watch::channel(objects::secrets());
        let table = LiveTable::default();
        let compiled = reconcile::start(reconcile::Parts {
            compiler: Compiler::new(objects::defaults()),
            source: watched.source.clone(),
            secrets: secrets_now,
            table: table.clone(),
            metrics: RouterMetrics::new(&metrics).config,
            check: health.register("config"),
        });
        let metrics = KubernetesMetrics::new(&metrics);
        let shutdown = Shutdown::new();
        let (sender, leading) = watch::channel(false);
        let writer = Writer::new(
            cluster.client.clone(),
            compiled,
            watched.live.clone(),
            leading.clone(),
            metrics.clone(),
            writer_times(),
            pod,
        );
        let tasks = vec![
            tokio::spawn(writer.run(shutdown.clone())),
            tokio::spawn(campaign(cluster.client, cluster.lease, lease_times(), sender, shutdown.clone())),
        ];
        Self { watched, check, health, secrets, table, metrics, leading, shutdown, tasks }
    }

    pub(super) fn leads(&self) -> bool {
        *self.leading.borrow()
    }

    /// As when the machine loses its power: what it knows and compiles meanwhile nobody hears of.
    pub(super) fn kill(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    pub(super) fn known(&self) -> Vec<String> {
        let snapshot = self.watched.source.snapshots.borrow().clone();
        snapshot.iter().flat_map(|snapshot| &snapshot.objects).map(|object| object.id.to_string()).collect()
    }
}

/// The time only bounds patience.
pub(super) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came true that {what}");
}

pub(super) fn apply_channel(api: &FakeApi, name: &str, number: &str) {
    api.apply(Kind::Channel, name, &objects::channel(name, number)["spec"]);
}

pub(super) fn apply_route(api: &FakeApi, name: &str, rules: &Value) {
    api.apply(Kind::Route, name, &json!({"channelRefs": [{"name": "a"}], "rules": rules}));
}

/// `True/Accepted` and so on, by the condition's name; empty when there is none.
pub(super) fn condition(api: &FakeApi, kind: Kind, name: &str, condition: &str) -> String {
    let object = api.get(&collection(kind), name).unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    conditions
        .iter()
        .find(|it| it["type"] == condition)
        .map(|it| format!("{}/{}", text(&it["status"]), text(&it["reason"])))
        .unwrap_or_default()
}

pub(super) fn observed(api: &FakeApi, kind: Kind, name: &str) -> Option<i64> {
    api.get(&collection(kind), name)?["status"]["observedGeneration"].as_i64()
}

pub(super) fn events(api: &FakeApi) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = api.all(EVENTS);
    all.iter().map(|it| (text(&it["type"]), text(&it["reason"]), text(&it["regarding"]["name"]))).collect()
}
