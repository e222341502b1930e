//! The operational calls in every state of a process.

use poem::{EndpointExt, http::StatusCode, test::TestClient};
use poem_openapi::OpenApiService;
use serde_json::{Value, json};
use service::{
    health::Health,
    http::Edge,
    metrics::{Metrics, TEXT_FORMAT},
    ops::OpsApi,
};

async fn ask(health: &Health, path: &str) -> (u16, Value) {
    let metrics = Metrics::new("test", "1", "r");
    let ops = OpsApi::new("tester", "1.2.3", health.clone(), metrics.clone());
    let endpoint = OpenApiService::new(ops, "test", "1").with(Edge::new(&metrics));
    let answer = TestClient::new(endpoint).get(path).send().await;
    let status = answer.0.status().as_u16();
    (status, answer.0.into_body().into_json().await.unwrap())
}

#[tokio::test]
async fn a_process_goes_from_starting_over_ready_to_draining() {
    let health = Health::new();
    let alive = (200, json!({"status": "alive"}));
    let well = (200, json!({"status": "ok", "service": "tester", "version": "1.2.3"}));

    assert_eq!(ask(&health, "/livez").await, alive);
    assert_eq!(ask(&health, "/readyz").await.0, 503);
    assert_eq!(ask(&health, "/health").await.1["checks"]["start"], "is not over yet");

    health.ready();
    assert_eq!(ask(&health, "/livez").await, alive);
    assert_eq!(ask(&health, "/readyz").await, (200, json!({"status": "ready"})));
    assert_eq!(ask(&health, "/health").await, well);

    health.draining();
    assert_eq!(ask(&health, "/livez").await, alive);
    let (status, body) = ask(&health, "/readyz").await;
    assert_eq!((status, &body["status"]), (503, &json!("draining")));
    assert_eq!(ask(&health, "/health").await, well);
}

#[tokio::test]
async fn a_failing_check_is_named_with_its_reason() {
    let health = Health::new();
    health.ready();
    health.register("store").failing("disk is full");
    assert_eq!(
        ask(&health, "/health").await,
        (
            503,
            json!({"status": "failing", "service": "tester", "version": "1.2.3", "checks": {"store": "disk is full"}})
        )
    );
    let (status, body) = ask(&health, "/readyz").await;
    assert_eq!((status, body), (503, json!({"status": "failing", "reason": "store: disk is full"})));
    assert_eq!(ask(&health, "/livez").await.0, 200);
}

#[tokio::test]
async fn metrics_are_text_and_know_the_requests_before() {
    let metrics = Metrics::new("test", "1", "r");
    let ops = OpsApi::new("tester", "1", Health::new(), metrics.clone());
    let client = TestClient::new(OpenApiService::new(ops, "test", "1").with(Edge::new(&metrics)));
    client.get("/livez").send().await.assert_status(StatusCode::OK);
    let answer = client.get("/metrics").send().await;
    answer.assert_content_type(TEXT_FORMAT);
    let text = answer.0.into_body().into_string().await.unwrap();
    assert!(text.contains("http_route=\"/livez\""), "{text}");
    assert!(text.contains("http_server_active_requests 1\n"), "{text}");
}
