//! The order of rules, table and property.

use std::collections::HashSet;

use proptest::prelude::*;
use whatsapp::client::Number;

use super::*;
use crate::{
    config::objects::{Match, TextMatch, TextMatchType},
    pacing::Limits,
    retry::RetryPolicy,
    routing::{Ambiguity, DeadLetter, DeliveryPolicy, Events, MarkRead, Wanted, WeightedBackend},
};

pub(crate) fn channel(name: &str, phone_number_id: &str) -> Channel {
    Channel {
        name: Arc::from(name),
        number: Number::new(phone_number_id, "v25.0", &SecretString::from("token")).unwrap(),
        app_secrets: vec![SecretString::from("app secret")],
        verify_token: SecretString::from("verify"),
        limits: Limits::default(),
    }
}

fn rule(route: &str, name: &str, matchers: Vec<Matcher>) -> Rule {
    let second = Duration::from_secs(1);
    let retry = RetryPolicy { attempts: Some(1), backoff: second, max_backoff: second, max_age: second };
    Rule {
        label: Rule::label(route, name),
        route: Arc::from(route),
        name: Arc::from(name),
        matchers,
        backends: vec![WeightedBackend { backend: Backend::at(&"http://a".parse().unwrap()), weight: 1 }],
        wanted: Wanted::default(),
        delivery: DeliveryPolicy {
            timeout: second,
            retry,
            ambiguous: Ambiguity::Repeat,
            reply_max_age: second,
            debounce: None,
            takeover_idle: Duration::ZERO,
            undelivered: None,
            dead_letter: DeadLetter::default(),
        },
        events: Events::default(),
        mark_read: MarkRead::default(),
        signer: None,
        is_held: false,
    }
}

fn route(name: &str, priority: i32, created_at: Option<&str>, rules: Vec<(&str, Vec<Matcher>)>) -> Route {
    Route {
        name: Arc::from(name),
        channels: vec![Arc::from("one")],
        priority,
        created_at: created_at.map(str::to_owned),
        rules: rules.into_iter().map(|(rule_name, matchers)| rule(name, rule_name, matchers)).collect(),
    }
}

fn prefix(value: &str) -> Matcher {
    let text = Some(TextMatch { match_type: TextMatchType::Prefix, value: value.to_owned() });
    Matcher::compile(&Match { text, ..Match::default() }).unwrap()
}

fn typed(types: &[&str]) -> Matcher {
    let types = types.iter().map(|name| (*name).to_owned()).collect();
    Matcher::compile(&Match { types, ..Match::default() }).unwrap()
}

fn says(text: &str) -> Facts<'_> {
    Facts { message_type: "text", text: Some(text), from: None, reply_id: None }
}

fn order(table: &Table) -> Vec<&str> {
    table.entries("one").iter().map(|entry| &*entry.rule.label).collect()
}

#[test]
fn priority_then_specificity_then_age_then_name_then_position() {
    let table = Table::new(
        vec![channel("one", "1")],
        vec![
            route("z", 0, Some("2026-01-01T00:00:00Z"), vec![("default", vec![])]),
            route("b", 0, Some("2026-02-01T00:00:00Z"), vec![("second", vec![]), ("first", vec![])]),
            route("a", 0, Some("2026-02-01T00:00:00Z"), vec![("default", vec![])]),
            route("unknown-age", 0, None, vec![("default", vec![])]),
            route(
                "specific",
                0,
                None,
                vec![("order", vec![prefix("order")]), ("text", vec![typed(&["text"])])],
            ),
            route("high", 5, None, vec![("default", vec![])]),
            route("low", -5, None, vec![("default", vec![prefix("order a lot")])]),
        ],
    )
    .unwrap();
    assert_eq!(
        order(&table),
        ["high", "specific/order", "specific/text", "z", "a", "b/second", "b/first", "unknown-age", "low"]
    );
    assert_eq!(&*table.select("one", &says("order a lot")).unwrap().label, "high");
}

#[test]
fn each_match_of_a_rule_has_its_own_place() {
    let table = Table::new(
        vec![channel("one", "1"), channel("two", "2")],
        vec![route(
            "shop",
            0,
            None,
            vec![("wide", vec![typed(&["text"]), prefix("order now")]), ("narrow", vec![prefix("order")])],
        )],
    )
    .unwrap();
    assert_eq!(order(&table), ["shop/wide", "shop/narrow", "shop/wide"]);
    for (said, taken_by) in [("order now", "shop/wide"), ("order", "shop/narrow"), ("hi", "shop/wide")] {
        assert_eq!(&*table.select("one", &says(said)).unwrap().label, taken_by, "{said}");
    }
    assert!(table.select("one", &Facts { message_type: "image", ..Facts::default() }).is_none());
    assert!(table.select("two", &says("order")).is_none(), "no route names it");
    assert!(table.select("three", &says("order")).is_none());
}

#[test]
fn what_contradicts_itself_is_no_table() {
    let refused = |channels, routes| Table::new(channels, routes).unwrap_err();
    assert_eq!(
        refused(vec![channel("a", "1"), channel("b", "1")], vec![]),
        TableError::SameNumber("a".into(), "b".into())
    );
    assert_eq!(refused(vec![channel("a", "1"), channel("a", "2")], vec![]), TableError::SameName("a".into()));
    assert_eq!(
        refused(vec![], vec![route("r", 0, None, vec![("default", vec![])])]),
        TableError::UnknownChannel { route: "r".into(), channel: "one".into() }
    );
    let twice = || route("r", 0, None, vec![("default", vec![])]);
    assert_eq!(refused(vec![channel("one", "1")], vec![twice(), twice()]), TableError::SameLabel("r".into()));
}

