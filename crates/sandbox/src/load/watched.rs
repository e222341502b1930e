//! A load run as where everything is watched: traces go to a collector, and metrics are scraped. What both cost shows
//! beside a run without them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::{net::TcpListener, task::AbortHandle};

use crate::stack::StackBuilder;

/// Prometheus asks every 15 to 60 s as a rule; more often here, so that a short run has some.
const SCRAPE_EVERY: Duration = Duration::from_secs(2);

/// A collector that throws away what it gets, and counts it.
#[derive(Debug)]
pub(super) struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
    tasks: Vec<AbortHandle>,
}

#[derive(Debug, Default)]
struct Received {
    exports: AtomicU64,
    bytes: AtomicU64,
    scrapes: AtomicU64,
}

/// What came in during a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Watched {
    /// Of the messages, as `OTEL_TRACES_SAMPLER_ARG`.
    pub share: f64,
    pub exports: u64,
    pub export_bytes: u64,
    /// Answers of `/metrics`, of both services.
    pub scrapes: u64,
}

impl Collector {
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let received = Arc::<Received>::default();
        let task = tokio::spawn(accept(listener, Arc::clone(&received))).abort_handle();
        Ok(Self { address, received, tasks: vec![task] })
    }

    /// Both services send the traces of this share of the messages here.
    pub(super) fn told_to(&self, mut builder: StackBuilder, share: f64) -> StackBuilder {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
            ("OTEL_TRACES_SAMPLER_ARG", share.to_string()),
        ] {
            builder = builder.router_env(name, value.clone()).server_env(name, value);
        }
        builder
    }

    /// Asks for metrics from now on.
    pub(super) fn scrape(&mut self, services: Vec<String>) {
        let received = Arc::clone(&self.received);
        let task = tokio::spawn(async move {
            let client = reqwest::Client::new();
            loop {
                for service in &services {
                    let answer = client.get(format!("{service}/metrics")).send().await;
                    if let Ok(answer) = answer.and_then(reqwest::Response::error_for_status)
                        && answer.bytes().await.is_ok()
                    {
                        received.scrapes.fetch_add(1, Ordering::Relaxed);
                    }
                }
                tokio::time::sleep(SCRAPE_EVERY).await;
            }
        });
        self.tasks.push(task.abort_handle());
    }

    pub(super) fn watched(&self, share: f64) -> Watched {
        Watched {
            share,
            exports: self.received.exports.load(Ordering::Relaxed),
            export_bytes: self.received.bytes.load(Ordering::Relaxed),
            scrapes: self.received.scrapes.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn accept(listener: TcpListener, received: Arc<Received>) {
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| swallow(request, Arc::clone(&received)));
            // An error is an exporter that went away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn swallow(
    request: Request<Incoming>,
    received: Arc<Received>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Ok(body) = request.into_body().collect().await {
        received.exports.fetch_add(1, Ordering::Relaxed);
        received.bytes.fetch_add(body.to_bytes().len() as u64, Ordering::Relaxed);
    }
    Ok(Response::new(Full::default()))
}
