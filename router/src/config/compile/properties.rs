//! What has to be true of every set of objects.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    fixtures::{channel, defaults, route, secrets, snapshot, with},
    *,
};
use crate::routing::matching::{Facts, Matcher};

fn text_match() -> impl Strategy<Value = Value> {
    (prop::sample::select(vec!["Exact", "Prefix", "Regex"]), "[ab]{1,2}")
        .prop_map(|(kind, value)| json!({"type": kind, "value": value}))
}

fn one_match() -> impl Strategy<Value = Value> {
    prop_oneof![
        text_match().prop_map(|text| json!({"text": text})),
        text_match().prop_map(|from| json!({"from": from})),
        Just(json!({"types": ["text"]})),
        (text_match(), text_match()).prop_map(|(text, from)| json!({"text": text, "from": from})),
    ]
}

fn rules() -> impl Strategy<Value = Value> {
    let one = prop::collection::vec(one_match(), 0..3);
    prop::collection::vec(one, 1..4).prop_map(|rules| {
        let rules = rules.into_iter().enumerate().map(|(position, matches)| {
            json!({"name": format!("rule-{position}"), "matches": matches, "backends": [{"url": "http://x"}]})
        });
        rules.collect()
    })
}

/// Good routes on one channel, with few priorities and times, so that every tie comes up.
fn routes() -> impl Strategy<Value = Vec<Value>> {
    let created_at =
        prop::option::of(prop::sample::select(vec!["2026-01-01T00:00:00Z", "2026-01-01T02:00:00+01:00"]));
    prop::collection::vec((rules(), -1..2i32, created_at), 1..5).prop_map(|routes| {
        let routes = routes.into_iter().enumerate().map(|(number, (rules, priority, created_at))| {
            let object =
                with(route(&format!("route-{number}"), "a", rules), "/spec/priority", json!(priority));
            match created_at {
                Some(at) => with(object, "/metadata/creationTimestamp", json!(at)),
                None => object,
            }
        });
        routes.collect()
    })
}

/// What can be wrong with an object, from its schema to its references.
fn broken(number: usize) -> Vec<Value> {
    let rule = json!([{"name": "default", "backends": [{"url": "http://x"}]}]);
    let object = |name: &str| route(name, "a", rule.clone());
    let all = [
        vec![with(object("zz"), "/spec/rules", json!([]))],
        vec![with(object("zz"), "/spec/channelRefs", json!([{"name": "nobody"}]))],
        vec![with(object("zz"), "/spec/rules/0/matches", json!([{"text": {"type": "Regex", "value": "("}}]))],
        vec![channel("zz", "1")],
        vec![channel("zz", "2"), with(object("zz"), "/spec/channelRefs", json!([{"name": "zz"}]))],
        vec![with(channel("zz", "3"), "/spec/provider", json!(7))],
    ];
    all[number % all.len()].clone()
}

fn order(table: &Table) -> Vec<String> {
    table.entries("a").iter().map(|entry| format!("{} {:?}", entry.rule.label, entry.matcher)).collect()
}

