//! `POST /process`, good and bad.

use poem::{
    Endpoint,
    http::StatusCode,
    test::{TestClient, TestResponse},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use server::{app::App, reply::NUMBERS};

fn client() -> TestClient<impl Endpoint> {
    let app = App::new();
    app.health().ready();
    TestClient::new(app.main_endpoint(true, true))
}

async fn post(body: impl Into<Vec<u8>>) -> TestResponse {
    client().post("/process").content_type("application/json").body(body.into()).send().await
}

async fn json(response: TestResponse) -> Value {
    response.0.into_body().into_json().await.unwrap()
}

/// The number in a reply that quotes exactly this text.
fn number(answer: &Value, text: &str) -> Option<u16> {
    let rest = answer["reply"].as_str()?.strip_prefix("I received your message: '")?.strip_prefix(text)?;
    rest.strip_prefix("' and here is a random number: ")?.parse().ok()
}

#[tokio::test]
async fn the_reply_quotes_the_text_and_the_number_is_fresh() {
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let response = post(r#"{"text":"hello"}"#).await;
        response.assert_status_is_ok();
        response.assert_content_type("application/json");
        let answer = json(response).await;
        assert_eq!(answer["original"], "hello");
        assert_eq!(answer.as_object().unwrap().len(), 2);
        let number = number(&answer, "hello").unwrap();
        assert!(NUMBERS.contains(&number), "{number}");
        seen.insert(number);
    }
    assert!(seen.len() > 1, "fifty numbers out of nine thousand are not all the same");
}

#[tokio::test]
async fn the_message_and_unknown_fields_change_nothing() {
    let body = json!({"text": "hi", "message": {"id": "wamid.1", "text": "other"}, "unknown": [1, 2]});
    let answer = json(post(body.to_string()).await).await;
    assert!(number(&answer, "hi").is_some(), "{answer}");
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    for content_type in [None, Some("text/plain"), Some("application/json; charset=utf-8"), Some("nonsense")]
    {
        let client = client();
        let request = client.post("/process").body(r#"{"text":"hi"}"#);
        let request = match content_type {
            Some(content_type) => request.content_type(content_type),
            None => request,
        };
        request.send().await.assert_status_is_ok();
    }
}

#[tokio::test]
async fn every_bad_body_is_a_400_that_says_what_is_wrong() {
    for (body, words) in [
        ("", "body is empty"),
        ("hello", "not valid JSON"),
        (r#"{"text":"a"} more"#, "not valid JSON"),
        (r#"["a"]"#, "body is an array"),
        (r#""a""#, "body is a string"),
        ("null", "body is null"),
        ("{}", "text is missing"),
        (r#"{"message":{"text":"a"}}"#, "text is missing"),
        (r#"{"text":null}"#, "text is null"),
        (r#"{"text":1}"#, "text is a number"),
        (r#"{"text":false}"#, "text is a boolean"),
        (r#"{"text":["a"]}"#, "text is an array"),
        (r#"{"text":{}}"#, "text is an object"),
    ] {
        let response = post(body).await;
        response.assert_status(StatusCode::BAD_REQUEST);
        response.assert_content_type("application/problem+json");
        let id = response.0.header("x-request-id").unwrap().to_owned();
        let problem = json(response).await;
        assert_eq!(problem["code"], "invalid_request", "{body}");
        assert_eq!(problem["request_id"], id);
        assert!(problem["detail"].as_str().unwrap().contains(words), "{body} => {problem}");
    }
    post(b"{\"text\":\"\xff\"}".as_slice()).await.assert_status(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn one_mebibyte_is_read_and_a_byte_more_refused() {
    let of_length = |length: usize| {
        let frame = r#"{"text":""}"#.len();
        format!(r#"{{"text":"{}"}}"#, "a".repeat(length - frame))
    };
    post(of_length(1024 * 1024)).await.assert_status_is_ok();
    let response = post(of_length(1024 * 1024 + 1)).await;
    response.assert_status(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(json(response).await["code"], "payload_too_large");
}

#[tokio::test]
async fn only_post_is_taken() {
    let response = client().get("/process").send().await;
    response.assert_status(StatusCode::METHOD_NOT_ALLOWED);
    response.assert_header("allow", "POST");
}

#[tokio::test]
async fn what_became_of_messages_is_counted() {
    let client = client();
    for body in [r#"{"text":"a"}"#, r#"{"text":"b"}"#, "{}"] {
        client.post("/process").body(body).send().await;
    }
    let metrics = client.get("/metrics").send().await.0.into_body().into_string().await.unwrap();
    for line in [
        r#"whatsapp_server_messages_processed_total{outcome="answered"} 2"#,
        r#"whatsapp_server_messages_processed_total{outcome="refused"} 1"#,
        r#"http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="200",http_route="/process"} 2"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn with_a_listener_of_their_own_the_operational_calls_leave_the_main_one() {
    let app = App::new();
    app.health().ready();
    let main = TestClient::new(app.main_endpoint(false, false));
    let admin = TestClient::new(app.admin_endpoint());
    for path in ["/health", "/livez", "/readyz", "/metrics"] {
        main.get(path).send().await.assert_status(StatusCode::NOT_FOUND);
        admin.get(path).send().await.assert_status_is_ok();
    }
    admin.post("/process").body(r#"{"text":"a"}"#).send().await.assert_status(StatusCode::NOT_FOUND);
}

proptest! {
    #[test]
    fn any_text_comes_back_unchanged(text in any::<String>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(async { json(post(json!({"text": text}).to_string()).await).await });
        prop_assert_eq!(&answer["original"], &Value::from(text.as_str()));
        prop_assert!(number(&answer, &text).is_some(), "{}", answer);
    }
}

#[tokio::test]
async fn with_a_signing_secret_only_signed_calls_are_answered() {
    let secret = secrecy::SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let signer = service::signing::Signer::new(&[secret]).unwrap();
    let app = App::new().with_signer(Some(signer.clone()));
    app.health().ready();
    let client = TestClient::new(app.main_endpoint(true, true));
    let body = r#"{"text":"hello"}"#;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let timestamp = now.to_string();
    let signature = signer.sign("1", i64::try_from(now).unwrap(), body.as_bytes());
    let call = |body: &'static str, signature: Option<&str>| {
        let mut call =
            client.post("/process").header("webhook-id", "1").header("webhook-timestamp", &timestamp);
        if let Some(signature) = signature {
            call = call.header("webhook-signature", signature);
        }
        call.body(body).send()
    };
    call(body, Some(&signature)).await.assert_status_is_ok();
    for refused in [call(body, None).await, call(r#"{"text":"hello!"}"#, Some(&signature)).await] {
        refused.assert_status(StatusCode::UNAUTHORIZED);
        assert_eq!(json(refused).await["code"], "signature_refused");
    }
}
