//! Lookup and rotation, without files.

use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::*;

const GRACE: Duration = Duration::from_secs(600);
const ALIASES: &[Alias] = &[
    Alias { name: "default", key: "access-token", variables: &["WHATSAPP_ACCESS_TOKEN"] },
    Alias {
        name: "default",
        key: "verify-token",
        variables: &["WHATSAPP_WEBHOOK_VERIFY_TOKEN", "WHATSAPP_VERIFY_TOKEN"],
    },
];

const NAMES: SecretNames = SecretNames { prefix: "ROUTER_SECRET_", short: "WHATSAPP_", aliases: ALIASES };

fn files(pairs: &[(&str, &str, &str)]) -> Values {
    pairs.iter().map(|(name, key, value)| (SecretId::new(*name, *key), (*value).into())).collect()
}

fn secrets(variables: &[(&str, &str)], found: &[(&str, &str, &str)]) -> Secrets {
    let variables = Variables::new(NAMES, variables.iter().copied());
    Secrets {
        inner: Arc::new(Inner { variables: Arc::new(variables), files: files(found), ..Inner::default() }),
    }
}

fn get(secrets: &Secrets, name: &str, key: &str) -> Option<String> {
    secrets.get(name, key).map(|secret| secret.expose_secret().to_owned())
}

fn valid(secrets: &Secrets, name: &str, key: &str) -> Vec<String> {
    secrets.valid(name, key).iter().map(|secret| secret.expose_secret().to_owned()).collect()
}

#[test]
fn the_nearest_place_counts() {
    let variables =
        [("WHATSAPP_ACCESS_TOKEN", " variable "), ("ROUTER_SECRET_DEFAULT_ACCESS_TOKEN", "named variable")];
    let mut found = vec![
        ("default", "access-token", "named file"),
        ("", "WHATSAPP_ACCESS_TOKEN", "flat file"),
        ("", "whatsapp-access-token", "flat kebab file"),
        ("", "access-token", "flat short file"),
    ];
    for expected in ["named file", "flat file", "flat kebab file", "flat short file"] {
        assert_eq!(get(&secrets(&variables, &found), "default", "access-token").as_deref(), Some(expected));
        found.remove(0);
    }
    for (at, expected) in [(2, "named variable"), (1, "variable")] {
        let secrets = secrets(&variables[..at], &[]);
        assert_eq!(get(&secrets, "default", "access-token").as_deref(), Some(expected));
    }
    assert_eq!(get(&secrets(&[], &[]), "default", "access-token"), None);
}

#[test]
fn a_flat_file_and_a_plain_variable_are_only_for_those_with_an_alias() {
    let secrets = secrets(&[("WHATSAPP_ACCESS_TOKEN", "variable")], &[("", "access-token", "flat")]);
    assert_eq!(get(&secrets, "support", "access-token"), None);
    assert_eq!(get(&secrets, "default", "access-token").as_deref(), Some("flat"));
}

#[test]
fn the_variable_of_a_secret_is_its_name_in_upper_case() {
    let secrets =
        secrets(&[("ROUTER_SECRET_ACME_SHOP_EU_APP_SECRET", "x"), ("ROUTER_SECRET__KEY", "y")], &[]);
    assert_eq!(get(&secrets, "acme-shop.eu", "app-secret").as_deref(), Some("x"));
    assert_eq!(get(&secrets, "", "key"), None, "a flat file has no variable");
}

#[test]
fn the_first_name_of_an_alias_that_is_set_counts() {
    let both = [("WHATSAPP_VERIFY_TOKEN", "second"), ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "first")];
    assert_eq!(get(&secrets(&both, &[]), "default", "verify-token").as_deref(), Some("first"));
    assert_eq!(get(&secrets(&both[..1], &[]), "default", "verify-token").as_deref(), Some("second"));
}

#[test]
fn the_value_before_is_valid_for_the_grace_time_and_no_longer() {
    let begin = Instant::now();
    let old = secrets(&[], &[("support", "app-secret", "old")]);
    let rotated = old.rotate(files(&[("support", "app-secret", "new")]), GRACE, begin);
    assert_eq!(rotated.changed, [SecretId::new("support", "app-secret")]);
    let new = rotated.secrets;
    assert_eq!(get(&new, "support", "app-secret").as_deref(), Some("new"));
    assert_eq!(valid(&new, "support", "app-secret"), ["new", "old"]);
    assert_eq!(new.next_expiry(), Some(begin + GRACE));
    let just_before = new.without_expired(begin + GRACE - Duration::from_millis(1));
    assert_eq!(valid(&just_before, "support", "app-secret"), ["new", "old"]);
    let after = new.without_expired(begin + GRACE);
    assert_eq!(valid(&after, "support", "app-secret"), ["new"]);
    assert_eq!(after.next_expiry(), None);
}

