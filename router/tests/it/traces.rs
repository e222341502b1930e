//! One trace tells about a message from its webhook to Graph and the backend, whatever happens on the way.

use std::time::Duration;

use sandbox::stack::{Stack, StackBuilder};
use serde_json::json;

use crate::{
    collector::{Collector, Seen, by_trace, the, tree},
    harness::{
        PATIENCE, builder, channel_object, faults, get, metric, query, replies, route_object, webhook,
    },
};

const ROUTER: &str = "whatsapp-router";
const SERVER: &str = "whatsapp-server";
const WEBHOOK: &str = "POST /webhook";
const PROCESS: &str = "process default";
const ASK: &str = "POST /process";
const SEND: &str = "send default";
const GRAPH: &str = "POST /{version}/{phone_number_id}/messages";

fn traced(builder: StackBuilder, collector: &Collector, protocol: &str) -> StackBuilder {
    collector.env(protocol).into_iter().fold(builder, |builder, (name, value)| {
        builder.router_env(name, value.clone()).server_env(name, value)
    })
}

/// The whole shape of the trace of one message.
fn assert_shape(spans: &[Seen]) {
    let webhook = the(spans, ROUTER, WEBHOOK);
    let process = the(spans, ROUTER, PROCESS);
    let ask = the(spans, ROUTER, ASK);
    let served = the(spans, SERVER, ASK);
    let send = the(spans, ROUTER, SEND);
    let graph = the(spans, ROUTER, GRAPH);
    assert!(webhook.span.parent_span_id.is_empty());
    for (child, parent) in [(process, webhook), (ask, process), (served, ask), (send, process), (graph, send)]
    {
        assert!(child.is_child_of(parent), "{} under {} in\n{}", child.name(), parent.name(), tree(spans));
    }
    let accept = the(spans, ROUTER, "accept");
    assert!(accept.is_child_of(webhook));
    let finished: Vec<_> = spans.iter().filter(|span| span.name() == "finish").collect();
    assert_eq!(finished.len(), 2, "{}", tree(spans));
    assert!([process, send].iter().all(|parent| finished.iter().any(|commit| commit.is_child_of(parent))));
    assert!(spans.iter().all(|span| !span.is_error()), "{}", tree(spans));
}

/// What the conventions require of every call (OpenTelemetry, "HTTP spans"), and what they recommend and we have.
fn assert_calls_are_described(spans: &[Seen]) {
    let has = |seen: &Seen, attribute: &str, value: &str| {
        assert_eq!(seen.attribute(attribute), value, "{attribute} of {} of {}", seen.name(), seen.service);
    };
    for (service, name) in [(ROUTER, WEBHOOK), (SERVER, ASK)] {
        let served = the(spans, service, name);
        let path = name.strip_prefix("POST ").unwrap();
        has(served, "http.request.method", "POST");
        has(served, "url.path", path);
        has(served, "url.scheme", "http");
        has(served, "http.route", path);
        has(served, "server.address", "127.0.0.1");
        assert!(served.attribute("server.port").parse::<u16>().unwrap() > 0);
        has(served, "network.protocol.version", "1.1");
    }
    for name in [ASK, GRAPH] {
        let call = the(spans, ROUTER, name);
        let template = name.strip_prefix("POST ").unwrap();
        has(call, "http.request.method", "POST");
        has(call, "url.template", template);
        has(call, "server.address", "127.0.0.1");
        let port = call.attribute("server.port");
        assert!(port.parse::<u16>().unwrap() > 0);
        has(call, "url.full", &format!("http://127.0.0.1:{port}{template}"));
    }
    let (asked, served) = (the(spans, ROUTER, ASK), the(spans, SERVER, ASK));
    assert_eq!(asked.attribute("server.port"), served.attribute("server.port"), "both name the same place");
}

