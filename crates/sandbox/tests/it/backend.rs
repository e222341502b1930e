//! The backend that misbehaves on demand.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Bench, read};

async fn process(bench: &Bench, text: &str) -> reqwest::Result<(u16, Value)> {
    let body = json!({"text": text, "message": {"id": "wamid.A"}}).to_string();
    let request = bench.client.post(format!("{}/process", bench.simulator.backend_url()));
    let request = request.header("Idempotency-Key", "key-1").header("X-Correlation-Id", "trace-1");
    Ok(read(request.body(body).send().await?).await)
}

#[tokio::test]
async fn it_answers_like_the_server_and_writes_down_who_asked() {
    let bench = Bench::new().await;
    let (status, answer) = process(&bench, "hello").await.unwrap();
    assert_eq!((status, &answer["original"]), (200, &json!("hello")));
    let reply = answer["reply"].as_str().unwrap();
    let number =
        reply.strip_prefix("I received your message: 'hello' and here is a random number: ").unwrap();
    assert!((1000..=9999).contains(&number.parse::<u32>().unwrap()));
    let requests = bench.get("/backend/requests").await;
    let request = &requests["items"][0];
    assert_eq!(
        (&request["idempotency_key"], &request["correlation_id"]),
        (&json!("key-1"), &json!("trace-1"))
    );
    assert_eq!((&request["text"], &request["message_id"]), (&json!("hello"), &json!("wamid.A")));
    bench.call(Method::DELETE, "/backend/requests", &Value::Null).await;
    assert_eq!(bench.get("/backend/requests").await, json!({"items": []}));
}

#[tokio::test]
async fn faults_strike_in_their_order_and_are_recorded() {
    let bench = Bench::new().await;
    bench.faults(json!({"backend": {
        "resets": 1, "errors": [{"status": 503, "count": 1, "retry_after": 3}, {"status": 422, "count": 1}],
        "garbage": 1, "late": {"ms": 1, "count": 1}, "silent": 1,
    }}));
    assert!(process(&bench, "reset").await.is_err());
    assert_eq!(process(&bench, "a").await.unwrap().0, 503);
    assert_eq!(process(&bench, "a").await.unwrap().0, 422);
    let (status, garbage) = process(&bench, "a").await.unwrap();
    assert_eq!(status, 200);
    assert!(garbage.is_string(), "{garbage}");
    assert!(process(&bench, "late").await.unwrap().1["reply"].is_string());
    assert_eq!(process(&bench, "a").await.unwrap().1["reply"], Value::Null);
    assert!(process(&bench, "a").await.unwrap().1["reply"].is_string());
    let statuses: Vec<Option<u16>> =
        bench.simulator.backend_requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses, [None, Some(503), Some(422), Some(200), Some(200), Some(200), Some(200)]);
}