#[test]
fn a_secret_that_is_gone_is_not_used_any_more_but_still_valid() {
    let begin = Instant::now();
    let old = secrets(&[], &[("support", "app-secret", "old")]);
    let gone = old.rotate(Values::new(), GRACE, begin).secrets;
    assert_eq!(get(&gone, "support", "app-secret"), None);
    assert_eq!(valid(&gone, "support", "app-secret"), ["old"]);
    let back = gone.rotate(files(&[("support", "app-secret", "old")]), GRACE, begin).secrets;
    assert_eq!(valid(&back, "support", "app-secret"), ["old"], "once, not twice");
    assert_eq!(back.next_expiry(), None);
}

#[test]
fn a_file_in_the_place_of_a_variable_is_a_change() {
    let begin = Instant::now();
    let before = secrets(&[("WHATSAPP_ACCESS_TOKEN", "variable")], &[]);
    let rotated = before.rotate(files(&[("", "access-token", "file")]), GRACE, begin);
    assert_eq!(valid(&rotated.secrets, "default", "access-token"), ["file", "variable"]);
    assert!(rotated.changed.contains(&SecretId::new("default", "access-token")));
}

#[test]
fn without_a_grace_time_nothing_old_is_valid() {
    let old = secrets(&[], &[("support", "app-secret", "old")]);
    let new = old.rotate(files(&[("support", "app-secret", "new")]), Duration::ZERO, Instant::now()).secrets;
    assert_eq!(valid(&new, "support", "app-secret"), ["new"]);
}

#[test]
fn nothing_shows_a_value() {
    let old = secrets(&[("WHATSAPP_ACCESS_TOKEN", "hunter1")], &[("support", "app-secret", "hunter2")]);
    let new = old.rotate(files(&[("support", "app-secret", "hunter3")]), GRACE, Instant::now());
    let shown = format!("{new:?} {old:?} {:?} {:?}", old.inner.variables, new.secrets.inner.retired);
    assert!(shown.contains("support/app-secret") && !shown.contains("hunter"), "{shown}");
}

/// What a secret is in one reading of the files: nothing, or one of a few values.
fn readings() -> impl Strategy<Value = Vec<(Option<u8>, u64)>> {
    prop::collection::vec((prop::option::of(0u8..4), 0u64..900), 1..24)
}

proptest! {
    /// Against the plain definition: valid is what is current, and what stopped being so less than a grace time ago.
    #[test]
    fn valid_is_what_was_current_a_short_time_ago(readings in readings()) {
        let begin = Instant::now();
        let mut now = begin;
        let mut state = secrets(&[], &[]);
        let mut current: Option<u8> = None;
        let mut ended: BTreeMap<u8, Instant> = BTreeMap::new();
        for (value, pause) in readings {
            now += Duration::from_secs(pause);
            if value != current {
                if let Some(old) = current {
                    ended.insert(old, now);
                }
                current = value;
            }
            let found = value.map(|value| (SecretId::new("s", "k"), value.to_string().into()));
            state = state.rotate(found.into_iter().collect(), GRACE, now).secrets.without_expired(now);
            let mut expected: Vec<_> = ended
                .iter()
                .filter(|(value, end)| Some(**value) != current && **end + GRACE > now)
                .map(|(value, _)| value.to_string())
                .collect();
            expected.extend(current.map(|value| value.to_string()));
            expected.sort();
            let mut valid = valid(&state, "s", "k");
            prop_assert_eq!(get(&state, "s", "k"), current.map(|value| value.to_string()));
            prop_assert_eq!(valid.first().cloned().filter(|_| current.is_some()), current.map(|value| value.to_string()));
            valid.sort();
            prop_assert_eq!(valid, expected);
        }
    }

    #[test]
    fn every_spelling_of_an_alias_is_found(which in 0usize..3, value in "[!-~]{1,40}") {
        let file = variables::spellings("WHATSAPP_ACCESS_TOKEN", "WHATSAPP_")[which].clone();
        let secrets = secrets(&[], &[("", &file, &value)]);
        prop_assert_eq!(get(&secrets, "default", "access-token"), Some(value));
    }
}
