//! The whole loop against an API server in this process: watch, compile, write the conditions, tell of changes.

mod namespaces;
mod replica;

use std::time::Duration;

use serde_json::json;
use service::secrets::Secrets;

use self::replica::*;
use super::{
    fake_api::{EVENTS, FakeApi, LEASES, NAMESPACE, collection},
    source::WatchTimes,
    *,
};
use crate::{
    config::{compile::fixtures as objects, snapshot::Kind},
    settings::KubernetesSettings,
};

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
async fn a_secret_that_comes_later_is_told_too() {
    let api = FakeApi::default();
    apply_channel(&api, "a", "111");
    apply_channel(&api, "z", "999");
    let mut signed = objects::rule("all");
    signed["signingSecretRef"] = json!({"name": "signing", "key": "key"});
    apply_route(&api, "orders", &json!([signed]));
    let replica = Replica::start(&api, "router-0");
    eventually("the channel lacks its token", || {
        condition(&api, Kind::Channel, "z", "ResolvedRefs") == "False/SecretNotFound"
    })
    .await;
    eventually("messages wait for the route", || {
        condition(&api, Kind::Route, "orders", "Programmed") == "False/MessagesWait"
    })
    .await;
    assert!(replica.table.load().is_awaited("999") && replica.table.load().held().next().is_some());

    let more =
        [("z", "access-token", "token-z"), ("signing", "key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    replica.secrets.send_replace(Secrets::from_pairs(objects::SECRETS.into_iter().chain(more)));
    for (kind, name) in [(Kind::Channel, "z"), (Kind::Route, "orders")] {
        eventually("it is programmed", || condition(&api, kind, name, "Programmed") == "True/Programmed")
            .await;
    }
    let table = replica.table.load();
    assert!(table.channel("z").is_some() && !table.is_awaited("999") && table.held().next().is_none());
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
    let replica = Replica::with(&api, "router-0", &times, &[]);
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
