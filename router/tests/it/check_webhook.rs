//! `router check-webhook` against a running router.

use std::process::Command;

use crate::harness::{query, start};

/// Exit code and what was printed.
fn check(url: &str, app_secret: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router"));
    command.args(["check-webhook", url]).args(arguments).env_clear();
    command.env("WHATSAPP_APP_SECRET", app_secret).env("WHATSAPP_VERIFY_TOKEN", VERIFY_TOKEN);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

const VERIFY_TOKEN: &str = "sandbox-verify-token";
const APP_SECRET: &str = "sandbox-app-secret";

#[tokio::test(flavor = "multi_thread")]
async fn it_says_whether_meta_would_get_through() {
    let stack = start().await;
    let url = stack.router_url().to_string();

    let (code, said) = check(&url, APP_SECRET, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("ok")).count(), 6, "{said}");

    let (code, said) = check(&url, "another", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  signed webhook: 200 was expected, 403 came"), "{said}");
    assert!(!said.contains("another\"") && !said.contains(VERIFY_TOKEN), "{said}");

    // Of a mounted secret, by the keys that objects use; then by a name that is not mounted.
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("support");
    std::fs::create_dir(&secret).unwrap();
    std::fs::write(secret.join("app-secret"), format!("{APP_SECRET}\n")).unwrap();
    std::fs::write(secret.join("verify-token"), VERIFY_TOKEN).unwrap();
    let secrets_dir = folder.path().to_str().unwrap();
    let (code, said) = check(&url, "another", &["--secret", "support", "--secrets-dir", secrets_dir]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(&url, APP_SECRET, &["--secret", "orders", "--secrets-dir", secrets_dir]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no app-secret of the secret orders"), "{said}");

    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM messages"), 0, "a check is no message");
}

#[test]
fn an_address_where_nobody_answers_is_said_without_the_token() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, said) = check(&format!("http://{free}"), APP_SECRET, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  handshake") && said.contains("refused"), "{said}");
    assert!(!said.contains(VERIFY_TOKEN), "{said}");
}
