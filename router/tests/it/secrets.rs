//! Secrets in files change while the real router runs, and none of them is ever shown.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use reqwest::Method;
use sandbox::{
    simulator::{NewCredentials, Signing},
    stack::{Output, Stack},
};
use tempfile::TempDir;

use crate::{
    api_client::{KEY, OTHER_KEY, call},
    harness::{EVERYTHING, PATIENCE, builder, echoed, get, replies, webhook},
};

/// Beside the file and then over it, as one should.
fn put(secrets: &TempDir, name: &str, value: &str) -> Instant {
    let path = secrets.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let new = secrets.path().join(".new");
    fs::write(&new, format!("{value}\n")).unwrap();
    fs::rename(new, path).unwrap();
    Instant::now()
}

/// Waits until something outside of the router is so; for how long it was not.
async fn until(what: &str, stack: &Stack, since: Instant, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{what}: not so after {PATIENCE:?}; the router says:\n{}", stack.router_output());
    }
    eprintln!("{what}: {:.0?} after the file was replaced", since.elapsed());
}

/// The status of a webhook with one message, signed with this secret.
async fn signed_with(stack: &Stack, secret: &str, wamid: &str) -> u16 {
    let body = webhook(&[("12025550143", wamid, wamid)]);
    let signature = whatsapp::signature::sign(&secret.into(), body.as_bytes());
    stack.simulator().inject(body, Signing::Verbatim(signature)).await.unwrap().status
}

