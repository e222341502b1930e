//! Several namespaces, and rights that are missing in one of them.

use service::health::Readiness;

use super::{super::fake_api::NAMESPACE, *};

const OTHER: &str = "other";

/// A channel in each of two namespaces.
fn two_namespaces() -> FakeApi {
    let api = FakeApi::default();
    apply_channel(&api, "a", "111");
    api.apply_in(OTHER, Kind::Channel, "b", &objects::channel("b", "222")["spec"]);
    api
}

fn start(api: &FakeApi) -> Replica {
    Replica::with(api, "router-0", &watch_times(), &[NAMESPACE, OTHER])
}

fn why(replica: &Replica) -> String {
    replica.health.failing().get("kubernetes").cloned().unwrap_or_default()
}

/// Half of the channels are worse than none: webhooks of the other half would be answered as nobody's, and be lost.
#[tokio::test]
async fn a_namespace_that_may_not_be_read_keeps_a_starting_router_from_being_ready_and_is_named() {
    let api = two_namespaces();
    api.refuse("/namespaces/other/", 403);
    let replica = start(&api);
    let says = [
        "no permission to list channels in the namespace other",
        "no permission to list routes in the namespace other",
        "needs the verb list on routes",
        "Role",
        "every namespace of WATCH_NAMESPACES",
    ];
    eventually("it says all of it", || says.iter().all(|words| why(&replica).contains(words))).await;
    assert!(!why(&replica).contains("namespace shop"), "{}", why(&replica));
    assert!(matches!(replica.health.readiness(), Readiness::Failing(_)));
    assert!(replica.table.load().channels().next().is_none(), "half of it is nothing");

    api.allow();
    eventually("it is ready", || replica.health.readiness() == Readiness::Ready).await;
    assert_eq!(replica.known(), ["Channel/a", "Channel/b"]);
    assert_eq!(replica.table.load().channels().count(), 2);

    // A right that is taken from a router that runs takes nothing else from it.
    api.refuse("/namespaces/other/", 403);
    let before = api.count("/namespaces/other/channels");
    api.cut();
    eventually("it has noticed", || api.count("/namespaces/other/channels") > before + 2).await;
    assert_eq!(replica.health.readiness(), Readiness::Ready);
    assert_eq!(replica.table.load().channels().count(), 2);
    apply_channel(&api, "c", "333");
    eventually("the others are watched", || replica.table.load().channels().count() == 3).await;
}

#[tokio::test]
async fn who_may_list_and_not_watch_has_what_was_listed() {
    let api = two_namespaces();
    api.refuse("/namespaces/other/channels?watch", 403);
    let replica = start(&api);
    eventually("it is ready", || replica.health.readiness() == Readiness::Ready).await;
    api.apply_in(OTHER, Kind::Channel, "c", &objects::channel("c", "333")["spec"]);
    eventually("the next list has it", || replica.known().len() == 3).await;
}
