//! The whole loop against an API server in this process: watch, compile, write the conditions, tell of changes.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use service::{
    health::{CheckHandle, Health},
    metrics::Metrics,
    shutdown::Shutdown,
};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    fake_api::{EVENTS, FakeApi, LEASES, NAMESPACE, collection},
    source::{self, WatchTimes, Watched},
    *,
};
use crate::{
    config::{
        compile::{Compiler, fixtures as objects},
        compiled::Compiled,
        snapshot::Kind,
    },
    settings::KubernetesSettings,
};

const LEASE: &str = "whatsapp-router-status";

fn watch_times() -> WatchTimes {
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
struct Replica {
    watched: Watched,
    check: CheckHandle,
    health: Health,
    metrics: KubernetesMetrics,
    leading: watch::Receiver<bool>,
    shutdown: Shutdown,
    tasks: Vec<JoinHandle<()>>,
}

impl Replica {
    fn start(api: &FakeApi, pod: &str) -> Self {
        Self::with_times(api, pod, &watch_times())
    }

    fn with_times(api: &FakeApi, pod: &str, times: &WatchTimes) -> Self {
        let settings = KubernetesSettings {
            pod_name: pod.to_owned(),
            status_lease: LEASE.to_owned(),
            ..KubernetesSettings::default()
        };
        let cluster = Cluster::new(api.client(), NAMESPACE, &settings);
        let health = Health::new();
        health.ready();
        let check = health.register("kubernetes");
        let watched = source::start(&cluster.client, &cluster.namespaces, times, check.clone());
        let (compiled, task) = compile(&watched);
        let metrics = KubernetesMetrics::new(&Metrics::new("whatsapp_test", "1", "r"));
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
            task,
            tokio::spawn(writer.run(shutdown.clone())),
            tokio::spawn(campaign(cluster.client, cluster.lease, lease_times(), sender, shutdown.clone())),
        ];
        Self { watched, check, health, metrics, leading, shutdown, tasks }
    }

    fn leads(&self) -> bool {
        *self.leading.borrow()
    }

    /// As when the machine loses its power.
    fn kill(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    fn known(&self) -> Vec<String> {
        let snapshot = self.watched.source.snapshots.borrow().clone();
        snapshot.iter().flat_map(|snapshot| &snapshot.objects).map(|object| object.id.to_string()).collect()
    }
}

fn compile(watched: &Watched) -> (watch::Receiver<Arc<Compiled>>, JoinHandle<()>) {
    let (sender, receiver) = watch::channel(Arc::<Compiled>::default());
    let mut snapshots = watched.source.snapshots.clone();
    let task = tokio::spawn(async move {
        let compiler = Compiler::new(objects::defaults());
        while snapshots.changed().await.is_ok() {
            let Some(snapshot) = snapshots.borrow_and_update().clone() else { continue };
            let before = sender.borrow().clone();
            let (_, compiled) = compiler.compile(&snapshot, &objects::secrets(), Some(&before)).unwrap();
            sender.send_replace(Arc::new(compiled));
        }
    });
    (receiver, task)
}

/// The time only bounds patience.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came true that {what}");
}

fn apply_channel(api: &FakeApi, name: &str, number: &str) {
    api.apply(Kind::Channel, name, &objects::channel(name, number)["spec"]);
}

fn apply_route(api: &FakeApi, name: &str, rules: &Value) {
    api.apply(Kind::Route, name, &json!({"channelRefs": [{"name": "a"}], "rules": rules}));
}

/// `True/Accepted` and so on, by the condition's name; empty when there is none.
fn condition(api: &FakeApi, kind: Kind, name: &str, condition: &str) -> String {
    let object = api.get(&collection(kind), name).unwrap_or_default();
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    conditions
        .iter()
        .find(|it| it["type"] == condition)
        .map(|it| format!("{}/{}", text(&it["status"]), text(&it["reason"])))
        .unwrap_or_default()
}

fn observed(api: &FakeApi, kind: Kind, name: &str) -> Option<i64> {
    api.get(&collection(kind), name)?["status"]["observedGeneration"].as_i64()
}

fn events(api: &FakeApi) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = api.all(EVENTS);
    all.iter().map(|it| (text(&it["type"]), text(&it["reason"]), text(&it["regarding"]["name"]))).collect()
}

