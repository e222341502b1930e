//! The search that runs over all that router and server tell in every other test: here it has something to find.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sandbox::stack::Stack;

use crate::harness::{PATIENCE, builder, channel_object, idle, start, webhook};

const ADA: &str = "15557320001";

/// Until spans of both services are there.
async fn until_traced(stack: &Stack) {
    let traced = async {
        while stack.searched().0 < 1_000 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, traced).await.expect("no spans came in");
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_and_metrics_of_every_test_are_kept_for_the_search() {
    let mut stack = start().await;
    stack.webhook(webhook(&[(ADA, "wamid.1", "zwetschgenknoedel")])).await.unwrap();
    idle(&stack).await;
    until_traced(&stack).await;
    assert_eq!(stack.searched().1, 0, "metrics are asked for at the end of a process");
    stack.kill_router().await.unwrap();
    let router = stack.searched().1;
    assert!(router > 10_000, "metrics of the router: {router} bytes");
    stack.stop_server().await.unwrap();
    assert!(stack.searched().1 > router + 1_000, "metrics of the server");
    assert_eq!(stack.leaks_in("here", "zwetschgenknoedel"), ["here: body in: ***"]);
}

/// The name of a channel and the attributes of the service may be told everywhere, so a person's number as their value is a
/// leak in each place.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_told_is_found_in_each_place() {
    let objects = tempfile::tempdir().unwrap();
    std::fs::write(objects.path().join("channel.yaml"), channel_object(ADA)).unwrap();
    let owner = format!("team={ADA}");
    let stack = builder()
        .config_dir(objects.path())
        .router_env("OTEL_RESOURCE_ATTRIBUTES", owner)
        .start()
        .await
        .unwrap();
    stack.webhook(webhook(&[(ADA, "wamid.1", "hello")])).await.unwrap();
    until_traced(&stack).await;
    let found = catch_unwind(AssertUnwindSafe(|| drop(stack))).unwrap_err();
    let found = found.downcast_ref::<String>().unwrap();
    for place in ["a log line of the router: ", "a metric: ", "a span: "] {
        assert!(found.contains(place), "not found in {place}\n{found}");
    }
    assert!(!found.contains(ADA), "the search tells itself what it found: {found}");
}
