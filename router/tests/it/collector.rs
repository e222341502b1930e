//! A collector of traces, for tests: OTLP over HTTP and over gRPC, read by the standard's own code.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use sandbox::stack::Stack;
use tokio::net::TcpListener;

use crate::harness::PATIENCE;

/// A span that came in, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) service: String,
    pub(crate) span: Span,
}

impl Seen {
    pub(crate) fn name(&self) -> &str {
        &self.span.name
    }

    /// Text, or a number as text; empty when there is none.
    pub(crate) fn attribute(&self, name: &str) -> String {
        value(&self.span.attributes, name)
    }

    pub(crate) fn is_error(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code() == StatusCode::Error)
    }

    pub(crate) fn is_child_of(&self, other: &Seen) -> bool {
        self.span.trace_id == other.span.trace_id && self.span.parent_span_id == other.span.span_id
    }

    pub(crate) fn links_to(&self, other: &Seen) -> bool {
        let mut links = self.span.links.iter();
        links.any(|link| link.trace_id == other.span.trace_id && link.span_id == other.span.span_id)
    }
}

fn value(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Ends when it is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Everything that came in, for a search.
    requests: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, seen: Arc::default(), requests: Arc::default() };
        let taking = collector.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let taking = taking.clone();
                tokio::spawn(async move {
                    // A client that goes away is no failure of the test.
                    let _ = taking.serve(stream).await;
                });
            }
        });
        collector
    }

    /// HTTP/1.1 carries OTLP over HTTP, HTTP/2 carries gRPC.
    async fn serve(
        self,
        stream: tokio::net::TcpStream,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let mut preface = [0; 3];
        while stream.peek(&mut preface).await? < 3 {
            tokio::task::yield_now().await;
        }
        if &preface == b"PRI" {
            let grpc = TowerToHyperService::new(TraceServiceServer::new(self));
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), grpc)
                .await?;
        } else {
            let post = service_fn(move |request| self.clone().post(request));
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), post).await?;
        }
        Ok(())
    }

    async fn post(self, request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, hyper::Error> {
        assert_eq!(request.uri().path(), "/v1/traces");
        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
        let body = request.into_body().collect().await?.to_bytes();
        self.take(ExportTraceServiceRequest::decode(body).unwrap());
        let answer = ExportTraceServiceResponse { partial_success: None }.encode_to_vec();
        Ok(Response::new(Full::from(answer)))
    }

    fn take(&self, request: ExportTraceServiceRequest) {
        let mut seen = self.seen.lock().unwrap();
        for of_resource in &request.resource_spans {
            let service = value(&of_resource.resource.as_ref().unwrap().attributes, "service.name");
            let spans = of_resource.scope_spans.iter().flat_map(|of_scope| &of_scope.spans);
            seen.extend(spans.map(|span| Seen { service: service.clone(), span: span.clone() }));
        }
        self.requests.lock().unwrap().push(request);
    }

    /// Variables of whoever sends here.
    pub(crate) fn env(&self, protocol: &str) -> [(&'static str, String); 3] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
        ]
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// All that ever came in, as text.
    pub(crate) fn as_text(&self) -> String {
        format!("{:?}", self.requests.lock().unwrap())
    }

    /// Searches it as every stack searches what comes to its own collector.
    pub(crate) fn search(&self, stack: &Stack) {
        assert_eq!(stack.leaks_in("a span", &self.as_text()), Vec::<String>::new());
    }

    /// Waits until what came in is enough.
    pub(crate) async fn wait_for(&self, what: &str, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let waiting = async {
            loop {
                let all = self.all();
                if enough(&all) {
                    return all;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| {
            panic!("{what} did not come; there are only:\n{}", tree(&self.all()));
        })
    }

    /// Waits for spans of these names in one trace, and gives that trace.
    pub(crate) async fn trace_with(&self, names: &[(&str, usize)]) -> Vec<Seen> {
        let complete = |spans: &[Seen]| {
            names
                .iter()
                .all(|(name, count)| spans.iter().filter(|span| span.name() == *name).count() >= *count)
        };
        let all = self
            .wait_for(&format!("a trace with {names:?}"), |all| {
                by_trace(all).values().any(|spans| complete(spans))
            })
            .await;
        by_trace(&all).into_values().find(|spans| complete(spans)).unwrap()
    }
}

pub(crate) fn by_trace(all: &[Seen]) -> HashMap<Vec<u8>, Vec<Seen>> {
    let mut traces: HashMap<Vec<u8>, Vec<Seen>> = HashMap::new();
    for seen in all {
        traces.entry(seen.span.trace_id.clone()).or_default().push(seen.clone());
    }
    traces
}

/// The only one of this name.
pub(crate) fn the<'s>(spans: &'s [Seen], service: &str, name: &str) -> &'s Seen {
    let mut found = spans.iter().filter(|seen| seen.service == service && seen.name() == name);
    match (found.next(), found.next()) {
        (Some(one), None) => one,
        other => panic!("not one {name} of {service} but {other:?} in\n{}", tree(spans)),
    }
}

/// For messages.
pub(crate) fn tree(spans: &[Seen]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut lines: Vec<String> = spans
        .iter()
        .map(|seen| {
            let Span { trace_id, span_id, parent_span_id, .. } = &seen.span;
            let ids = format!("{} {:16} {:16}", hex(&trace_id[..4]), hex(parent_span_id), hex(span_id));
            format!("{ids} {} {}", seen.service, seen.name())
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.take(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse { partial_success: None }))
    }
}