#[test]
fn a_secret_signs_for_the_channels_that_have_it_alone() {
    let with = |name: &str, number: &str, secrets: &[&str]| Channel {
        app_secrets: secrets.iter().map(|secret| SecretString::from(*secret)).collect(),
        ..channel(name, number)
    };
    let table = Table::new(
        vec![
            with("one", "1", &["first app"]),
            with("two", "2", &["second app", "first app"]),
            with("three", "3", &["second app"]),
        ],
        vec![],
    )
    .unwrap();
    assert_eq!(table.app_secrets().len(), 2, "each is tried once");
    let signs = |secret: usize| ["one", "two", "three"].map(|channel| table.may_sign(secret, channel));
    assert_eq!(signs(0), [true, true, false]);
    assert_eq!(signs(1), [false, true, true]);
    assert!(!table.may_sign(2, "one") && !table.may_sign(0, "four"));
}

#[test]
fn only_channels_without_any_secret_allow_unsigned_webhooks() {
    let open = || Channel { app_secrets: Vec::new(), ..channel("open", "1") };
    let table = |channels| Table::new(channels, Vec::new()).unwrap();
    assert!(table(vec![open()]).allows_unsigned());
    assert!(!table(vec![]).allows_unsigned(), "nothing is known yet");
    assert!(!table(vec![open(), channel("two", "2")]).allows_unsigned());
}

#[test]
fn a_swap_is_seen_and_told() {
    let live = crate::routing::LiveTable::default();
    let before = live.load();
    let changed = live.changed();
    live.store(Table::new(vec![channel("one", "1")], vec![]).unwrap());
    assert!(changed.has_changed().unwrap());
    assert!(before.channel("one").is_none() && live.load().channel("one").is_some());
}

prop_compose! {
    fn any_matcher()(kind in 0u8..4, value in "[ab]{1,3}") -> Option<Matcher> {
        match kind {
            0 => None,
            1 => Some(typed(&["text"])),
            _ => Some(prefix(&value)),
        }
    }
}

prop_compose! {
    fn any_route(number: usize)(
        priority in -1i32..2,
        age in prop::option::of(0u8..2),
        rules in prop::collection::vec(prop::collection::vec(any_matcher(), 0..3), 1..3),
    ) -> Route {
        let names: Vec<_> = (0..rules.len()).map(|at| format!("rule{at}")).collect();
        let rules = names.iter().map(String::as_str).zip(rules);
        let rules = rules.map(|(name, matchers)| (name, matchers.into_iter().flatten().collect())).collect();
        let age = age.map(|day| format!("2026-01-0{}T00:00:00Z", day + 1));
        route(&format!("route{number}"), priority, age.as_deref(), rules)
    }
}

proptest! {
    /// The one that takes a message is the first by precedence of all that match it, in whatever order the routes came.
    #[test]
    fn the_best_of_those_that_match_takes_it(
        routes in (any_route(0), any_route(1), any_route(2)),
        said in "[ab]{1,4}",
        turn in 0usize..3,
    ) {
        let mut routes = vec![routes.0, routes.1, routes.2];
        let facts = says(&said);
        let mut all = Vec::new();
        for route in &routes {
            for (position, rule) in route.rules.iter().enumerate() {
                let everything = [Matcher::everything()];
                let matchers = if rule.matchers.is_empty() { &everything[..] } else { &rule.matchers[..] };
                for matcher in matchers.iter().filter(|matcher| matcher.matches(&facts)) {
                    let age = (route.created_at.is_none(), route.created_at.clone());
                    let rank = (Reverse(route.priority), Reverse(matcher.specificity()), age, route.name.clone(), position);
                    all.push((rank, rule.label.clone()));
                }
            }
        }
        let expected = all.into_iter().min_by(|one, other| one.0.cmp(&other.0)).map(|(_, label)| label);
        routes.rotate_left(turn);
        let table = Table::new(vec![channel("one", "1")], routes).unwrap();
        let taken_by = table.select("one", &facts).map(|rule| rule.label.clone());
        prop_assert_eq!(taken_by, expected);
    }

    /// A conversation stays with its backend, and only backends with weight are drawn.
    #[test]
    fn a_conversation_has_one_backend(conversation in any::<i64>(), weights in prop::collection::vec(0u32..4, 1..5)) {
        let mut rule = rule("r", "default", vec![]);
        rule.backends = weights.iter().enumerate().map(|(at, weight)| WeightedBackend {
            backend: Backend::at(&format!("http://b{at}").parse().unwrap()),
            weight: *weight,
        }).collect();
        let drawn: HashSet<_> = (0..3).map(|_| rule.backend(conversation).map(|it| it.name.clone())).collect();
        prop_assert_eq!(drawn.len(), 1);
        match drawn.into_iter().next().unwrap() {
            None => prop_assert!(weights.iter().all(|weight| *weight == 0)),
            Some(name) => {
                let at: usize = name[1..].parse().unwrap();
                prop_assert!(weights[at] > 0);
            }
        }
    }
}
