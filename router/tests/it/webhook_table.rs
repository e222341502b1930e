//! Every row of what `POST` and `GET /webhook` answer, over real sockets, with and without `Content-Length`.

use sandbox::{simulator::Signing, stack::Stack};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{envelope, get, query, start, text_message, value, webhook};

/// Writes the request by hand, so that nothing between the test and the router helps.
pub(crate) async fn post(
    stack: &Stack,
    body: &[u8],
    signature: Option<&str>,
    chunked: bool,
) -> (u16, String) {
    let address = stack.router_url().strip_prefix("http://").unwrap().to_owned();
    let signature = signature.map(|value| format!("X-Hub-Signature-256: {value}\r\n")).unwrap_or_default();
    let framing = if chunked {
        "Transfer-Encoding: chunked\r\n".to_owned()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let head = format!(
        "POST /webhook HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nConnection: close\r\n{signature}{framing}\r\n"
    );
    let mut socket = TcpStream::connect(&address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    if chunked {
        for chunk in body.chunks(64 * 1024) {
            socket.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
            socket.write_all(chunk).await.unwrap();
            socket.write_all(b"\r\n").await.unwrap();
        }
        socket.write_all(b"0\r\n\r\n").await.unwrap();
    } else {
        socket.write_all(body).await.unwrap();
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

fn json_of(body: &str) -> Value {
    let start = body.find('{').unwrap_or_else(|| panic!("no JSON in {body:?}"));
    let end = body.rfind('}').unwrap();
    serde_json::from_str(&body[start..=end]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_of_the_table() {
    let stack = start().await;
    let good = webhook(&[("15550100001", "wamid.table", "hi")]);
    let mut foreign = value(json!({"messages": [text_message("1", "wamid.foreign", "hi")]}));
    foreign["metadata"]["phone_number_id"] = json!("999");
    let change = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "time": 1, "changes": [
        {"field": "account_update", "value": {"event": "VERIFIED_ACCOUNT"}}]}]});
    let status = value(json!({"statuses": [{"id": "wamid.other", "status": "delivered", "timestamp": "1"}]}));
    let rows = [
        (good.clone(), 200, "ok"),
        (good, 200, "ok"),
        (envelope(&[status]), 200, "ok"),
        (change.to_string(), 200, "ok"),
        ("{}".to_owned(), 200, "ignored"),
        ("[]".to_owned(), 200, "ignored"),
        (r#"{"object":"whatsapp_business_account","entry":[]}"#.to_owned(), 200, "ignored"),
        (
            r#"{"object":"instagram","entry":[{"changes":[{"field":"messages","value":{}}]}]}"#.to_owned(),
            200,
            "ignored",
        ),
        (envelope(&[foreign]), 200, "ignored"),
        ("hello".to_owned(), 400, "invalid_json"),
        (String::new(), 400, "invalid_json"),
        ("{\"object\":".to_owned(), 400, "invalid_json"),
    ];
    for (body, status, word) in rows {
        for chunked in [false, true] {
            let signature = stack.simulator().sign(body.as_bytes());
            let (answered, text) = post(&stack, body.as_bytes(), Some(&signature), chunked).await;
            let json = json_of(&text);
            let said = if status == 200 { &json["status"] } else { &json["code"] };
            assert_eq!((answered, said), (status, &json!(word)), "{body} chunked: {chunked}");
        }
    }
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM message WHERE direction = 'in'"), 1, "stored once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_3_mib_is_refused_and_one_of_3_mib_is_read() {
    let stack = start().await;
    let limit = 3 * 1024 * 1024;
    for chunked in [false, true] {
        for (length, status) in [(limit, 200), (limit + 1, 413), (limit * 2, 413)] {
            let mut body = b"{}".to_vec();
            body.resize(length, b' ');
            let signature = stack.simulator().sign(&body);
            let (answered, text) = post(&stack, &body, Some(&signature), chunked).await;
            assert_eq!(answered, status, "{length} chunked: {chunked}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_without_a_right_signature() {
    let stack = start().await;
    let body = webhook(&[("15550100001", "wamid.unsigned", "hi")]);
    let right = stack.simulator().sign(body.as_bytes());
    for (signing, code) in [
        (Signing::Unsigned, "signature_missing"),
        (Signing::WrongSecret, "signature_mismatch"),
        (Signing::Verbatim(right.replace("sha256", "sha1")), "signature_malformed"),
        (Signing::Verbatim(right[..40].to_owned()), "signature_malformed"),
        (Signing::Verbatim(String::new()), "signature_malformed"),
    ] {
        let answer = stack.simulator().inject(body.clone(), signing.clone()).await.unwrap();
        assert_eq!((answer.status, &json_of(&answer.body)["code"]), (403, &json!(code)), "{signing:?}");
    }
    // One byte more than was signed.
    let (status, _) = post(&stack, format!("{body} ").as_bytes(), Some(&right), false).await;
    assert_eq!(status, 403);
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM seen"), 0);
    assert_eq!(query::<i64>(&stack, "SELECT count(*) FROM webhook"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths_are_problems() {
    let stack = start().await;
    let client = reqwest::Client::new();
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::PATCH] {
        let response =
            client.request(method.clone(), format!("{}/webhook", stack.router_url())).send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let request_id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        let problem = json_of(&response.text().await.unwrap());
        assert_eq!(
            (&problem["code"], &problem["request_id"]),
            (&json!("method_not_allowed"), &json!(request_id))
        );
    }
    let (status, text) = get(&stack, "/nowhere").await;
    assert_eq!((status, &json_of(&text)["code"]), (404, &json!("not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_handshake_answers_the_challenge_and_nothing_else() {
    let stack = start().await;
    let handshake = stack.simulator().handshake().await;
    assert!(handshake.ok, "{}", handshake.detail);
    for (query, status) in [
        ("?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=wrong", 403),
        ("?hub.mode=unsubscribe&hub.challenge=1158201444&hub.verify_token=wrong", 403),
        ("?hub.mode=subscribe&hub.challenge=1158201444", 400),
        ("?hub.mode=subscribe&hub.verify_token=x", 400),
        ("?hub.challenge=1&hub.verify_token=x", 400),
        ("", 400),
    ] {
        let (answered, text) = get(&stack, &format!("/webhook{query}")).await;
        assert_eq!(answered, status, "{query}: {text}");
        assert!(!text.contains("1158201444"), "the challenge is not given away: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_items_are_taken_and_sink_no_neighbour() {
    let stack = start().await;
    let messages = json!([
        {"id": "wamid.nobody", "timestamp": "1", "type": "text", "text": {"body": "who am I"}},
        {"from": "15550100001", "type": "text", "text": {"body": "no id"}},
        {"from": "15550100001", "id": "wamid.odd", "timestamp": "x", "type": "hologram", "hologram": {"a": 1}},
        "not an object",
        text_message("15550100001", "wamid.fine", "fine"),
    ]);
    let statuses = json!([
        {"id": "wamid.s", "status": "sent", "timestamp": "1"},
        {"id": "wamid.s", "status": "warning", "recipient_id": "1"},
        {"status": "sent"},
    ]);
    let errors = json!([{"code": 131051, "title": "Unsupported"}, 7]);
    let body = envelope(&[
        value(json!({"messages": messages, "contacts": []})),
        value(json!({"statuses": statuses})),
        value(json!({"errors": errors})),
        json!({"metadata": null}),
        json!(null),
    ]);
    let answer = stack.webhook(body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let replies = crate::harness::replies(&stack, 1).await;
    assert_eq!(replies.len(), 1);
    assert_eq!(crate::harness::echoed(&replies[0].text), "fine");
}
