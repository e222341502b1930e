//! What becomes of messages whose route can't be used.

use super::*;

const MISSING: (&str, &str) = ("signing", "key");

/// A route before all others for what begins with `order`, whose calls are signed.
fn orders() -> Value {
    let rules = json!([keyword("default", json!({"type": "Prefix", "value": "order"}))]);
    let (name, key) = MISSING;
    let signed = with(
        route("orders", "a", rules),
        "/spec/rules/0/signingSecretRef",
        json!({"name": name, "key": key}),
    );
    with(signed, "/spec/priority", json!(10))
}

fn with_signing() -> Secrets {
    let (name, key) = MISSING;
    let one = (name, key, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    Secrets::from_pairs(SECRETS.into_iter().chain([one]))
}

#[test]
fn no_other_route_answers_what_one_without_its_secret_would_take() {
    let others = [channel("a", "1"), route("rest", "a", json!([rule("default")]))];
    let all: Vec<_> = others.iter().cloned().chain([orders()]).collect();
    let mut world = World::new(&all);
    let (statuses, reason, message) = world.said(Kind::Route, "orders");
    assert_eq!((&*statuses, reason), ("TFF", Reason::SecretNotFound));
    assert!(message.contains("spec.rules[0].signingSecretRef"), "{message}");
    assert_eq!(world.is_programmed(Kind::Route, "orders"), (Status::False, Reason::MessagesWait));
    assert_eq!(world.asked("a", "order 1").as_deref(), Some("orders keeps it"));
    assert_eq!(world.asked("a", "hello").as_deref(), Some("rest"));
    assert_eq!(world.table.backends().count(), 1, "nobody is asked for it");
    assert_eq!(world.compiled.held.len(), 1);

    let (generation, checksum) = (world.compiled.generation, world.compiled.checksum.clone());
    world.then(&others);
    assert_eq!(world.asked("a", "order 1").as_deref(), Some("rest"), "deleted, it keeps nothing");
    assert_eq!(world.compiled.generation, generation + 1, "the table has to be swapped");
    assert_ne!(world.compiled.checksum, checksum);

    world.then(&all).then_with(&all, &with_signing());
    assert!(world.compiled.is_good() && world.compiled.held.is_empty());
    assert_eq!(world.asked("a", "order 1").as_deref(), Some("orders"));
    world.then(&all);
    assert_eq!(world.asked("a", "order 1").as_deref(), Some("orders"), "its last value stays in use");
}

#[test]
fn what_was_good_once_is_used_and_keeps_nothing() {
    let good = with(orders(), "/spec/rules/0/backends/0/url", json!("http://old"));
    let bad = with(orders(), "/spec/rules/0/backends/0/url", json!("http://new:99999"));
    let mut world = World::new(&[channel("a", "1")]);
    world.then_with(&[channel("a", "1"), good], &with_signing());
    world.then_with(&[channel("a", "1"), bad.clone()], &with_signing());
    assert_eq!(world.is_programmed(Kind::Route, "orders"), (Status::False, Reason::LastGoodVersion));
    assert_eq!(world.asked("a", "order 1").as_deref(), Some("orders"));

    // As a router that starts sees it; and one object in place of another is not the one that was good.
    for other in [World::new(&[channel("a", "1"), bad.clone()]).asked("a", "order 1"), {
        let made_again = with(bad, "/metadata/uid", json!("u2"));
        world.then_with(&[channel("a", "1"), made_again], &with_signing()).asked("a", "order 1")
    }] {
        assert_eq!(other.as_deref(), Some("orders keeps it"));
    }
}

#[test]
fn replies_obey_a_route_that_can_not_be_used_as_far_as_it_can_be_read() {
    let never = with(orders(), "/spec/rules/0/delivery", json!({"ambiguous": "NeverRepeat"}));
    let bad_address = with(never.clone(), "/spec/rules/0/backends/0/url", json!("http://new:99999"));
    for object in [never, bad_address] {
        let world = World::new(&[channel("a", "1"), object]);
        let rule = world.table.rule("orders").unwrap();
        assert!(rule.is_held && rule.backends.is_empty());
        assert_eq!(rule.delivery.ambiguous, crate::routing::Ambiguity::NeverRepeat);
    }
}

#[test]
fn a_slip_in_a_route_that_keeps_messages_does_not_hand_them_over() {
    let others = [channel("a", "1"), route("rest", "a", json!([rule("default")]))];
    let and = |route: Value| -> Vec<Value> { others.iter().cloned().chain([route]).collect() };
    let regex = with(orders(), "/spec/rules/0/matches", json!([{"text": {"type": "Regex", "value": "("}}]));
    let misspelt = with(orders(), "/spec/rules/0/matchs", json!([]));
    let no_rules = with(orders(), "/spec", json!("text"));
    for slip in [regex, misspelt, no_rules] {
        let mut world = World::new(&and(orders()));
        world.then(&and(slip.clone()));
        assert_eq!(world.asked("a", "order 1").as_deref(), Some("orders keeps it"), "{slip}");
        assert_eq!(world.is_programmed(Kind::Route, "orders"), (Status::False, Reason::MessagesWait));
        assert_eq!(world.compiled.generation, 1, "nothing is swapped");
        world.then(&and(slip.clone()));
        assert_eq!(
            world.asked("a", "order 1").as_deref(),
            Some("orders keeps it"),
            "for as long as it is there"
        );

        world.then(&and(with(slip, "/metadata/uid", json!("u2"))));
        assert_eq!(
            world.asked("a", "order 1").as_deref(),
            Some("rest"),
            "another object in its place keeps nothing"
        );
    }
}

#[test]
fn a_route_that_keeps_nothing_says_so() {
    let of_nobody = with(orders(), "/spec/channelRefs", json!([{"name": "nobody"}]));
    let unknown = with(orders(), "/spec/rules/0/matches", json!([{"text": {"type": "Regex", "value": "("}}]));
    let no_rules = with(orders(), "/spec", json!("text"));
    let no_rule = with(orders(), "/spec/rules", json!([7]));
    for object in [of_nobody, unknown, no_rules, no_rule] {
        let world = World::new(&[channel("a", "1"), object]);
        assert_eq!(world.is_programmed(Kind::Route, "orders"), (Status::False, Reason::NotProgrammed));
        assert!(world.compiled.held.is_empty());
        assert_eq!(world.asked("a", "order 1"), None);
    }
}

/// Whether the table has to be swapped for these objects.
fn is_another_table(world: &mut World, objects: &[Value], secrets: &Secrets) -> bool {
    let before = world.compiled.clone();
    !world.then_with(objects, secrets).compiled.has_the_table_of(&before)
}

#[test]
fn what_comes_for_a_channel_that_is_new_and_can_not_be_used_is_noticed_at_once() {
    let mut world = World::new(&[channel("a", "1")]);
    let both = [channel("a", "1"), channel("b", "2")];
    assert!(is_another_table(&mut world, &both, &without("b", "access-token")));
    assert!(world.table.is_awaited("2") && !world.table.is_awaited("3"));
    assert_eq!(world.compiled.generation, 1, "nothing else is in use");
    assert!(is_another_table(&mut world, &both[..1], &secrets()));
    assert!(!world.table.is_awaited("2"));
    assert!(!is_another_table(&mut world, &both[..1], &secrets()));
}

#[test]
fn what_comes_for_a_number_that_can_not_be_read_is_not_nobodys() {
    let unquoted = with(channel("b", "2"), "/spec/phoneNumberId", json!(2));
    let without = with(channel("b", "2"), "/spec/phoneNumberId", Value::Null);
    let mut world = World::new(&[channel("a", "1"), unquoted]);
    assert!(world.table.is_awaited("2") && !world.table.is_awaited("3"), "its number is known all the same");
    assert!(is_another_table(&mut world, &[channel("a", "1"), without], &secrets()));
    assert!(world.table.is_awaited("2") && world.table.is_awaited("3"), "it may be any");
    assert!(!world.table.is_awaited("1"));
    assert!(is_another_table(&mut world, &[channel("a", "1")], &secrets()));
    assert!(!world.table.is_awaited("3"));
    for number in ["+49 2", "2 ", ""] {
        let misspelt = with(channel("b", "2"), "/spec/phoneNumberId", json!(number));
        let world = World::new(&[channel("a", "1"), misspelt]);
        assert!(
            world.table.is_awaited("2") && !world.table.is_awaited("1"),
            "{number:?} is the id of no number"
        );
    }

    // Another program's object has no channel in it, a file that is not YAML may have one.
    let mut objects = snapshot(&[channel("a", "1")]);
    objects.add(json!({"apiVersion": "v1", "kind": "Secret"}), "secret.yaml");
    let (table, compiled) = world.compiler.compile(&objects, &secrets(), Some(&world.compiled)).unwrap();
    assert!(compiled.problems[0].contains("secret.yaml") && !table.is_awaited("3"));
    objects.unreadable("b.yaml: is not YAML: oops".to_owned());
    let (table, compiled) = world.compiler.compile(&objects, &secrets(), Some(&world.compiled)).unwrap();
    assert!(table.is_awaited("3") && !table.is_awaited("1"));
    assert!(!compiled.has_the_table_of(&world.compiled));
}
