//! Clients that hold what others need: each is cut off, and the service goes on.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{Service, start};

/// The answer to one request on an open connection.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

/// Sends a byte of `text` every 20 ms, again and again, until the other side has closed.
async fn drip_until_closed(stream: TcpStream, text: &'static [u8]) -> Vec<u8> {
    let (mut read, mut write) = stream.into_split();
    let dripping = tokio::spawn(async move {
        for byte in text.iter().cycle() {
            if write.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut rest = Vec::new();
    // A reset ends it as well as a proper end does.
    let _ = read.read_to_end(&mut rest).await;
    dripping.abort();
    rest
}

async fn connect(service: &Service) -> TcpStream {
    TcpStream::connect(service.main).await.unwrap()
}

fn counted(service: &Service, line: &str) -> bool {
    service.metrics.encode().contains(&format!("{line}\n"))
}

#[tokio::test]
async fn a_head_that_drips_loses_its_place_and_others_are_served() {
    let service = start(&[("HTTP_MAX_CONNECTIONS", "1"), ("HTTP_HEAD_TIMEOUT", "300ms")]);
    let mut dripping = TcpStream::connect(service.main).await.unwrap();
    dripping.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\nX-").await.unwrap();
    // The only place is taken; this one waits until it is given back.
    let mut other = TcpStream::connect(service.main).await.unwrap();
    other.write_all(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    service.gate.let_go.notify_one();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut rest = Vec::new();
    let _ = dripping.read_to_end(&mut rest).await;
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "the dripping one was not answered");
}

#[tokio::test]
async fn a_later_head_that_drips_is_cut_off_like_the_first() {
    let service = start(&[("HTTP_HEAD_TIMEOUT", "300ms")]);
    let mut stream = connect(&service).await;
    for _ in 0..3 {
        let answer =
            exchange(&mut stream, "POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with('2'), "{answer}");
    }
    // At rest it stays open longer than a head may take.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let answer = exchange(&mut stream, "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    drip_until_closed(stream, b"X-Y: z\r\n").await;
    assert!(counted(&service, "http_server_connections_cut_off_total{reason=\"slow_head\"} 1"));
    service.task.abort();
}

#[tokio::test]
async fn a_body_that_drips_gets_a_408_and_its_connection_is_closed() {
    let service = start(&[("HTTP_BODY_TIMEOUT", "300ms")]);
    let mut stream = connect(&service).await;
    stream.write_all(b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(drip_until_closed(stream, b"x").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    service.task.abort();
}

#[tokio::test]
async fn an_answer_that_is_not_taken_ends_with_its_connection() {
    let service = start(&[("HTTP_IDLE_TIMEOUT", "300ms")]);
    let mut stream = connect(&service).await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    while !counted(&service, "http_server_connections_cut_off_total{reason=\"slow_reader\"} 1") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut taken = Vec::new();
    let _ = stream.read_to_end(&mut taken).await;
    assert!(taken.starts_with(b"HTTP/1.1 200") && taken.len() < 64 << 20, "{} bytes", taken.len());
    service.task.abort();
}

#[tokio::test]
async fn one_address_has_its_share_of_connections_and_no_more() {
    let service = start(&[("HTTP_MAX_CONNECTIONS_PER_ADDRESS", "2")]);
    let nowhere = "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut one, mut two) = (connect(&service).await, connect(&service).await);
    for stream in [&mut one, &mut two] {
        assert!(exchange(stream, nowhere).await.starts_with("HTTP/1.1 404"));
    }
    let mut three = connect(&service).await;
    let mut rest = Vec::new();
    let _ = three.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "closed without a word");
    assert!(counted(&service, "http_server_connections_refused_total 1"));
    // Another address of this machine is another client. Only Linux has more than one without being told.
    if cfg!(target_os = "linux") {
        let mut other = from_address([127, 0, 0, 2], service.main).await;
        assert!(exchange(&mut other, nowhere).await.starts_with("HTTP/1.1 404"));
    }
    // A place that is given back can be taken again.
    drop(one);
    while !counted(&service, "http_server_connections 1") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(exchange(&mut connect(&service).await, nowhere).await.starts_with("HTTP/1.1 404"));
    service.task.abort();
}

async fn from_address(source: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    socket.connect(to).await.unwrap()
}