async fn handshake(stack: &Stack, token: &str) -> u16 {
    let path = format!("/webhook?hub.mode=subscribe&hub.challenge=7&hub.verify_token={token}");
    get(stack, &path).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_access_token_is_used_without_a_restart() {
    let secrets = tempfile::tempdir().unwrap();
    put(&secrets, "access-token", "first-token-of-the-test");
    let stack = builder()
        .router_env("SECRETS_DIR", secrets.path().to_str().unwrap())
        // So that what is stopped does not try again by itself while the test runs.
        .router_env("WHATSAPP_STOPPED_CHANNEL_WAIT", "10m")
        .simulator(|options| options.access_token = "first-token-of-the-test".into())
        .start()
        .await
        .unwrap();
    stack.webhook(webhook(&[("12025550143", "wamid.1", "with the first")])).await.unwrap();
    replies(&stack, 1).await;
    let refused = || stack.simulator().calls().iter().filter(|call| call.status == Some(401)).count();
    assert_eq!(refused(), 0);
    // Revoked before the new one is there: what was refused goes out at once when it is, in order.
    let second =
        NewCredentials { access_token: Some("second-token-of-the-test".into()), ..NewCredentials::default() };
    stack.simulator().set_credentials(second);
    for (wamid, text) in [("wamid.2", "while there is none"), ("wamid.3", "and one more")] {
        stack.webhook(webhook(&[("12025550143", wamid, text)])).await.unwrap();
    }
    until("a send is refused", &stack, Instant::now(), async || refused() > 0).await;
    let replaced = put(&secrets, "access-token", "second-token-of-the-test");
    let taken = || stack.simulator().taken_count();
    until("a send with the new access token", &stack, replaced, async || taken() > 1).await;
    let texts: Vec<_> = replies(&stack, 3).await.iter().map(|reply| echoed(&reply.text).to_owned()).collect();
    assert_eq!(texts[1..], ["while there is none", "and one more"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_app_secret_leaves_time_for_the_one_before() {
    let secrets = tempfile::tempdir().unwrap();
    put(&secrets, "app-secret", "first-app-secret");
    put(&secrets, "verify-token", "first-verify-token");
    let stack = builder()
        .router_env("SECRETS_DIR", secrets.path().to_str().unwrap())
        .router_env("SECRETS_GRACE", "8s")
        .simulator(|options| {
            options.app_secret = "first-app-secret".into();
            options.verify_token = "first-verify-token".into();
        })
        .start()
        .await
        .unwrap();
    assert_eq!(signed_with(&stack, "first-app-secret", "wamid.1").await, 200);
    assert_eq!(signed_with(&stack, "second-app-secret", "wamid.2").await, 403);
    let replaced = put(&secrets, "app-secret", "second-app-secret");
    let is_taken = async || signed_with(&stack, "second-app-secret", "wamid.2").await == 200;
    until("the new app secret", &stack, replaced, is_taken).await;
    assert_eq!(signed_with(&stack, "first-app-secret", "wamid.3").await, 200, "within the grace time");
    let is_refused = async || signed_with(&stack, "first-app-secret", "wamid.1").await == 403;
    until("the old app secret is refused", &stack, replaced, is_refused).await;
    assert_eq!(signed_with(&stack, "second-app-secret", "wamid.4").await, 200);

    assert_eq!(handshake(&stack, "first-verify-token").await, 200);
    let replaced = put(&secrets, "verify-token", "second-verify-token");
    let is_good = async || handshake(&stack, "second-verify-token").await == 200;
    until("the new verify token", &stack, replaced, is_good).await;
    assert_eq!(handshake(&stack, "first-verify-token").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_or_spoiled_changes_nothing() {
    let secrets = tempfile::tempdir().unwrap();
    for (name, value) in [("access-token", "token-of-the-test"), ("app-secret", "app-secret-of-the-test")] {
        put(&secrets, name, value);
    }
    put(&secrets, "ROUTER_API_KEYS", KEY);
    let stack = builder()
        .router_env("SECRETS_DIR", secrets.path().to_str().unwrap())
        .router_env("SECRETS_GRACE", "0")
        .simulator(|options| {
            options.access_token = "token-of-the-test".into();
            options.app_secret = "app-secret-of-the-test".into();
        })
        .start()
        .await
        .unwrap();
    let opens = async |key: &str| {
        call(&stack, Method::GET, "/api/v1/ledger", &[("x-api-key", key)], None).await.status
    };
    assert_eq!((opens(KEY).await, opens(OTHER_KEY).await), (200, 401));
    // No token, not text, and no list of keys.
    put(&secrets, "access-token", "to ken");
    fs::write(secrets.path().join("app-secret"), [0xff, 0xfe]).unwrap();
    put(&secrets, "ROUTER_API_KEYS", "short");
    let since = Instant::now();
    let log = || stack.router_output();
    until("the keys are refused", &stack, since, async || log().contains("the keys before it stay in use"))
        .await;
    until("the file is unreadable", &stack, since, async || log().contains("app-secret can't be read")).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stack.webhook(webhook(&[("12025550143", "wamid.1", "as before")])).await.unwrap();
    assert_eq!(echoed(&replies(&stack, 1).await[0].text), "as before");
    assert_eq!((opens(KEY).await, opens(OTHER_KEY).await), (200, 401));

    let replaced = put(&secrets, "ROUTER_API_KEYS", OTHER_KEY);
    until("the new API key", &stack, replaced, async || opens(OTHER_KEY).await == 200).await;
    assert_eq!(opens(KEY).await, 401, "a key that was taken out opens nothing");
}

/// Everything that the router writes or answers in a run with all its secrets, at the lowest level of its log.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_log_metric_or_answer() {
    let (secrets, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let all = [
        ("access-token", "hunter2-access-token-one"),
        ("app-secret", "hunter2-app-secret-one"),
        ("verify-token", "hunter2-verify-token-one"),
        ("ROUTER_API_KEYS", "hunter2-api-key-one-of-two,hunter2-api-key-two-of-two"),
    ];
    for (name, value) in all {
        put(&secrets, name, value);
    }
    let mut stack = builder()
        .output(Output::Files(logs.path().to_owned()))
        .router_env("SECRETS_DIR", secrets.path().to_str().unwrap())
        .router_env("WHATSAPP_ROUTER_SECRET_SUPPORT_APP_SECRET", "hunter2-unused")
        .router_env("LOG_LEVEL", EVERYTHING)
        .simulator(|options| {
            options.access_token = "hunter2-access-token-one".into();
            options.app_secret = "hunter2-app-secret-one".into();
            options.verify_token = "hunter2-verify-token-one".into();
        })
        .start()
        .await
        .unwrap();
    let mut answers = String::new();
    stack.webhook(webhook(&[("12025550143", "wamid.1", "first")])).await.unwrap();
    replies(&stack, 1).await;
    // Rotated, refused, spoiled.
    let replaced = put(&secrets, "access-token", "hunter2-access-token-two");
    for (name, value) in
        [("app-secret", "hunter2-app-secret-two"), ("verify-token", "hunter2-verify-token-two")]
    {
        put(&secrets, name, value);
    }
    let is_taken = async || signed_with(&stack, "hunter2-app-secret-two", "wamid.2").await == 200;
    until("the new app secret", &stack, replaced, is_taken).await;
    put(&secrets, "access-token", "hunter2 with a space");
    put(&secrets, "ROUTER_API_KEYS", "hunter2");
    for (path, key) in [
        ("/api/v1/ledger", "hunter2-api-key-one-of-two"),
        ("/api/v1/channels", "hunter2-api-key-one-of-two"),
        ("/api/v1/routes", "hunter2-api-key-two-of-two"),
        ("/api/v1/messages", "hunter2-api-key-one-of-two"),
        ("/api/v1/messages", "hunter2-wrong-key-of-somebody"),
        ("/api/v1/messages?cursor=hunter2x", "hunter2-api-key-one-of-two"),
    ] {
        let answer =
            reqwest::Client::new().get(format!("{}{path}", stack.router_url())).header("x-api-key", key);
        let answer = answer.send().await.unwrap();
        answers += &format!("{:?} {}\n", answer.headers().clone(), answer.text().await.unwrap());
    }
    for path in ["/metrics", "/health", "/openapi.json", "/readyz"] {
        answers += &get(&stack, path).await.1;
    }
    assert_eq!(handshake(&stack, "hunter2-verify-token-one").await, 403);
    stack.stop_router().await.unwrap();
    let mut written = String::new();
    for file in fs::read_dir(logs.path()).unwrap() {
        let path = file.unwrap().path();
        let is_router =
            path.file_name().is_some_and(|name| Path::new(name).to_string_lossy().starts_with("router"));
        if is_router {
            written += &String::from_utf8_lossy(&fs::read(path).unwrap());
        }
    }
    assert!(written.contains("secrets changed") && written.contains("TRACE"), "{written}");
    for (what, text) in [("log", &written), ("answers", &answers)] {
        let lines: Vec<_> = text.lines().filter(|line| line.contains("hunter2")).collect();
        assert!(lines.is_empty(), "a secret is in the {what}:\n{}", lines.join("\n"));
    }
}
