//! The end of a service over real sockets. Every step waits for the one before; none fails for being slow.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use poem::{EndpointExt, Route, get, handler, web::Data};
use poem_openapi::OpenApiService;
use service::{
    health::{Health, Readiness},
    http::{Edge, HttpSettings},
    metrics::Metrics,
    ops::{OpsApi, Running, run},
    settings::Env,
    shutdown::Shutdown,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};

/// A request that is in flight until it is let go.
#[derive(Clone, Default)]
struct Gate {
    entered: Arc<Notify>,
    let_go: Arc<Notify>,
}

#[handler]
async fn slow(gate: Data<&Gate>) -> &'static str {
    gate.entered.notify_one();
    gate.let_go.notified().await;
    "finished"
}

struct Service {
    main: SocketAddr,
    admin: Option<SocketAddr>,
    gate: Gate,
    health: Health,
    shutdown: Shutdown,
    task: JoinHandle<std::io::Result<()>>,
}

fn start(pairs: &[(&str, &str)]) -> Service {
    let mut env = Env::from_pairs(pairs.iter().copied());
    let settings = HttpSettings::read(&mut env, "LISTEN", "127.0.0.1:0").unwrap();
    let listeners = Running::bind(&settings).unwrap();
    let (main, admin) = (listeners.main_address(), listeners.admin_address());
    let (gate, health, shutdown) = (Gate::default(), Health::new(), Shutdown::new());
    let metrics = Metrics::new("test", "1");
    let ops = OpsApi::new("tester", "1", health.clone(), metrics.clone());
    let routes = Route::new().at("/slow", get(slow)).data(gate.clone()).with(Edge::new(&metrics));
    let operations = OpenApiService::new(ops, "test", "1").with(Edge::new(&metrics));
    health.ready();
    let task = tokio::spawn({
        let (health, shutdown) = (health.clone(), shutdown.clone());
        async move { run(listeners, routes, operations, &health, &shutdown, &settings).await }
    });
    Service { main, admin, gate, health, shutdown, task }
}

async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await?;
    answer.truncate(length);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

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
