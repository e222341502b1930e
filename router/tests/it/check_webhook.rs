//! `router check-webhook` against a running router.

use std::process::Command;

use secrecy::ExposeSecret as _;

use crate::harness::{query, start};

/// Exit code and what was printed.
fn check(url: &str, app_secret: &str, verify_token: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_router"));
    command.args(["check-webhook", url]).args(arguments).env_clear();
    command.env("WHATSAPP_APP_SECRET", app_secret).env("WHATSAPP_VERIFY_TOKEN", verify_token);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_whether_meta_would_get_through() {
    let stack = start().await;
    let url = stack.router_url().to_string();
    let options = stack.simulator().options();
    let (secret, token) = (options.app_secret.expose_secret(), options.verify_token.expose_secret());

    let (code, said) = check(&url, secret, token, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("ok")).count(), 6, "{said}");

    let (code, said) = check(&url, "another", token, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  signed webhook: 200 was expected, 403 came"), "{said}");
    assert!(!said.contains("another\"") && !said.contains(token), "{said}");

    // Of a mounted secret, by the keys that objects use; then by a name that is not mounted.
    let folder = tempfile::tempdir().unwrap();
    let folder_of_secret = folder.path().join("support");
    std::fs::create_dir(&folder_of_secret).unwrap();
    std::fs::write(folder_of_secret.join("app-secret"), format!("{secret}\n")).unwrap();
    std::fs::write(folder_of_secret.join("verify-token"), token).unwrap();
    let secrets_dir = folder.path().to_str().unwrap();
    let (code, said) = check(&url, "another", token, &["--secret", "support", "--secrets-dir", secrets_dir]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check(&url, secret, token, &["--secret", "orders", "--secrets-dir", secrets_dir]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no app-secret of the secret orders"), "{said}");

    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message"), 0, "a check is no message");
}

#[test]
fn an_address_where_nobody_answers_is_said_without_the_token() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, said) = check(&format!("http://{free}"), "a-secret", "a-verify-token", &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  handshake") && said.contains("refused"), "{said}");
    assert!(!said.contains("a-verify-token"), "{said}");
}
