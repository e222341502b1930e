//! The compile, object by object.

mod held;
mod secrets;

use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};
use service::secrets::Secrets;

use super::{fixtures::*, *};
use crate::{
    config::{compiled::Status, objects::Reason},
    routing::{Ambiguity, DeadLetter},
};

#[test]
fn good_objects_become_the_table() {
    let rules = json!([keyword("orders", json!({"type": "Prefix", "value": "order"})), rule("default")]);
    let world = World::new(&[channel("a", "1"), route("shop", "a", rules)]);
    assert!(world.compiled.is_good(), "{:#?}", world.compiled.reports);
    assert_eq!(world.compiled.generation, 1);
    let channel = world.table.channel_of_number("1").unwrap();
    assert_eq!((&*channel.name, channel.verify_token.expose_secret()), ("a", "verify"));
    assert_eq!(channel.app_secrets.len(), 1);
    assert_eq!(world.asked("a", "Order 1").as_deref(), Some("shop/orders"));
    assert_eq!(world.asked("a", "hello").as_deref(), Some("shop"));
    let rule = world.table.rule("shop/orders").unwrap();
    assert_eq!(rule.backends[0].backend.process_url.as_str(), "http://orders:8080/process");
    assert_eq!(rule.delivery, defaults().delivery);
}

#[test]
fn what_an_object_says_wins_over_the_defaults() {
    let limited =
        with(channel("a", "1"), "/spec/limits", json!({"messagesPerSecond": 20, "pairInterval": "1s"}));
    let rules = json!([{
        "name": "default", "types": ["image"], "markRead": "OnReply",
        "backends": [{"service": {"name": "orders", "port": 8080}, "weight": 3}, {"url": "https://x.example/y", "weight": 0}],
        "delivery": {
            "timeout": "3s", "ambiguous": "NeverRepeat", "deadLetter": "Drop", "replyMaxAge": "1h",
            "retry": {"attempts": 2, "backoff": "2s", "maxBackoff": "3s", "maxAge": "1m"},
        },
        "debounce": {"quiet": "1s", "max": "2s"}, "takeover": {"idle": "5m"},
        "undelivered": {"after": "1h", "action": "Template", "template": "hello/en_US"},
    }]);
    let world = World::new(&[limited, route("r", "a", rules)]);
    assert!(world.compiled.is_good(), "{:#?}", world.compiled.reports);
    let limits = world.table.channel("a").unwrap().limits;
    assert_eq!(
        (limits.throughput, limits.user_initiated, limits.pair.interval),
        (20, 1_000, Duration::from_secs(1))
    );
    let rule = world.table.rule("r").unwrap();
    let backends: Vec<_> =
        rule.backends.iter().map(|it| (it.backend.process_url.as_str(), it.weight)).collect();
    assert_eq!(backends, [("http://orders:8080/process", 3), ("https://x.example/y/process", 0)]);
    assert_eq!((rule.delivery.timeout, rule.delivery.retry.attempts), (Duration::from_secs(3), Some(2)));
    assert_eq!(
        (rule.delivery.ambiguous, rule.delivery.dead_letter),
        (Ambiguity::NeverRepeat, DeadLetter::Drop)
    );
    assert_eq!(rule.delivery.debounce.unwrap().max, Duration::from_secs(2));
    assert_eq!(rule.delivery.takeover_idle, Duration::from_secs(300));
    assert!(rule.delivery.undelivered.is_some());
}

#[test]
fn in_a_cluster_a_service_is_of_the_routes_namespace() {
    let backends = json!([{"service": {"name": "orders", "port": 80}}, {"service": {"name": "orders", "namespace": "shop", "port": 80}}]);
    let object = route("r", "a", json!([{"name": "default", "backends": backends}]));
    let world = World::new(&[channel("a", "1"), with(object, "/metadata/namespace", json!("wa"))]);
    let rule = world.table.rule("r").unwrap();
    let urls: Vec<_> = rule.backends.iter().map(|it| it.backend.process_url.as_str()).collect();
    assert_eq!(urls, ["http://orders.wa.svc/process", "http://orders.shop.svc/process"]);
}

