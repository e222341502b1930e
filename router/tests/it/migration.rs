//! A router with traffic is stopped, what it knows is moved to PostgreSQL, and it goes on there.

use std::process::Command;

use sandbox::{postgres::Cluster, stack::Stack};
use serde_json::json;

use crate::harness::{builder, by_contact, faults, metric, replies, webhook};

const CONTACTS: usize = 5;
const EACH: usize = 12;

/// Messages with these numbers of each contact, a webhook for each number.
async fn say(stack: &Stack, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let from: Vec<_> = (0..CONTACTS).map(|contact| format!("1555010000{contact}")).collect();
        let wamids: Vec<_> = (0..CONTACTS).map(|contact| format!("wamid.{contact}.{number}")).collect();
        let text = format!("{number:02}");
        let messages: Vec<_> =
            from.iter().zip(&wamids).map(|(from, wamid)| (&**from, &**wamid, &*text)).collect();
        assert_eq!(stack.webhook(webhook(&messages)).await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_was_begun_on_sqlite_is_finished_on_postgresql_once_and_in_order() {
    let Some(cluster) = Cluster::start_if_available("a router that moves to PostgreSQL") else { return };
    let cluster = cluster.unwrap();
    let url = cluster.new_database().unwrap();
    let mut stack = builder().start().await.unwrap();
    // Slow enough that most of it waits.
    stack.simulator().set_faults(faults(json!({"graph": {"latency_ms": 500}})));
    say(&stack, 0..EACH).await;
    assert!(metric(&stack, "whatsapp_router_queue_depth").await > 0.0);
    stack.stop_router().await.unwrap();
    assert!(stack.simulator().messages().len() < CONTACTS * EACH, "something is left to be done");

    let from = format!("sqlite://{}", stack.data_dir().join("router.db").display());
    let moved = Command::new(env!("CARGO_BIN_EXE_router"))
        .args(["migrate", "--from", &from])
        .env("DATABASE_URL", &url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&moved.stdout);
    assert!(moved.status.success(), "{said}{}", String::from_utf8_lossy(&moved.stderr));
    assert!(said.contains("message ") && !said.contains("postgres://"), "{said}");

    stack.set_router_env("DATABASE_URL", &url);
    stack.simulator().set_faults(faults(json!({})));
    stack.start_router().await.unwrap();
    // What Meta sends again is recognised, and the conversations go on.
    say(&stack, 0..EACH + 1).await;
    let all = replies(&stack, CONTACTS * (EACH + 1)).await;
    let expected: Vec<_> = (0..=EACH).map(|number| format!("{number:02}")).collect();
    let answered = by_contact(&all);
    assert_eq!(answered.len(), CONTACTS);
    for texts in answered.values() {
        assert_eq!(*texts, expected);
    }
}
