//! The stack with the relay in the router's place: processes that start, die and start again.

use std::time::Duration;

use sandbox::stack::{Output, Stack, StackBuilder, StackError};

use crate::harness::{AMARA, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

fn with_relay() -> StackBuilder {
    Stack::builder().router_program(env!("CARGO_BIN_EXE_sandbox"), &["relay"]).without_server()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_goes_all_the_way_and_back() {
    let stack = with_relay().start().await.unwrap();
    stack.simulator().say(AMARA, "hello").unwrap();
    let messages = stack.simulator().wait_for_messages(1, PATIENCE).await.unwrap();
    assert!(messages[0].text.starts_with("I received your message: 'hello'"), "{}", messages[0].text);
    assert_eq!(messages[0].to, AMARA);
    let answer = stack.webhook("{}").await.unwrap();
    assert_eq!(answer.status, 200);
    stack.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_comes_back_at_its_address() {
    let mut stack = with_relay().start().await.unwrap();
    let (url, pid) = (stack.router_url().to_owned(), stack.router_pid().unwrap());
    stack.kill_router().await.unwrap();
    assert!(stack.router_pid().is_none());
    assert!(matches!(stack.kill_router().await, Err(StackError::NotRunning("router"))));
    // Nobody takes it now; the simulator keeps offering it.
    stack.simulator().say(AMARA, "is anybody there?").unwrap();
    stack.start_router().await.unwrap();
    assert_eq!(stack.router_url(), url);
    assert_ne!(stack.router_pid(), Some(pid));
    stack.simulator().wait_for_messages(1, PATIENCE).await.unwrap();
    assert!(stack.stop_router().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_do_not_outlive_their_stack() {
    let stack = with_relay().start().await.unwrap();
    let process = format!("/proc/{}/stat", stack.router_pid().unwrap());
    let data = stack.data_dir().to_owned();
    assert!(data.is_dir());
    drop(stack);
    eventually("the process is gone or only waits to be reaped", || {
        std::fs::read_to_string(&process).map_or(true, |stat| stat.contains(") Z "))
    })
    .await;
    assert!(!data.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_gives_up_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let error = Stack::builder()
        .router_program("/bin/sh", &["-c", "echo no database >&2; exit 3"])
        .without_server()
        .output(Output::Files(folder.path().to_owned()))
        .start()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StackError::Exited { name: "router", .. }), "{text}");
    assert!(text.contains("no database") && text.contains("exit status: 3"), "{text}");
    let log = std::fs::read_to_string(folder.path().join("router.log")).unwrap();
    assert_eq!(log, "no database\n");
}