#[test]
fn what_is_wrong_in_itself_is_named_with_its_field() {
    let of_rule = |path: &str, value: Value| {
        with(route("r", "a", json!([rule("default")])), &format!("/spec/rules/0/{path}"), value)
    };
    for (object, says) in [
        (
            of_rule("matches", json!([{"text": {"type": "Regex", "value": "(a"}}])),
            "spec.rules[0].matches[0]: text: is no regular expression",
        ),
        (of_rule("matches", json!([{"from": {"type": "Regex", "value": "\\w{5000}"}}])), "too big"),
        (
            of_rule("backends", json!([{"url": "http://a:99999"}])),
            "spec.rules[0].backends[0].url: is not an address",
        ),
        (of_rule("backends", json!([{"url": "http://"}])), "spec.rules[0].backends[0].url"),
        (of_rule("debounce", json!({"quiet": "3s", "max": "2s"})), "max (2s) is shorter than quiet (3s)"),
        (of_rule("delivery", json!({"timeout": "0s"})), "spec.rules[0].delivery.timeout: is not from"),
        (
            of_rule("delivery", json!({"retry": {"backoff": "10m"}})),
            "backoff (10m) is longer than maxBackoff (5m by default)",
        ),
        (
            of_rule("delivery", json!({"retry": {"maxBackoff": "2h", "maxAge": "1h"}})),
            "maxBackoff (2h) is longer than maxAge (1h)",
        ),
        (
            of_rule("delivery", json!({"retry": {"backoff": "2m", "maxAge": "1m"}})),
            "backoff (2m) is longer than maxAge (1m)",
        ),
        (
            of_rule("undelivered", json!({"after": "1h", "action": "Template"})),
            "spec.rules[0].undelivered.template: is missing",
        ),
        (
            of_rule("undelivered", json!({"after": "1h", "action": "Alarm", "template": "a/b"})),
            "only for the action Template",
        ),
        (
            of_rule("events", json!(["statuses"])),
            "spec.rules[0].events: can't be posted to backends by this version",
        ),
        (of_rule("bakends", json!([])), "is no field that is known"),
        (of_rule("backends", json!([{"url": "http://a", "wait": 1}])), "spec.rules[0].backends[0].wait"),
    ] {
        let world = World::new(&[channel("a", "1"), object]);
        let (statuses, reason, message) = world.said(Kind::Route, "r");
        assert_eq!((&*statuses, reason), ("FUF", Reason::Invalid), "{says}");
        assert!(message.contains(says), "{says} is not in {message}");
        // Which messages it means is known, unless that is what is wrong.
        let is_known = !says.contains("matches") && !says.contains("too big") && !says.contains("no field");
        assert_eq!(world.asked("a", "hello").as_deref(), is_known.then_some("r keeps it"), "{says}");
        assert!(world.said(Kind::Channel, "a").0 == "TTT", "the channel has nothing to do with it");
    }
    let world = World::new(&[with(channel("a", "1"), "/spec/limits", json!({"pairInterval": "2h"}))]);
    assert!(world.said(Kind::Channel, "a").2.contains("spec.limits.pairInterval"));
}

#[test]
fn a_bad_new_version_leaves_the_last_good_one_in_use() {
    let good = [channel("a", "1"), route("r", "a", json!([rule("default")]))];
    let bad_route = with(good[1].clone(), "/spec/rules/0/backends/0/url", json!("http://other:99999"));
    let bad_channel = with(good[0].clone(), "/spec/provider", json!("Pigeon"));
    let mut world = World::new(&good);
    world.then(&[bad_channel, bad_route.clone()]);
    assert_eq!(world.compiled.generation, 1, "nothing that is in use changed");
    for (kind, name) in [(Kind::Channel, "a"), (Kind::Route, "r")] {
        let (statuses, reason, _) = world.said(kind, name);
        assert_eq!((&*statuses, reason), ("FTF", Reason::Invalid), "{name}");
        assert_eq!(world.is_programmed(kind, name), (Status::False, Reason::LastGoodVersion));
    }
    let rule = world.table.rule("r").unwrap();
    assert_eq!(rule.backends[0].backend.process_url.as_str(), "http://default:8080/process");
    let shown = &world.compiled.reports[1].spec.as_ref().unwrap()["rules"][0]["backends"][0]["url"];
    assert_eq!(shown, "http://default:8080", "the version in use is shown");

    world.then(&[good[0].clone(), bad_route]);
    assert_eq!(world.said(Kind::Channel, "a").0, "TTT");
    assert_eq!(world.is_programmed(Kind::Route, "r"), (Status::False, Reason::LastGoodVersion));
    world.then(&good);
    assert!(world.compiled.is_good());
    world.then(&good[..1]);
    assert!(world.table.rule("r").is_none(), "what is removed is removed");
    assert_eq!(world.compiled.generation, 2);
}

