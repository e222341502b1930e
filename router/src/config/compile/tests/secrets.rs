//! What becomes of objects when a secret is missing, vanishes or changes.

use secrecy::ExposeSecret;

use super::*;

#[test]
fn a_secret_that_is_missing_is_named_and_one_that_vanishes_is_remembered() {
    let objects = [channel("a", "1"), route("r", "a", json!([rule("default")]))];
    let compiler = Compiler::new(defaults());
    let (table, compiled) =
        compiler.compile(&snapshot(&objects), &without("app", "app-secret"), None).unwrap();
    let mut world = World { compiler, table, compiled };
    let (statuses, reason, message) = world.said(Kind::Channel, "a");
    assert_eq!((&*statuses, reason), ("TFF", Reason::SecretNotFound));
    assert!(
        message.starts_with("spec.verification.appSecretRef: the secret app/app-secret is not there"),
        "{message}"
    );
    assert!(!world.table.allows_unsigned() && world.table.channel("a").is_none());
    assert!(world.table.is_awaited("1") && !world.table.is_awaited("2"), "what comes for it is not nobody's");
    assert_eq!(world.said(Kind::Route, "r").1, Reason::ChannelNotFound);

    world.then(&objects);
    assert!(world.compiled.is_good() && !world.table.is_awaited("1"));
    world.then_with(&objects, &without("a", "access-token"));
    assert_eq!(world.said(Kind::Channel, "a").0, "TFT", "this version is in use, with the last value");
    assert!(world.table.channel("a").is_some());
    let generation = world.compiled.generation;
    let rotated = SECRETS.map(|(name, key, value)| (name, key, if name == "a" { "token-2" } else { value }));
    world.then_with(&objects, &Secrets::from_pairs(rotated));
    assert!(world.compiled.is_good() && world.compiled.generation == generation + 1);
}

#[test]
fn a_bad_version_goes_on_with_secrets_that_change() {
    let mut world = World::new(&[channel("a", "1")]);
    let rotated =
        SECRETS.map(|(name, key, value)| (name, key, if key == "verify-token" { "new" } else { value }));
    let bad = with(channel("a", "1"), "/spec/provider", json!("Pigeon"));
    world.then_with(&[bad], &Secrets::from_pairs(rotated));
    assert_eq!(world.table.channel("a").unwrap().verify_token.expose_secret(), "new");
}

#[test]
fn without_an_app_secret_only_where_that_was_allowed() {
    let compiler = Compiler::new(Defaults { allow_unsigned: true, ..defaults() });
    let (table, compiled) =
        compiler.compile(&snapshot(&[channel("a", "1")]), &without("app", "app-secret"), None).unwrap();
    assert!(compiled.is_good() && table.allows_unsigned());
}