#[tokio::test]
async fn objects_are_told_what_became_of_them_and_only_when_that_changes() {
    let api = FakeApi::default();
    apply_channel(&api, "a", "111");
    apply_route(&api, "orders", &json!([objects::rule("all")]));
    let replica = Replica::start(&api, "router-0");
    for (kind, name) in [(Kind::Channel, "a"), (Kind::Route, "orders")] {
        eventually("it is programmed", || condition(&api, kind, name, "Programmed") == "True/Programmed")
            .await;
        assert_eq!(condition(&api, kind, name, "Accepted"), "True/Accepted");
        assert_eq!(condition(&api, kind, name, "ResolvedRefs"), "True/ResolvedRefs");
        assert_eq!(observed(&api, kind, name), Some(1));
    }
    assert!(!replica.check.is_failing());
    assert_eq!(replica.metrics.leader.get(), 1);

    // Our own writes come back by the watch; they are nobody's reason to write.
    let writes = api.count("PATCH");
    assert_eq!(writes, 2);
    apply_route(&api, "orders", &json!([objects::rule("changed")]));
    eventually("the second generation is there", || observed(&api, Kind::Route, "orders") == Some(2)).await;
    assert_eq!(api.count("PATCH"), writes + 1);

    // Somebody else scribbles over it.
    api.overwrite(&collection(Kind::Route), "orders", |route| route["status"] = json!({"conditions": []}));
    eventually("it is written again", || observed(&api, Kind::Route, "orders") == Some(2)).await;
    assert_eq!(events(&api), [], "nothing was ever wrong");

    // Another object by the same name has a status of its own.
    api.delete(&collection(Kind::Route), "orders");
    apply_route(&api, "orders", &json!([objects::rule("all")]));
    eventually("the new one is told", || observed(&api, Kind::Route, "orders") == Some(1)).await;
}

#[tokio::test]
async fn a_bad_object_stops_nothing_and_is_told_why() {
    let api = FakeApi::default();
    apply_channel(&api, "a", "111");
    api.apply(Kind::Route, "nonsense", &json!("not even an object"));
    api.apply(Kind::Channel, "broken", &json!({"provider": 7, "phoneNumberId": [1, 2]}));
    apply_route(&api, "orders", &json!([objects::rule("all")]));
    api.overwrite(&collection(Kind::Route), "orders", |route| route["status"] = json!("scribble"));
    let _replica = Replica::start(&api, "router-0");
    eventually("the good one works", || {
        condition(&api, Kind::Route, "orders", "Programmed") == "True/Programmed"
    })
    .await;
    for (kind, name) in [(Kind::Route, "nonsense"), (Kind::Channel, "broken")] {
        eventually("it is told", || condition(&api, kind, name, "Accepted") == "False/Invalid").await;
    }
    let warning = |name: &str| ("Warning".to_owned(), "Invalid".to_owned(), name.to_owned());
    eventually("there are events", || events(&api).len() == 2).await;
    assert!(events(&api).contains(&warning("nonsense")) && events(&api).contains(&warning("broken")));

    // A broken version of what works: the last good one stays in use, and that is said.
    apply_route(&api, "orders", &json!([{"name": "all", "backends": []}]));
    eventually("the last good version is in use", || {
        condition(&api, Kind::Route, "orders", "Programmed") == "False/LastGoodVersion"
    })
    .await;
    apply_route(&api, "orders", &json!([objects::rule("all")]));
    eventually("it is right again", || {
        condition(&api, Kind::Route, "orders", "Programmed") == "True/Programmed"
    })
    .await;
    let normal = ("Normal".to_owned(), "Accepted".to_owned(), "orders".to_owned());
    eventually("that is told too", || events(&api).contains(&normal)).await;
    assert_eq!(events(&api).len(), 4, "{:?}", events(&api));
}

#[tokio::test]
async fn the_last_good_configuration_outlives_the_api_server() {
    let api = FakeApi::default();
    apply_channel(&api, "a", "111");
    let replica = Replica::start(&api, "router-0");
    eventually("it is known", || replica.known() == ["Channel/a"]).await;
    api.go_down();
    let before = replica.watched.source.sync.age();
    eventually("the age rises", || replica.watched.source.sync.age() > before + Duration::from_millis(200))
        .await;
    assert_eq!(replica.known(), ["Channel/a"]);
    assert!(!replica.check.is_failing(), "it goes on with what it has");
    eventually("it does not believe to be the writer for ever", || !replica.leads()).await;

    // An edit that nobody could tell it of.
    apply_route(&api, "orders", &json!([objects::rule("all")]));
    api.delete(&collection(Kind::Channel), "a");
    apply_channel(&api, "b", "222");
    let age = replica.watched.source.sync.age();
    api.come_back();
    eventually("the edit is picked up", || replica.known() == ["Channel/b", "Route/orders"]).await;
    assert!(replica.watched.source.sync.age() < age);
    eventually("conditions are written again", || {
        condition(&api, Kind::Route, "orders", "ResolvedRefs") == "False/ChannelNotFound"
    })
    .await;
}

#[tokio::test]
async fn cut_connections_and_forgotten_versions_lose_no_change() {
    let api = FakeApi::default();
    let replica = Replica::start(&api, "router-0");
    eventually("the empty cluster is known", || replica.watched.source.snapshots.borrow().is_some()).await;
    for (number, disturb) in
        [FakeApi::cut as fn(&FakeApi), FakeApi::compact].into_iter().cycle().take(6).enumerate()
    {
        apply_channel(&api, &format!("channel-{number}"), &number.to_string());
        disturb(&api);
        eventually("every channel is known", || replica.known().len() == number + 1).await;
    }
}

