//! The client against a socket that answers what it is told to, or nothing.

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::error::ErrorClass;

fn number() -> Number {
    Number::new("106540352242922", "v25.0", &SecretString::from("t0ken")).unwrap()
}

fn client(address: std::net::SocketAddr) -> Client {
    client_of(&format!("http://{address}"))
}

fn client_of(base: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(base.parse().unwrap(), Duration::from_millis(500)).unwrap()
}

/// What Graph would say to a send; `None` breaks the connection off. Gives the request back, too.
async fn send(answer: Option<&str>) -> (Result<Sent, SendError>, String) {
    send_traced(answer, None).await
}

async fn send_traced(answer: Option<&str>, traceparent: Option<&str>) -> (Result<Sent, SendError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap());
    let server = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = socket.read(&mut request).await.unwrap();
        if let Some(answer) = answer {
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        String::from_utf8_lossy(&request[..length]).into_owned()
    };
    let number = number();
    let server = tokio::time::timeout(Duration::from_secs(5), server);
    let (sent, request) =
        tokio::join!(client.send_message(&number, Bytes::from_static(b"{}"), traceparent), server);
    (sent, request.expect("a request comes"))
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_message_that_is_taken_has_a_wamid() {
    let body = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+1","wa_id":"1"}],"messages":[{"id":"wamid.X"}]}"#;
    let (sent, request) = send(Some(&answer("200 OK", "facebook-api-version: v25.0\r\n", body))).await;
    let sent = sent.unwrap();
    assert_eq!((sent.wamid.as_str(), sent.api_version.as_deref()), ("wamid.X", Some("v25.0")));
    assert!(request.starts_with("POST /v25.0/106540352242922/messages HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer t0ken\r\n"), "{request}");
}