async fn one_message(protocol: &str) {
    let collector = Collector::start().await;
    let stack = traced(builder(), &collector, protocol).start().await.unwrap();
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    replies(&stack, 1).await;
    let names = [(WEBHOOK, 1), (PROCESS, 1), (ASK, 2), (SEND, 1), (GRAPH, 1), ("finish", 2)];
    let spans = collector.trace_with(&names).await;
    assert_shape(&spans);
    assert_calls_are_described(&spans);

    let kind = |name| the(&spans, ROUTER, name).span.kind().as_str_name();
    assert_eq!(kind(WEBHOOK), "SPAN_KIND_SERVER");
    assert_eq!(kind(PROCESS), "SPAN_KIND_CONSUMER");
    assert_eq!(kind(ASK), "SPAN_KIND_CLIENT");
    assert_eq!(kind(SEND), "SPAN_KIND_PRODUCER");
    for (service, name, attribute, value) in [
        (ROUTER, WEBHOOK, "http.route", "/webhook"),
        (ROUTER, WEBHOOK, "http.response.status_code", "200"),
        (ROUTER, "accept", "db.system.name", "sqlite"),
        (ROUTER, PROCESS, "messaging.system", "whatsapp"),
        (ROUTER, PROCESS, "messaging.destination.name", "default"),
        (ROUTER, PROCESS, "whatsapp_router.outcome", "answered"),
        (ROUTER, ASK, "http.request.resend_count", ""),
        (SERVER, ASK, "http.response.status_code", "200"),
        (ROUTER, GRAPH, "http.response.status_code", "200"),
        (ROUTER, SEND, "whatsapp_router.outcome", "sent"),
    ] {
        assert_eq!(the(&spans, service, name).attribute(attribute), value, "{attribute} of {name}");
    }
    let correlation = the(&spans, ROUTER, PROCESS).attribute("messaging.message.id");
    assert_eq!(the(&spans, ROUTER, SEND).attribute("messaging.message.conversation_id"), correlation);
    let (start, end) = (the(&spans, ROUTER, WEBHOOK), the(&spans, ROUTER, SEND));
    assert!(start.span.start_time_unix_nano < end.span.end_time_unix_nano);

    // The log leads to the trace.
    let trace_id: String = start.span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    for message in ["message received", "message sent"] {
        let line = stack.router_output();
        let line = line.lines().find(|line| line.contains(message)).unwrap().to_owned();
        assert!(line.contains(&correlation) && line.contains(&trace_id), "{line}");
    }
    assert_eq!(metric(&stack, "whatsapp_router_telemetry_export_failures_total").await, 0.0);
    collector.search(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_one_trace_over_grpc() {
    one_message("grpc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_one_trace_over_http() {
    one_message("http/protobuf").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_messages_of_a_webhook_have_a_trace_each_that_leads_back() {
    let collector = Collector::start().await;
    let stack = traced(builder(), &collector, "grpc").start().await.unwrap();
    let messages =
        [("15550100001", "wamid.1", "a"), ("15550100001", "wamid.2", "b"), ("15550100002", "wamid.3", "c")];
    stack.webhook(webhook(&messages)).await.unwrap();
    replies(&stack, 3).await;
    let count = |all: &[Seen], name: &str| all.iter().filter(|span| span.name() == name).count();
    let all =
        collector.wait_for("three messages", |all| count(all, SEND) == 3 && count(all, WEBHOOK) > 0).await;
    let processed: Vec<_> = all.iter().filter(|span| span.name() == PROCESS).collect();
    assert_eq!(processed.len(), 3);
    // The others bring statuses.
    let mut webhooks = all.iter().filter(|span| span.name() == WEBHOOK);
    let webhook = webhooks.find(|webhook| processed[0].links_to(webhook)).unwrap();
    for process in processed {
        assert!(process.links_to(webhook) && process.span.parent_span_id.is_empty(), "{}", tree(&all));
        let own = &by_trace(&all)[&process.span.trace_id];
        assert_eq!((count(own, PROCESS), count(own, GRAPH), count(own, SEND)), (1, 1, 1), "{}", tree(own));
        assert_ne!(process.span.trace_id, webhook.span.trace_id);
    }
    collector.search(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_after_a_kill() {
    let collector = Collector::start().await;
    let mut stack = traced(builder().without_server(), &collector, "grpc").start().await.unwrap();
    stack.simulator().set_faults(faults(json!({"backend": {"errors": {"status": 503}}})));
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    let first = collector.trace_with(&[(WEBHOOK, 1), (ASK, 1), ("defer", 1)]).await;
    assert!(the(&first, ROUTER, "defer").span.trace_id == the(&first, ROUTER, WEBHOOK).span.trace_id);
    stack.kill_router().await.unwrap();
    let kept: Option<Vec<u8>> = query(&stack, "SELECT trace FROM message");
    assert_eq!(kept.unwrap()[..16], first[0].span.trace_id);
    stack.simulator().set_faults(faults(json!({})));
    stack.start_router().await.unwrap();
    replies(&stack, 1).await;
    let spans = collector.trace_with(&[(WEBHOOK, 1), (PROCESS, 1), (SEND, 1), (GRAPH, 1)]).await;
    assert_eq!(spans[0].span.trace_id, first[0].span.trace_id);
    let process = the(&spans, ROUTER, PROCESS);
    assert!(process.is_child_of(the(&spans, ROUTER, WEBHOOK)));
    let asked: Vec<_> = spans.iter().filter(|span| span.name() == ASK && span.is_child_of(process)).collect();
    let (failed, answered): (Vec<_>, Vec<_>) = asked.into_iter().partition(|span| span.is_error());
    assert!(!failed.is_empty() && answered.len() == 1, "{}", tree(&spans));
    assert_eq!(answered[0].attribute("http.request.resend_count"), failed.len().to_string());
    assert!(failed.iter().all(|span| !span.attribute("error.type").is_empty()));
    collector.search(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_an_error_and_told_even_when_not_sampled() {
    for (sampler, sampled) in [("always_on", true), ("parentbased_traceidratio", false)] {
        let collector = Collector::start().await;
        let stack = traced(builder().without_server(), &collector, "http/protobuf")
            .router_env("OTEL_TRACES_SAMPLER", sampler)
            .router_env("OTEL_TRACES_SAMPLER_ARG", "0")
            .start()
            .await
            .unwrap();
        stack.simulator().set_faults(faults(json!({"backend": {"errors": {"status": 422, "count": 1}}})));
        stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
        let all =
            collector.wait_for("a dead letter", |all| all.iter().any(|span| span.name() == PROCESS)).await;
        let dead = the(&all, ROUTER, PROCESS);
        assert!(dead.is_error());
        assert_eq!(dead.attribute("whatsapp_router.outcome"), "dead");
        assert_eq!(dead.attribute("error.type"), "backend_refused");
        if !sampled {
            assert_eq!(all.len(), 1, "nothing else is told:\n{}", tree(&all));
            let correlation = dead.attribute("messaging.message.conversation_id").replace('-', "");
            let trace: String = dead.span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(trace, correlation);
            assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message WHERE trace IS NOT NULL"), 0);
        }
        collector.search(&stack);
    }
}

/// Strangers decide nothing, the business's own code does.
#[tokio::test(flavor = "multi_thread")]
async fn only_callers_with_a_key_name_their_trace() {
    let collector = Collector::start().await;
    let stack = traced(builder(), &collector, "grpc")
        .router_env("ROUTER_API_KEYS", "a-key-that-is-long-enough-for-tests")
        .start()
        .await
        .unwrap();
    let client = reqwest::Client::new();
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let call =
        |path: &str| client.post(format!("{}{path}", stack.router_url())).header("traceparent", traceparent);
    let refused = call("/webhook").body("{}").send().await.unwrap();
    assert_eq!(refused.status(), 403);
    let told = refused.headers()["x-trace-id"].to_str().unwrap().to_owned();
    let problem: serde_json::Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(problem["trace_id"], told.as_str());
    assert_ne!(told, "4bf92f3577b34da6a3ce929d0e0e4736");
    let body = json!({"to": "15550100009", "type": "text", "text": {"body": "hi"}}).to_string();
    let without_key = call("/api/v1/messages").body(body.clone()).send().await.unwrap();
    assert_eq!(without_key.status(), 401);
    let sent = call("/api/v1/messages?force=true")
        .header("authorization", "Bearer a-key-that-is-long-enough-for-tests")
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 202, "{}", sent.text().await.unwrap());
    stack.simulator().wait_for_messages(1, PATIENCE).await.unwrap();
    let spans =
        collector.trace_with(&[("POST /api/v1/messages", 1), ("enqueue", 1), (SEND, 1), (GRAPH, 1)]).await;
    let hex: String = spans[0].span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "4bf92f3577b34da6a3ce929d0e0e4736");
    let api = the(&spans, ROUTER, "POST /api/v1/messages");
    assert_eq!(api.attribute("http.response.status_code"), "202", "the refused call is not told");
    assert!(the(&spans, ROUTER, SEND).is_child_of(api) && the(&spans, ROUTER, "enqueue").is_child_of(api));
    collector.wait_for("the refused webhook", |all| all.iter().any(|span| span.name() == WEBHOOK)).await;
    collector.search(&stack);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_costs_a_counter_and_a_line() {
    // Nobody listens on the port of a listener that is gone.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut stack = builder()
        .router_env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"))
        .router_env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .router_env("OTEL_BSP_MAX_QUEUE_SIZE", "8")
        .start()
        .await
        .unwrap();
    let bodies: Vec<_> =
        (0..20).map(|index| (format!("1555010{index:04}"), format!("wamid.{index}"))).collect();
    for (from, wamid) in &bodies {
        let answer = stack.webhook(webhook(&[(from, wamid, "hello")])).await.unwrap();
        assert_eq!(answer.status, 200);
    }
    replies(&stack, bodies.len()).await;
    let counted = async {
        while metric(&stack, "whatsapp_router_telemetry_export_failures_total").await < 2.0
            || metric(&stack, "whatsapp_router_telemetry_spans_total").await < 100.0
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("failures and lost spans are counted");
    let output = stack.router_output();
    assert_eq!(output.matches("traces are not taken by the collector").count(), 1, "{output}");
    assert!(stack.stop_router().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_endpoint_nothing_is_traced() {
    let stack: Stack = builder().router_env("OTEL_EXPORTER_OTLP_ENDPOINT", "").start().await.unwrap();
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    replies(&stack, 1).await;
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message WHERE trace IS NOT NULL"), 0);
    assert!(!stack.router_output().contains("trace_id"));
    let answer = reqwest::get(format!("{}/nothing", stack.router_url())).await.unwrap();
    assert!(!answer.headers().contains_key("x-trace-id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_blue_ticks_are_told_under_the_message_that_was_read() {
    // Nobody listens on the port of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rules = format!(
        "
- name: default
  markRead: OnReceive
  backends: [{{url: \"http://{gone}\"}}]
"
    );
    std::fs::write(folder.path().join("channel.yaml"), channel_object("support")).unwrap();
    std::fs::write(folder.path().join("route.yaml"), route_object("shop", "support", &rules)).unwrap();
    let collector = Collector::start().await;
    let stack = traced(builder().config_dir(folder.path()), &collector, "grpc").start().await.unwrap();
    stack.webhook(webhook(&[("15550100001", "wamid.1", "hello")])).await.unwrap();
    let spans = collector.trace_with(&[(ASK, 1), (GRAPH, 1)]).await;
    let asked = spans.iter().find(|span| span.name() == ASK).unwrap();
    let marked = the(&spans, ROUTER, GRAPH);
    assert_eq!(marked.span.parent_span_id, asked.span.parent_span_id, "{}", tree(&spans));
    assert_eq!(asked.attribute("error.type"), "backend_unreachable");
    assert_eq!(asked.attribute("http.response.status_code"), "", "nothing was answered");
    let (_, calls) = get(&stack, "/metrics").await;
    for counted in [
        "http_client_request_duration_seconds_count{error_type=\"backend_unreachable\",http_request_method=\"POST\",\
         http_response_status_code=\"\",server_address=\"127.0.0.1\"}",
        "http_client_request_duration_seconds_count{error_type=\"\",http_request_method=\"POST\",\
         http_response_status_code=\"200\",server_address=\"127.0.0.1\"} 1",
    ] {
        assert!(calls.contains(counted), "{counted} in\n{calls}");
    }
    collector.search(&stack);
}
