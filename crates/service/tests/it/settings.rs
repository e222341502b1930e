//! Reading the environment: order of precedence, and every problem at once.

use std::fs;

use secrecy::{ExposeSecret, SecretString};
use service::{
    secrets::{Alias, SecretNames},
    settings::{Env, Problems},
};

const NAMES: SecretNames = SecretNames {
    prefix: "ROUTER_SECRET_",
    short: "WHATSAPP_",
    aliases: &[Alias { name: "default", key: "access-token", variables: &["WHATSAPP_ACCESS_TOKEN"] }],
};

fn names(problems: &Problems) -> Vec<&str> {
    problems.iter().map(|problem| problem.name.as_str()).collect()
}

fn exposed(secret: Option<SecretString>) -> Option<String> {
    secret.map(|secret| secret.expose_secret().to_owned())
}

#[test]
fn a_value_is_trimmed_and_an_empty_one_counts_as_unset() {
    let mut env = Env::from_pairs([("A", "  7 "), ("B", "   "), ("C", "")]);
    assert_eq!(env.var("A", "a number").parse::<u8>(), Some(7));
    assert_eq!(env.var("B", "a number").default("8").parse::<u8>(), Some(8));
    assert_eq!(env.var("C", "a number").parse::<u8>(), None);
    assert_eq!(env.finish(), Ok(()));
}

#[test]
fn all_problems_are_listed_with_what_to_write_instead() {
    let mut env = Env::from_pairs([("RATE", "fast"), ("PAUSE", "6"), ("LISTEN", "here")]);
    assert_eq!(env.var("RATE", "messages per second").default("80").parse::<u32>(), None);
    assert_eq!(env.var("PAUSE", "pause between messages").default("6s").duration(), None);
    assert_eq!(env.var("LISTEN", "where to listen").hint("write :8000").address(), None);
    assert_eq!(
        env.var("NUMBER", "number that sends").hint("copy it from the dashboard").required::<u64>(),
        None
    );
    env.problem("SECRET", "is missing", "set it");
    let problems = env.finish().unwrap_err();
    assert_eq!(names(&problems), ["RATE", "PAUSE", "LISTEN", "NUMBER", "SECRET"]);
    let text = problems.to_string();
    assert!(text.starts_with("5 problems in the configuration:\n"), "{text}");
    assert!(text.contains("RATE: \"fast\" cannot be read"), "{text}");
    assert!(text.contains("write a value like 80"), "{text}");
    assert!(text.contains("LISTEN: \"here\" is not an address"), "{text}");
    assert!(text.contains("NUMBER: is not set; copy it from the dashboard"), "{text}");
}

#[test]
fn an_alias_is_read_when_the_name_is_not_set_and_must_not_contradict_it() {
    let mut env = Env::from_pairs([("OLD", "1"), ("NEW_TOO", "2"), ("OLD_TOO", "2"), ("X", "1"), ("Y", "2")]);
    assert_eq!(env.var("NEW", "a number").alias("OLD").parse::<u8>(), Some(1));
    assert_eq!(env.var("NEW_TOO", "a number").alias("OLD_TOO").parse::<u8>(), Some(2));
    assert_eq!(env.finish(), Ok(()));
    assert_eq!(env.var("X", "a number").alias("Y").parse::<u8>(), None);
    assert_eq!(names(&env.finish().unwrap_err()), ["Y"]);
}

#[test]
fn a_problem_with_an_alias_names_the_alias() {
    let mut env = Env::from_pairs([("OLD", "x")]);
    assert_eq!(env.var("NEW", "a number").alias("OLD").parse::<u8>(), None);
    assert_eq!(names(&env.finish().unwrap_err()), ["OLD"]);
}

#[test]
fn the_value_of_a_secret_is_in_no_message() {
    let mut env = Env::from_pairs([("KEYS", "hunter2"), ("TOKEN", "hunter2"), ("OTHER_TOKEN", "hunter3")]);
    let parsed = env.var("KEYS", "keys").secret().parse_with(|text| Err::<(), _>(format!("{text} is short")));
    assert_eq!(parsed, None);
    assert!(env.var("TOKEN", "token").alias("OTHER_TOKEN").secret_string().is_none());
    let problems = env.finish().unwrap_err();
    assert_eq!(problems.count(), 2);
    assert!(!problems.to_string().contains("hunter"), "{problems}");
    assert!(!format!("{problems:?}").contains("hunter"), "{problems:?}");
    assert!(!format!("{env:?}").contains("hunter"), "{env:?}");
}

