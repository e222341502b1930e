//! Meta's limits are kept as Meta counts them, and what does not work is left alone until it does.

use std::time::Duration;

use sandbox::{postgres::Cluster, simulator::GraphMessage, stack::Stack};
use serde_json::json;

use crate::harness::{PATIENCE, builder, by_contact, echoed, faults, get, idle, metric, replies, webhook};

/// `count` messages of as many people, or of one.
fn messages(from: impl Fn(usize) -> String, name: &str, count: usize) -> String {
    let all: Vec<_> =
        (0..count).map(|n| (from(n), format!("wamid.{name}.{n}"), format!("{name} {n}"))).collect();
    let all: Vec<_> =
        all.iter().map(|(from, wamid, text)| (from.as_str(), wamid.as_str(), text.as_str())).collect();
    webhook(&all)
}

fn person(number: usize) -> String {
    format!("155501{number:05}")
}

async fn until(what: &str, stack: &Stack, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{what} does not come to pass; the router says:\n{}", stack.router_output());
    }
}

async fn logged(stack: &Stack, words: &str) {
    until(words, stack, async || stack.router_output().contains(words)).await;
}

/// As Graph counts: by the times at which the messages arrived.
fn assert_never_over(limit: usize, replies: &[GraphMessage]) {
    let mut times: Vec<_> = replies.iter().map(|reply| reply.at).collect();
    times.sort_unstable();
    for (first, &at) in times.iter().enumerate() {
        // The simulator's clock shows whole milliseconds.
        let within = times[first..].iter().filter(|later| **later < at + 999).count();
        assert!(within <= limit, "{within} in the second from {at}: {times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn never_more_than_the_limit_in_any_one_second_as_graph_counts_them() {
    let limit = 20;
    let stack =
        builder().router_env("WHATSAPP_MAX_MESSAGES_PER_SECOND", limit.to_string()).start().await.unwrap();
    stack.webhook(messages(person, "a", 60)).await.unwrap();
    for n in 0..4 {
        stack.webhook(messages(|m| person(100 + n * 10 + m), &format!("b{n}"), 10)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let replies = replies(&stack, 100).await;
    assert_eq!(by_contact(&replies).len(), 100);
    assert_never_over(limit, &replies);
    assert!(metric(&stack, "whatsapp_router_pacing_waits_total").await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn routers_on_one_database_keep_one_limit_together() {
    let Some(cluster) = Cluster::start_if_available("one limit kept by several routers") else { return };
    let cluster = cluster.unwrap();
    let limit = 20;
    let stack = builder()
        .routers(3)
        .database(cluster.new_database().unwrap())
        .router_env("WHATSAPP_MAX_MESSAGES_PER_SECOND", limit.to_string())
        .start()
        .await
        .unwrap();
    for n in 0..12 {
        stack.webhook(messages(|m| person(n * 10 + m), &format!("{n}"), 10)).await.unwrap();
    }
    let replies = replies(&stack, 120).await;
    assert_eq!(by_contact(&replies).len(), 120);
    assert_never_over(limit, &replies);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_over_its_burst_waits_and_others_go_on() {
    let stack = builder()
        .router_env("WHATSAPP_PAIR_BURST", "3")
        .router_env("WHATSAPP_PAIR_INTERVAL", "2s")
        .start()
        .await
        .unwrap();
    stack.webhook(messages(|_| person(1), "busy", 5)).await.unwrap();
    until("the burst", &stack, async || stack.simulator().messages().len() == 3).await;
    stack.webhook(messages(|_| person(2), "calm", 2)).await.unwrap();
    let replies = replies(&stack, 7).await;
    let of_busy: Vec<_> = replies.iter().filter(|reply| reply.to == person(1)).collect();
    assert_eq!(
        of_busy.iter().map(|reply| echoed(&reply.text)).collect::<Vec<_>>(),
        ["busy 0", "busy 1", "busy 2", "busy 3", "busy 4"]
    );
    assert!(of_busy[3].at >= of_busy[0].at + 2_000 && of_busy[4].at >= of_busy[0].at + 4_000, "{of_busy:?}");
    let last_of_calm = replies.iter().rposition(|reply| reply.to == person(2));
    assert!(
        last_of_calm < replies.iter().position(|reply| reply.at == of_busy[4].at),
        "others need not wait"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_probed_and_everything_goes_on_when_it_is_mended() {
    let stack = builder().router_env("WHATSAPP_STOPPED_CHANNEL_WAIT", "1s").start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"graph": {"errors": [{"code": 190}]}})));
    stack.webhook(messages(|n| person(n % 10), "first", 30)).await.unwrap();
    logged(&stack, "Meta refuses all sends of this channel").await;
    assert_eq!(metric(&stack, "whatsapp_router_channel_stopped").await, 1.0);
    let before = stack.simulator().calls().len();
    stack.webhook(messages(|n| person(n % 10), "second", 30)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    let probes = stack.simulator().calls().len() - before;
    // Some of the first sends may still have been on their way.
    assert!((1..=14).contains(&probes), "{probes} calls while it was stopped");
    assert_eq!(metric(&stack, "whatsapp_router_dead_letters_total").await, 0.0);

    stack.simulator().set_faults(faults(json!({})));
    let replies = replies(&stack, 60).await;
    assert_eq!(replies.len(), 60);
    for (from, texts) in by_contact(&replies) {
        let order = ["first", "second"].iter().flat_map(|name| (0..30).map(move |n| (name, n)));
        let expected: Vec<_> =
            order.filter(|(_, n)| person(n % 10) == from).map(|(name, n)| format!("{name} {n}")).collect();
        assert_eq!(texts, expected);
    }
    idle(&stack).await;
    let log = stack.router_output();
    assert_eq!(log.matches("Meta refuses all sends of this channel").count(), 1);
    assert_eq!(log.matches("the channel sends again").count(), 1);
    assert_eq!(metric(&stack, "whatsapp_router_channel_stopped").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_down_is_left_alone_and_then_caught_up_with_in_order() {
    let stack = builder().without_server().start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"backend": {"errors": [{"status": 503}]}})));
    stack.webhook(messages(|n| person(n % 20), "first", 40)).await.unwrap();
    logged(&stack, "the backend fails again and again").await;
    let state = "whatsapp_router_breaker_state{kind=\"backend\",name=\"default\"}";
    until("an open breaker", &stack, async || {
        get(&stack, "/metrics").await.1.contains(&format!("{state} 2"))
    })
    .await;
    let before = stack.simulator().backend_requests().len();
    for n in 0..10 {
        stack.webhook(messages(|m| person(m + n), &format!("while {n}"), 10)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let calls = stack.simulator().backend_requests().len() - before;
    assert!(calls <= 8, "{calls} calls of a backend that is known to be down");

    stack.simulator().set_faults(faults(json!({})));
    let replies = replies(&stack, 140).await;
    assert_eq!(replies.len(), 140);
    for (from, texts) in by_contact(&replies) {
        let first = (0..40).filter(|n| person(n % 20) == from).map(|n| format!("first {n}"));
        let later = (0..10).flat_map(|n| (0..10).map(move |m| (n, m)));
        let later = later.filter(|(n, m)| person(m + n) == from).map(|(n, m)| format!("while {n} {m}"));
        assert_eq!(texts, first.chain(later).collect::<Vec<_>>(), "{from}");
    }
    idle(&stack).await;
    let log = stack.router_output();
    assert_eq!(log.matches("the backend fails again and again").count(), 1);
    assert_eq!(log.matches("the backend answers again").count(), 1);
    assert!(get(&stack, "/metrics").await.1.contains(&format!("{state} 0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn graph_that_is_down_is_left_alone_and_then_caught_up_with() {
    let stack = builder().start().await.unwrap();
    stack
        .simulator()
        .set_faults(faults(json!({"graph": {"errors": [{"code": 131_016, "http_status": 503}]}})));
    for n in 0..10 {
        stack.webhook(messages(|m| person(n * 10 + m), &format!("{n}"), 3)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    logged(&stack, "the Graph API fails again and again").await;
    stack.simulator().set_faults(faults(json!({})));
    assert_eq!(replies(&stack, 30).await.len(), 30);
    logged(&stack, "the Graph API answers again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metas_news_of_a_higher_throughput_are_believed_for_this_number_only() {
    let mut stack = builder().router_env("WHATSAPP_MAX_MESSAGES_PER_SECOND", "80").start().await.unwrap();
    let change = |number: &str| {
        let value = json!({"display_phone_number": number, "event": "THROUGHPUT_UPGRADE", "current_limit": "TIER_UNLIMITED"});
        json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes":
            [{"field": "phone_number_quality_update", "value": value}]}]})
        .to_string()
    };
    stack.webhook(messages(person, "hi", 1)).await.unwrap();
    assert_eq!(stack.webhook(change("+1 555 000 0000")).await.unwrap().status, 200);
    assert!(!stack.router_output().contains("Meta has raised"));
    assert_eq!(stack.webhook(change("15550783881")).await.unwrap().status, 200);
    logged(&stack, "Meta has raised").await;
    stack.stop_router().await.unwrap();
    assert_eq!(crate::harness::query::<i64>(&stack, "SELECT max(throughput) FROM channel_state"), 1_000);
}
