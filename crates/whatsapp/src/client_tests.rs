//! The client against a socket that answers what it is told to, or nothing.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

fn number() -> Number {
    Number::new("106540352242922", "v25.0", &SecretString::from("t0ken"))
}

fn client(address: std::net::SocketAddr) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(format!("http://{address}").parse().unwrap(), Duration::from_millis(500)).unwrap()
}

/// What Graph would say to a send; `None` breaks the connection off. Gives the request back, too.
async fn send(answer: Option<&str>) -> (Result<Sent, SendError>, String) {
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
    tokio::join!(client.send_message(&number, Bytes::from_static(b"{}"), None), server)
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
        ("502 Bad Gateway", "", "<html>".to_owned(), ErrorClass::Ambiguous, None),
        ("429 Too Many Requests", "", "slow down".to_owned(), ErrorClass::WaitNumber, None),
        ("200 OK", "", "{}".to_owned(), ErrorClass::Ambiguous, None),
        ("200 OK", "", r#"{"messages":[]}"#.to_owned(), ErrorClass::Ambiguous, None),
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