#[test]
fn a_number_belongs_to_one_channel() {
    let at = |name: &str, time: &str| with(channel(name, "1"), "/metadata/creationTimestamp", json!(time));
    let mut world = World::new(&[at("a", "2026-02-01T00:00:00Z"), at("b", "2026-01-31T23:59:59Z")]);
    assert_eq!(&*world.table.channel_of_number("1").unwrap().name, "b", "the older one has it");
    let (statuses, reason, message) = world.said(Kind::Channel, "a");
    assert_eq!((&*statuses, reason), ("FTF", Reason::Conflicted));
    assert!(message.contains("Channel/b is older"), "{message}");
    world.then(&[at("a", "2026-02-01T00:00:00Z")]);
    assert_eq!(&*world.table.channel_of_number("1").unwrap().name, "a");

    let mut world = World::new(&[channel("b", "1")]);
    world.then(&[channel("a", "1"), channel("b", "1")]);
    assert_eq!(&*world.table.channel_of_number("1").unwrap().name, "b", "without times, who has it keeps it");
    let world = World::new(&[channel("b", "1"), channel("a", "1")]);
    assert_eq!(&*world.table.channel_of_number("1").unwrap().name, "a", "nobody had it: the name decides");
}

#[test]
fn a_channel_keeps_its_number() {
    let mut world = World::new(&[channel("a", "1")]);
    world.then(&[channel("a", "2")]);
    let (statuses, _, message) = world.said(Kind::Channel, "a");
    assert!(statuses == "FTF" && message.contains("spec.phoneNumberId: can't be changed"), "{message}");
    assert!(world.table.channel_of_number("1").is_some() && world.table.channel_of_number("2").is_none());
    world.then(&[]).then(&[channel("a", "2")]);
    assert!(world.table.channel_of_number("2").is_some(), "after it was gone it may be another");

    let with_uid = |number: &str, uid: &str| with(channel("a", number), "/metadata/uid", json!(uid));
    let mut world = World::new(&[with_uid("1", "u1")]);
    world.then(&[with_uid("2", "u2")]);
    assert!(world.compiled.is_good(), "one that was deleted and made again is another");
}

#[test]
fn a_route_needs_a_channel_and_takes_those_that_are_there() {
    let both = with(
        route("r", "a", json!([rule("default")])),
        "/spec/channelRefs",
        json!([{"name": "a"}, {"name": "b"}]),
    );
    let mut world = World::new(std::slice::from_ref(&both));
    let (statuses, reason, message) = world.said(Kind::Route, "r");
    assert_eq!((&*statuses, reason), ("TFF", Reason::ChannelNotFound));
    assert!(message.contains("Channel/a does not exist") && message.contains("channelRefs[1]"), "{message}");
    world.then(&[both.clone(), channel("a", "1")]);
    assert_eq!(world.said(Kind::Route, "r").0, "TFT");
    assert_eq!(world.asked("a", "hello").as_deref(), Some("r"));
    world.then(&[both.clone(), channel("a", "1"), channel("b", "x")]);
    assert!(world.said(Kind::Route, "r").2.contains("Channel/b is not in use"));
    world.then(&[both, channel("a", "1"), channel("b", "2")]);
    assert!(world.compiled.is_good());
}

#[test]
fn rules_that_never_get_a_message_are_named() {
    let prefix = |value: &str| json!({"type": "Prefix", "value": value});
    let first = with(route("first", "a", json!([keyword("any", prefix("o"))])), "/spec/priority", json!(1));
    let second =
        route("second", "a", json!([keyword("dead", prefix("order")), keyword("alive", prefix("x"))]));
    let third = with(route("third", "a", json!([rule("default")])), "/spec/priority", json!(-1));
    let fourth = with(third.clone(), "/metadata/name", json!("fourth"));
    let world = World::new(&[channel("a", "1"), first, second, third, fourth]);
    assert!(world.compiled.is_good(), "a warning is no refusal");
    let (_, reason, message) = world.said(Kind::Route, "second");
    assert!(reason == Reason::Shadowed && message.ends_with(": dead"), "{message}");
    assert_eq!(world.said(Kind::Route, "fourth").1, Reason::Accepted);
    assert_eq!(world.said(Kind::Route, "third").1, Reason::Shadowed, "fourth comes before third by name");
}

#[test]
fn what_a_source_could_not_read_again_stays_in_use_and_says_so() {
    let mut objects = snapshot(&[channel("a", "1")]);
    objects.objects[0].stale = Some("a.yaml: is not YAML: oops".to_owned());
    let compiler = Compiler::new(defaults());
    let (table, compiled) = compiler.compile(&objects, &secrets(), None).unwrap();
    let world = World { compiler, table, compiled };
    let (statuses, _, message) = world.said(Kind::Channel, "a");
    assert!(statuses == "FTF" && message.contains("oops"), "{message}");
    assert!(world.table.channel("a").is_some());
}

#[test]
fn what_is_shown_holds_nothing_that_nobody_declared() {
    let leaky = with(channel("a", "1"), "/spec/accessToken", json!("hunter2"));
    let url = with(
        route("r", "a", json!([rule("default")])),
        "/spec/rules/0/backends/0/url",
        json!("http://me:hunter2@a"),
    );
    let world = World::new(&[leaky, url]);
    assert!(!format!("{:?}", world.compiled).contains("hunter2"), "{:#?}", world.compiled);
}