#[tokio::test]
async fn every_other_answer_has_its_class() {
    let graph = |code: i64| format!(r#"{{"error":{{"message":"m","code":{code}}}}}"#);
    for (status, headers, body, class, wait) in [
        ("401 Unauthorized", "", graph(190), ErrorClass::StopChannel, None),
        ("400 Bad Request", "retry-after: 7\r\n", graph(130_429), ErrorClass::WaitNumber, Some(7)),
        (
            "400 Bad Request",
            "x-business-use-case-usage: {\"1\":[{\"type\":\"m\",\"estimated_time_to_regain_access\":2}]}\r\n",
            graph(80_007),
            ErrorClass::WaitApp,
            Some(120),
        ),
        ("400 Bad Request", "", graph(131_056), ErrorClass::WaitPair, None),
        ("400 Bad Request", "", graph(100), ErrorClass::Final, None),
        ("500 Internal Server Error", "", graph(131_000), ErrorClass::Ambiguous, None),
        ("400 Bad Request", "", graph(134_101), ErrorClass::Replay, Some(600)),
        ("400 Bad Request", "retry-after: 900\r\n", graph(134_101), ErrorClass::Replay, Some(900)),
        (
            "401 Unauthorized",
            "",
            r#"{"error":{"code":190,"message":"\ud83d"}}"#.to_owned(),
            ErrorClass::StopChannel,
            None,
        ),
        (
            "401 Unauthorized",
            "",
            r#"{"error":{"type":"OAuthException"}}"#.to_owned(),
            ErrorClass::StopChannel,
            None,
        ),
        ("200 OK", "", "{}".to_owned(), ErrorClass::Ambiguous, None),
        ("200 OK", "", r#"{"messages":[]}"#.to_owned(), ErrorClass::Ambiguous, None),
        ("200 OK", "", r#"{"messages":[{"id":""}]}"#.to_owned(), ErrorClass::Ambiguous, None),
        ("200 OK", "", r#"{"messages":{"id":"w"}}"#.to_owned(), ErrorClass::Ambiguous, None),
        ("200 OK", "", r#"{"error":{}}"#.to_owned(), ErrorClass::Ambiguous, None),
        ("200 OK", "", "<html>".to_owned(), ErrorClass::Ambiguous, None),
        ("200 OK", "", "[".repeat(200_000), ErrorClass::Ambiguous, None),
        ("200 OK", "", " ".repeat(LARGEST_ANSWER + 1), ErrorClass::Ambiguous, None),
    ] {
        let (result, _) = send(Some(&answer(status, headers, &body))).await;
        let error = result.unwrap_err();
        assert_eq!(error.class(), class, "{status} {body}: {error}");
        assert_eq!(error.retry_after().map(|wait| wait.as_secs()), wait, "{status} {body}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_or_stays_silent_is_ambiguous() {
    let (result, _) = send(None).await;
    assert_eq!(result.unwrap_err().class(), ErrorClass::Ambiguous);

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = client(listener.local_addr().unwrap());
    let result = silent.send_message(&number(), Bytes::from_static(b"{}"), None).await;
    assert_eq!(result.unwrap_err().class(), ErrorClass::Ambiguous);
}

#[tokio::test]
async fn a_refused_connection_is_known_not_to_have_sent() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = client(free).send_message(&number(), Bytes::from_static(b"{}"), None).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)));
    assert_eq!(error.class(), ErrorClass::Replay);
    assert!(!format!("{error} {error:?} {:?}", number()).contains("t0ken"));
}

#[tokio::test]
async fn an_answer_that_is_not_graphs_is_judged_by_its_status() {
    let large = "x".repeat(LARGEST_ANSWER + 1);
    for (status, headers, body, class, wait) in [
        ("301 Moved Permanently", "location: /x\r\n", "", ErrorClass::StopChannel, None),
        ("302 Found", "location: /x\r\n", "", ErrorClass::StopChannel, None),
        ("401 Unauthorized", "", "<html>", ErrorClass::StopChannel, None),
        ("403 Forbidden", "", "", ErrorClass::StopChannel, None),
        ("403 Forbidden", "", large.as_str(), ErrorClass::StopChannel, None),
        ("404 Not Found", "", r#"{"error":"not found"}"#, ErrorClass::StopChannel, None),
        ("405 Method Not Allowed", "", "", ErrorClass::StopChannel, None),
        (
            "407 Proxy Authentication Required",
            "retry-after: 5\r\n",
            "<html>",
            ErrorClass::StopChannel,
            Some(5),
        ),
        ("408 Request Timeout", "", "", ErrorClass::Ambiguous, None),
        ("413 Content Too Large", "", "x", ErrorClass::Final, None),
        ("429 Too Many Requests", "retry-after: 3\r\n", "slow down", ErrorClass::WaitNumber, Some(3)),
        ("502 Bad Gateway", "", "<html>", ErrorClass::Ambiguous, None),
    ] {
        let (result, _) = send(Some(&answer(status, headers, body))).await;
        let error = result.unwrap_err();
        assert!(matches!(error, SendError::Foreign { .. }), "{status}: {error:?}");
        assert_eq!((error.class(), error.reason()), (class, "foreign_answer"), "{status}");
        assert_eq!(error.retry_after().map(|wait| wait.as_secs()), wait, "{status}");
        assert_eq!(error.http_status(), status[..3].parse().ok());
    }
}

#[tokio::test]
async fn a_wait_is_read_leniently_and_has_an_end() {
    let usage = |list: &str| format!("x-business-use-case-usage: {list}\r\n");
    let regain = |time: &str| usage(&format!(r#"{{"1":[{{"estimated_time_to_regain_access":{time}}}]}}"#));
    let hour = 3_600;
    for (code, headers, wait) in [
        (4, "retry-after: 18446744073709551615\r\n".to_owned(), Some(hour)),
        (4, "retry-after: 99999999999999999999999999\r\n".to_owned(), Some(hour)),
        (4, "retry-after: 1e999\r\n".to_owned(), Some(hour)),
        (4, "retry-after:  7 \r\n".to_owned(), Some(7)),
        // Without a pause the same answer would come back at once.
        (4, "retry-after: 0\r\n".to_owned(), None),
        (4, "retry-after: -1\r\n".to_owned(), None),
        (4, "retry-after: NaN\r\n".to_owned(), None),
        (4, "retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n".to_owned(), None),
        (4, format!("retry-after: soon\r\n{}", regain("2")), Some(120)),
        (4, regain("18446744073709551615"), Some(hour)),
        (4, regain("1e999"), None),
        (4, regain("\"3\""), Some(180)),
        (4, regain("-3"), None),
        (4, regain("0"), None),
        (
            4,
            usage(
                r#"{"a":7,"1":[null,{"estimated_time_to_regain_access":null},{"estimated_time_to_regain_access":5}]}"#,
            ),
            Some(300),
        ),
        (4, usage("[]"), None),
        (4, usage("{"), None),
        // The calls of the account are limited, but that is not why this message was refused.
        (130_429, regain("60"), None),
        (190, regain("60"), None),
    ] {
        let (result, _) =
            send(Some(&answer("400 Bad Request", &headers, &format!(r#"{{"error":{{"code":{code}}}}}"#))))
                .await;
        let wait_told = result.unwrap_err().retry_after();
        assert_eq!(wait_told, wait.map(Duration::from_secs), "{code} {headers}");
    }
}

#[tokio::test]
async fn a_message_that_was_taken_stays_taken_whatever_is_odd_beside_its_id() {
    for body in [
        r#"{"messages":[{"id":"wamid.X","message_status":{}}]}"#,
        r#"{"messages":[{"id":"wamid.X","id":"wamid.X","message_status":"\ud83d"}]}"#,
        r#"{"messages":[null,{"id":"wamid.X"}],"contacts":7,"error":{"code":1}}"#,
        r#"{"\ud83d":1e999,"messages":[{"id":"wamid.X"}]}"#,
    ] {
        let (sent, _) = send(Some(&answer("200 OK", "", body))).await;
        assert_eq!(sent.unwrap().wamid, "wamid.X", "{body}");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_come_about_has_sent_nothing() {
    // Takes the connection, and never answers the TLS handshake.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = client_of(&format!("https://{}", listener.local_addr().unwrap()));
    // Can't even be made a request of.
    let no_address = client_of("ftp://127.0.0.1");
    for client in [silent, no_address] {
        let error = client.send_message(&number(), Bytes::from_static(b"{}"), None).await.unwrap_err();
        assert!(matches!(error, SendError::NotSent(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_traceparent_that_is_no_header_is_left_out() {
    let body = r#"{"messages":[{"id":"wamid.X"}]}"#;
    for (traceparent, sent) in
        [("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true), ("a\nb: c", false)]
    {
        let (result, request) = send_traced(Some(&answer("200 OK", "", body)), Some(traceparent)).await;
        assert_eq!(result.unwrap().wamid, "wamid.X");
        assert_eq!(request.contains("traceparent"), sent, "{request}");
    }
}

#[test]
fn a_number_that_cannot_send_is_refused_at_once() {
    let new = |id, version, token| Number::new(id, version, &SecretString::from(token)).map(|_| ());
    assert_eq!(new("1", "v25.0", "EAAJ.x-y_z"), Ok(()));
    for id in ["", "+15550100001", "1/../2", "//example.org/1"] {
        assert_eq!(new(id, "v25.0", "t"), Err(InvalidNumber::PhoneNumberId), "{id}");
    }
    for version in ["", "25.0", "v25", "v25.", "v.0", "v25.0/x", "http://example.org/v25.0"] {
        assert_eq!(new("1", version, "t"), Err(InvalidNumber::ApiVersion), "{version}");
    }
    for token in ["", "t\nok", "two words", "tökén"] {
        assert_eq!(new("1", "v25.0", token), Err(InvalidNumber::AccessToken), "{token}");
    }
}

#[tokio::test]
async fn after_its_time_nothing_is_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
        bytes
    });
    let past = std::time::Instant::now();
    let body = Bytes::from_static(br#"{"text":"late"}"#);
    let error = client(address).send_message_until(&number(), body, None, Some(past)).await.unwrap_err();
    assert!(matches!(error, SendError::NotSent(_)), "{error:?}");
    let received = received.await.unwrap();
    assert!(!received.windows(4).any(|bytes| bytes == b"late"), "the body must not leave");
}
