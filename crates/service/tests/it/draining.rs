//! The end of a service over real sockets. Every step waits for the one before; none fails for being slow.

use std::time::Duration;

use service::health::Readiness;
use tokio::net::TcpStream;

use crate::harness::{ask, start};

#[tokio::test]
async fn a_request_in_flight_is_finished_and_new_connections_are_refused() {
    let service = start(&[]);
    let in_flight = tokio::spawn(ask(service.main, "/slow"));
    service.gate.entered.notified().await;

    service.shutdown.begin();
    // The port is free again as soon as nothing is accepted any more.
    while TcpStream::connect(service.main).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.health.readiness(), Readiness::Draining);
    assert!(!service.task.is_finished());

    service.gate.let_go.notify_one();
    let answer = in_flight.await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("finished"), "{answer}");
    service.task.await.unwrap().unwrap();
    service.shutdown.stopped().await;
}

#[tokio::test]
async fn during_the_drain_delay_requests_are_still_answered_but_readiness_is_gone() {
    let service = start(&[("ADMIN_LISTEN", "127.0.0.1:0"), ("SHUTDOWN_DRAIN_DELAY", "1h")]);
    let admin = service.admin.unwrap();
    assert!(ask(admin, "/readyz").await.unwrap().starts_with("HTTP/1.1 200"));

    service.shutdown.begin();
    while service.health.readiness() != Readiness::Draining {
        tokio::task::yield_now().await;
    }
    assert!(ask(admin, "/readyz").await.unwrap().starts_with("HTTP/1.1 503"));
    assert!(ask(admin, "/livez").await.unwrap().starts_with("HTTP/1.1 200"));
    service.gate.let_go.notify_one();
    assert!(ask(service.main, "/slow").await.unwrap().starts_with("HTTP/1.1 200"));
    service.task.abort();
}

#[tokio::test]
async fn over_the_bound_a_connection_waits_for_a_place_and_is_not_lost() {
    let service = start(&[("HTTP_MAX_CONNECTIONS", "1")]);
    let first = tokio::spawn(ask(service.main, "/slow"));
    service.gate.entered.notified().await;

    let second = tokio::spawn(ask(service.main, "/slow"));
    let entered = tokio::time::timeout(Duration::from_millis(200), service.gate.entered.notified()).await;
    assert!(entered.is_err(), "the second request must not be served beside the first");

    // Closing the first connection makes room; the second request is served then.
    service.gate.let_go.notify_one();
    first.await.unwrap().unwrap();
    service.gate.entered.notified().await;
    service.gate.let_go.notify_one();
    assert!(second.await.unwrap().unwrap().starts_with("HTTP/1.1 200"));
    service.task.abort();
}
