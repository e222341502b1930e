//! What the process says when it can't start, and what it serves when it can.

use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{get, start};

fn router(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router"));
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command.output().unwrap()
}

fn complete(database: &str) -> Vec<(&'static str, String)> {
    vec![
        ("WHATSAPP_PHONE_NUMBER_ID", "1".to_owned()),
        ("WHATSAPP_ACCESS_TOKEN", "t".to_owned()),
        ("WHATSAPP_VERIFY_TOKEN", "v".to_owned()),
        ("WHATSAPP_APP_SECRET", "s".to_owned()),
        ("ROUTER_LISTEN", "127.0.0.1:0".to_owned()),
        ("DATABASE_URL", database.to_owned()),
    ]
}

fn with(environment: &[(&'static str, String)]) -> Output {
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    router(&["serve"], &environment)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn all_problems_of_the_configuration_are_listed_with_exit_code_78() {
    let output = router(&[], &[("REPLY_MAX_AGE", "soon"), ("ROUTER_LISTEN", "here")]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(78), "{said}");
    for name in [
        "WHATSAPP_PHONE_NUMBER_ID",
        "WHATSAPP_ACCESS_TOKEN",
        "WHATSAPP_WEBHOOK_SECRET",
        "REPLY_MAX_AGE",
        "ROUTER_LISTEN",
    ] {
        assert!(said.contains(name), "{name} is missing in {said}");
    }
    assert_eq!(router(&["check-config"], &[]).status.code(), Some(78));
}

#[test]
fn what_keeps_it_from_starting_is_said_in_one_line_without_panic() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let text_file = folder.path().join("text.db");
    std::fs::write(&text_file, "not a database, but long enough to be looked at as one").unwrap();
    let good = format!("sqlite://{}", folder.path().join("good.db").display());

    let mut busy = complete(&good);
    busy[4].1 = format!("127.0.0.1:{port}");
    for (environment, code, says) in [
        (busy, 1, vec![port.as_str(), "ROUTER_LISTEN"]),
        (complete("sqlite:///proc/no/router.db"), 1, vec!["/proc/no", "DATABASE_URL"]),
        (complete(&format!("sqlite://{}", text_file.display())), 1, vec!["text.db", "DATABASE_URL"]),
        (complete("postgres://localhost/x"), 78, vec!["DATABASE_URL", "sqlite://"]),
    ] {
        let output = with(&environment);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        let lines: Vec<_> = said.lines().filter(|line| says.iter().all(|word| line.contains(word))).collect();
        assert_eq!(lines.len(), 1, "{says:?} in one line of {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_router_on_the_same_file_is_kept_out() {
    let stack = start().await;
    let database = format!("sqlite://{}", stack.data_dir().join("router.db").display());
    let output = with(&complete(&database));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("in use by another router"), "{}", stderr(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_documents_and_metrics_are_served() {
    let stack = start().await;
    let (status, health) = get(&stack, "/health").await;
    let health: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(
        (status, &health["status"], &health["service"], &health["version"]),
        (200, &"ok".into(), &"router".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!((get(&stack, "/livez").await.0, get(&stack, "/readyz").await.0), (200, 200));
    let document: Value = serde_json::from_str(&get(&stack, "/openapi.json").await.1).unwrap();
    assert!(document["paths"]["/webhook"]["post"]["responses"]["503"].is_object());
    assert!(get(&stack, "/docs").await.1.contains("swagger"));
    get(&stack, "/no/such/path/4711").await;
    let metrics = get(&stack, "/metrics").await.1;
    assert!(metrics.contains(r#"http_route="/readyz""#), "{metrics}");
    assert!(metrics.contains(r#"http_route="unmatched""#) && !metrics.contains("4711"), "{metrics}");
}

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config");

#[test]
fn the_example_folder_is_right_and_what_is_wrong_in_a_folder_is_said_by_object() {
    let checked = router(&["check-config", "--config-dir", CONFIG, "--skip-secrets"], &[]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(0), "{said}{}", stderr(&checked));
    assert!(
        said.contains("Channel/support  (channels.yaml, document 1)") && said.contains("3 objects\n"),
        "{said}"
    );

    let checked = router(&["check-config", "--config-dir", CONFIG], &[("REPLY_MAX_AGE", "soon")]);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(78), "{said}");
    assert!(said.contains("SecretNotFound") && said.contains("default/app-secret"), "{said}");
    assert!(stderr(&checked).contains("REPLY_MAX_AGE"), "problems of the settings are listed too");

    let variables = [
        ("WHATSAPP_ACCESS_TOKEN", "t"),
        ("WHATSAPP_VERIFY_TOKEN", "v"),
        ("WHATSAPP_APP_SECRET", "s"),
        ("CONFIG_DIR", CONFIG),
    ];
    let checked = router(&["check-config"], &variables);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
}

#[test]
fn a_channel_has_one_home() {
    let mut both = complete("sqlite:///tmp/never-opened.db");
    both.push(("CONFIG_DIR", CONFIG.to_owned()));
    let output = with(&both);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("two homes"), "{}", stderr(&output));
    let output = router(&["serve"], &[("CONFIG_SOURCE", "files"), ("CONFIG_DIR", "/no/such/folder")]);
    assert_eq!(output.status.code(), Some(78));
    assert!(stderr(&output).contains("/no/such/folder"), "{}", stderr(&output));
}

#[test]
fn what_only_shows_in_the_objects_stops_the_start_too() {
    let mut long = complete("sqlite:///proc/no/router.db");
    long[0].1 = "1".repeat(40);
    let output = router(
        &["check-config"],
        &long.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>(),
    );
    assert_eq!(output.status.code(), Some(78));
    let folder = tempfile::tempdir().unwrap();
    long[5].1 = format!("sqlite://{}", folder.path().join("router.db").display());
    let output = with(&long);
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("Channel/default: spec.phoneNumberId: is longer than 32"),
        "{}",
        stderr(&output)
    );
}