fn compiled(objects: &[Value]) -> (Table, Compiled) {
    Compiler::new(defaults()).compile(&snapshot(objects), &secrets(), None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The order of precedence, once more and in the plainest way: what is documented is what is done.
    #[test]
    fn the_first_that_matches_by_the_documented_order_takes_a_message(
        routes in routes(), text in "[ab]{0,3}", from in "[ab]{0,3}",
    ) {
        let objects: Vec<_> = [channel("a", "1")].into_iter().chain(routes.clone()).collect();
        let (table, _) = compiled(&objects);
        let facts = Facts { message_type: "text", text: Some(&text), from: Some(&from), reply_id: None };
        let mut matching = Vec::new();
        for object in &routes {
            let spec: crate::config::objects::RouteSpec = serde_json::from_value(object["spec"].clone()).unwrap();
            let created_at: Option<jiff::Timestamp> =
                object["metadata"]["creationTimestamp"].as_str().map(|at| at.parse().unwrap());
            for (position, rule) in spec.rules.iter().enumerate() {
                let matchers: Vec<_> = rule.matches.iter().map(|one| Matcher::compile(one).unwrap()).collect();
                let matchers = if matchers.is_empty() { vec![Matcher::everything()] } else { matchers };
                for matcher in matchers.iter().filter(|matcher| matcher.matches(&facts)) {
                    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                    let age = (created_at.is_none(), created_at);
                    let key = (std::cmp::Reverse(spec.priority), std::cmp::Reverse(matcher.specificity()), age, name.clone(), position);
                    matching.push((key, format!("{name}/{}", rule.name)));
                }
            }
        }
        let wanted = matching.into_iter().min().map(|(_, label)| label);
        prop_assert_eq!(table.select("a", &facts).map(|rule| rule.label.to_string()), wanted);
    }

    #[test]
    fn the_order_of_the_objects_says_nothing(
        (objects, shuffled) in routes().prop_flat_map(|routes| {
            let objects: Vec<_> = [channel("a", "1"), channel("b", "1")].into_iter().chain(routes).collect();
            (Just(objects.clone()), Just(objects).prop_shuffle())
        })
    ) {
        let ((table, one), (other_table, other)) = (compiled(&objects), compiled(&shuffled));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(order(&table), order(&other_table));
        let again = Compiler::new(defaults()).compile(&snapshot(&shuffled), &secrets(), Some(&one)).unwrap().1;
        prop_assert_eq!(one, again, "compiled again, nothing is different");
    }

    /// What good objects come to does not depend on the bad ones beside them, even when these go bad later.
    #[test]
    fn a_bad_object_changes_nothing_for_the_others(routes in routes(), what in 0usize..6) {
        let good: Vec<_> = [channel("a", "1")].into_iter().chain(routes).collect();
        let bad = broken(what);
        let both: Vec<_> = good.iter().cloned().chain(bad).collect();
        let ((table, alone), (beside_table, beside)) = (compiled(&good), compiled(&both));
        prop_assert_eq!(order(&table), order(&beside_table));
        for report in &alone.reports {
            prop_assert_eq!(Some(report), beside.report(&report.id));
        }
        prop_assert!(beside.reports.iter().any(|report| !report.is_good()));
        let later = Compiler::new(defaults()).compile(&snapshot(&both), &secrets(), Some(&alone)).unwrap().0;
        prop_assert_eq!(order(&table), order(&later));
    }

    /// Which rule a message belongs to does not depend on whether that rule can be used.
    #[test]
    fn a_route_that_can_not_be_used_keeps_its_place(
        routes in routes(), broken in prop::collection::vec(0u8..3, 5), text in "[ab]{0,3}", from in "[ab]{0,3}",
    ) {
        let with_channel = |routes: &[Value]| -> Vec<Value> {
            [channel("a", "1")].into_iter().chain(routes.iter().cloned()).collect()
        };
        let spoilt: Vec<_> = routes.iter().zip(&broken).map(|(route, how)| match how {
            0 => route.clone(),
            1 => with(route.clone(), "/spec/rules/0/signingSecretRef", json!({"name": "no", "key": "no"})),
            _ => with(route.clone(), "/spec/rules/0/backends/0/url", json!("http://x:99999")),
        }).collect();
        let ((table, _), (other, _)) = (compiled(&with_channel(&routes)), compiled(&with_channel(&spoilt)));
        let facts = Facts { message_type: "text", text: Some(&text), from: Some(&from), reply_id: None };
        let (wanted, got) = (table.select("a", &facts), other.select("a", &facts));
        prop_assert_eq!(wanted.map(|rule| &rule.label), got.map(|rule| &rule.label));
        if let Some(rule) = got {
            let at = routes.iter().position(|route| route["metadata"]["name"] == *rule.route).unwrap();
            prop_assert_eq!(rule.is_held, broken[at] > 0);
        }
    }

    /// Whoever takes a rule out because it is said to be shadowed changes nothing.
    #[test]
    fn a_rule_that_is_called_shadowed_takes_no_message(routes in routes(), text in "[ab]{0,3}", from in "[ab]{0,3}") {
        let objects: Vec<_> = [channel("a", "1")].into_iter().chain(routes).collect();
        let (table, _) = compiled(&objects);
        let facts = Facts { message_type: "text", text: Some(&text), from: Some(&from), reply_id: None };
        if let Some(rule) = table.select("a", &facts) {
            let silent = shadowed(&table);
            prop_assert!(!silent.get(&*rule.route).is_some_and(|rules| rules.iter().any(|name| **name == *rule.name)));
        }
    }
}