#[test]
fn a_mounted_file_wins_over_the_variable_of_a_secret_only() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("access-token"), "from file\n").unwrap();
    fs::write(folder.path().join("RATE"), "9").unwrap();
    let secrets = folder.path().to_str().unwrap();
    let mut env = Env::from_pairs([
        ("SECRETS_DIR", secrets),
        ("WHATSAPP_ACCESS_TOKEN", "from variable"),
        ("WHATSAPP_VERIFY_TOKEN", "only variable"),
        ("RATE", "8"),
    ]);
    env.use_secrets(NAMES).unwrap();
    let token = env.var("WHATSAPP_ACCESS_TOKEN", "token").required_secret();
    assert_eq!(exposed(token).as_deref(), Some("from file"));
    let verify = env.var("WHATSAPP_VERIFY_TOKEN", "token").secret_string();
    assert_eq!(exposed(verify).as_deref(), Some("only variable"));
    assert_eq!(env.var("RATE", "a number").parse::<u8>(), Some(8));
    assert_eq!(env.finish(), Ok(()));
}

#[test]
fn a_folder_of_secrets_may_appear_later_but_must_be_a_folder() {
    let mut env = Env::from_pairs([("SECRETS_DIR", "/nonexistent/secrets")]);
    let options = env.use_secrets(NAMES).unwrap();
    assert_eq!(env.finish(), Ok(()));
    assert_eq!(options.folder.to_str(), Some("/nonexistent/secrets"));
    let file = tempfile::NamedTempFile::new().unwrap();
    for (name, value) in [
        ("SECRETS_DIR", file.path().to_str().unwrap()),
        ("SECRETS_POLL_INTERVAL", "999ms"),
        ("SECRETS_GRACE", "x"),
    ] {
        let mut env = Env::from_pairs([(name, value)]);
        env.use_secrets(NAMES);
        assert_eq!(names(&env.finish().unwrap_err()), [name]);
    }
}

#[test]
fn a_secret_with_a_name_and_a_key_is_found_by_them_too() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = [
        ("SECRETS_DIR", folder.path().to_str().unwrap()),
        ("WHATSAPP_ACCESS_TOKEN", "variable"),
        ("ROUTER_SECRET_DEFAULT_ACCESS_TOKEN", "named variable"),
    ];
    let read = || {
        let mut env = Env::from_pairs(pairs);
        env.use_secrets(NAMES).unwrap();
        exposed(env.var("WHATSAPP_ACCESS_TOKEN", "token").required_secret()).unwrap()
    };
    assert_eq!(read(), "named variable");
    fs::write(folder.path().join("whatsapp-access-token"), "flat file").unwrap();
    assert_eq!(read(), "flat file");
    fs::create_dir(folder.path().join("default")).unwrap();
    fs::write(folder.path().join("default/access-token"), "named file").unwrap();
    assert_eq!(read(), "named file");
}

#[test]
fn a_secret_file_that_cannot_be_read_is_a_problem_and_not_the_variable() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("TOKEN"), [0xff, 0xfe]).unwrap();
    let mut env = Env::from_pairs([("SECRETS_DIR", folder.path().to_str().unwrap()), ("TOKEN", "variable")]);
    env.use_secrets(NAMES).unwrap();
    assert!(env.var("TOKEN", "token").secret_string().is_none());
    assert_eq!(names(&env.finish().unwrap_err()), ["TOKEN"]);
}

#[test]
fn describing_finds_no_problems_and_documents_everything_once() {
    let mut env = Env::describing();
    env.use_secrets(NAMES);
    assert_eq!(env.var("NUMBER", "number that sends").required::<u64>(), None);
    assert_eq!(env.var("NUMBER", "number that sends").required::<u64>(), None);
    assert!(env.var("TOKEN", "token").alias("OLD_TOKEN").secret_string().is_none());
    assert_eq!(env.var("RATE", "messages per second").default("80").parse::<u32>(), Some(80));
    env.problem("ANY", "is wrong", "change it");
    assert_eq!(env.finish(), Ok(()));
    let documented: Vec<_> = env.reference().iter().map(|setting| setting.name).collect();
    assert_eq!(
        documented,
        ["SECRETS_DIR", "SECRETS_POLL_INTERVAL", "SECRETS_GRACE", "NUMBER", "TOKEN", "RATE"]
    );
    assert!(env.to_markdown().contains("| `TOKEN` (or `OLD_TOKEN`) | — | token (secret) |"));
}

#[test]
fn settings_that_are_missing_without_a_reason_are_refused_all_the_same() {
    let mut env = Env::from_pairs::<&str, &str>([]);
    assert_eq!(env.finish_with(None::<()>).unwrap_err().count(), 1);
    assert_eq!(env.finish_with(Some(1)), Ok(1));
}
