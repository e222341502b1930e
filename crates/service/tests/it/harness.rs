//! A service over real sockets, with a few calls to be slow at.

use std::{net::SocketAddr, sync::Arc};

use poem::{Body, EndpointExt, Route, get, handler, post, web::Data};
use poem_openapi::OpenApiService;
use service::{
    health::Health,
    http::{Edge, HttpSettings, Problem, body::read_limited},
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
pub(crate) struct Gate {
    pub(crate) entered: Arc<Notify>,
    pub(crate) let_go: Arc<Notify>,
}

#[handler]
async fn slow(gate: Data<&Gate>) -> &'static str {
    gate.entered.notify_one();
    gate.let_go.notified().await;
    "finished"
}

#[handler]
async fn measure(request: &poem::Request, body: Body) -> Result<String, Problem> {
    Ok(read_limited(request.headers(), body, 1 << 20).await?.len().to_string())
}

/// More than the buffers of two sockets hold.
#[handler]
fn large() -> Vec<u8> {
    vec![b'x'; 64 << 20]
}

pub(crate) struct Service {
    pub(crate) metrics: Metrics,
    pub(crate) main: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) gate: Gate,
    pub(crate) health: Health,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: JoinHandle<std::io::Result<()>>,
}

pub(crate) fn start(pairs: &[(&str, &str)]) -> Service {
    let mut env = Env::from_pairs(pairs.iter().copied());
    let settings = HttpSettings::read(&mut env, "LISTEN", "127.0.0.1:0").unwrap();
    let listeners = Running::bind(&settings).unwrap();
    let (main, admin) = (listeners.main_address(), listeners.admin_address());
    let (gate, health, shutdown) = (Gate::default(), Health::new(), Shutdown::new());
    let metrics = Metrics::new("test", "1", "r");
    let ops = OpsApi::new("tester", "1", health.clone(), metrics.clone());
    let edge = Edge::new(&metrics).with_limits(&settings.limits);
    let routes = Route::new()
        .at("/slow", get(slow))
        .at("/length", post(measure))
        .at("/large", get(large))
        .data(gate.clone())
        .with(edge);
    let operations = OpenApiService::new(ops, "test", "1").with(Edge::new(&metrics));
    health.ready();
    let task = tokio::spawn({
        let (health, shutdown, metrics) = (health.clone(), shutdown.clone(), metrics.clone());
        async move { run(listeners, routes, operations, &health, &metrics, &shutdown, &settings).await }
    });
    Service { metrics, main, admin, gate, health, shutdown, task }
}

pub(crate) async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await?;
    answer.truncate(length);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