#[tokio::test]
async fn a_silent_connection_is_given_up() {
    let api = FakeApi::default();
    let times =
        WatchTimes { watch: Duration::from_millis(50), answer: Duration::from_millis(50), ..watch_times() };
    let replica = Replica::with_times(&api, "router-0", &times);
    // The watches of this server never end by themselves and never say a word.
    eventually("it lists again and again", || api.count("GET /apis/whatsapp-router.dev") > 20).await;
    assert!(!replica.check.is_failing());
}

#[tokio::test]
async fn it_says_what_keeps_it_from_watching() {
    for (code, says) in [
        (404, &["routes.whatsapp-router.dev", "router crd | kubectl apply"][..]),
        (403, &["list routes in the namespace shop", "Role"]),
    ] {
        let api = FakeApi::default();
        api.refuse("/routes", code);
        let replica = Replica::start(&api, "router-0");
        let why = || replica.health.failing().get("kubernetes").cloned().unwrap_or_default();
        eventually("it says so", || says.iter().all(|words| why().contains(words))).await;
        assert!(replica.watched.source.snapshots.borrow().is_none(), "half of it is nothing");
        api.allow();
        eventually("it is well again by itself", || !replica.check.is_failing()).await;
        assert!(replica.watched.source.snapshots.borrow().is_some());
    }
}

#[tokio::test]
async fn one_writes_and_another_takes_over() {
    let api = FakeApi::default();
    let holder =
        || api.get(LEASES, LEASE).unwrap_or_default()["spec"]["holderIdentity"].as_str().map(str::to_owned);
    let replicas: Vec<_> = (0..3).map(|number| Replica::start(&api, &format!("router-{number}"))).collect();
    let leaders = |left: &[&Replica]| left.iter().filter(|replica| replica.leads()).count();
    let mut left: Vec<&Replica> = replicas.iter().collect();
    for (number, gracefully) in [(0, true), (1, false)] {
        eventually("one leads", || leaders(&left) == 1).await;
        let name = format!("channel-{number}");
        apply_channel(&api, &name, &number.to_string());
        eventually("it is told", || !condition(&api, Kind::Channel, &name, "Accepted").is_empty()).await;
        assert_eq!(leaders(&left), 1);
        let leader = left.remove(left.iter().position(|replica| replica.leads()).unwrap());
        let old = holder().unwrap();
        if gracefully {
            leader.shutdown.begin();
            eventually("the Lease is given away or taken", || holder().as_ref() != Some(&old)).await;
            eventually("it does not lead any more", || !leader.leads()).await;
        } else {
            leader.kill();
        }
        eventually("another one leads", || leaders(&left) == 1).await;
        assert_ne!(holder().unwrap(), old);
    }
    let transitions = api.get(LEASES, LEASE).unwrap()["spec"]["leaseTransitions"].as_i64();
    assert_eq!(transitions, Some(2));
    // Once for each of the two; once more for each takeover that was faster than the news of it.
    assert!(api.count("PATCH") <= 4, "{}", api.count("PATCH"));
}

#[tokio::test]
async fn a_lease_of_another_time_is_taken_when_nobody_renews_it() {
    let api = FakeApi::default();
    apply_channel(&api, "a", "111");
    let first = Replica::start(&api, "router-0");
    eventually("it leads", || first.leads()).await;
    first.kill();
    api.overwrite(LEASES, LEASE, |lease| {
        lease["spec"] = json!({
            "holderIdentity": "ghost", "leaseDurationSeconds": 1, "leaseTransitions": 7,
            "renewTime": "2099-01-01T00:00:00.000000Z", "acquireTime": "2099-01-01T00:00:00.000000Z",
        });
    });
    let second = Replica::start(&api, "router-1");
    eventually("it took over", || second.leads()).await;
    assert_eq!(api.get(LEASES, LEASE).unwrap()["spec"]["leaseTransitions"], 8);
}

#[tokio::test]
async fn conditions_that_may_not_be_written_stop_nothing() {
    let api = FakeApi::default();
    apply_channel(&api, "a", "111");
    api.refuse("PATCH", 403);
    api.refuse(EVENTS, 403);
    let replica = Replica::start(&api, "router-0");
    eventually("it tried", || replica.metrics.status_writes.with_label_values(&["failed"]).get() > 2).await;
    assert_eq!(replica.known(), ["Channel/a"]);
    api.allow();
    eventually("it is written", || !condition(&api, Kind::Channel, "a", "Accepted").is_empty()).await;
}

#[tokio::test]
async fn it_can_be_asked_whether_the_kinds_are_known() {
    let api = FakeApi::default();
    let cluster = Cluster::new(api.client(), NAMESPACE, &KubernetesSettings::default());
    assert_eq!(cluster.knows_our_kinds().await, Ok(true));
    api.refuse("/apis/whatsapp-router.dev", 404);
    assert_eq!(cluster.knows_our_kinds().await, Ok(false));
}
