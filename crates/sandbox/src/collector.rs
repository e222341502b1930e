//! Stands in for an OpenTelemetry collector: takes traces by OTLP over HTTP, counts them, and keeps them when it is asked
//! to, for a search.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::oneshot};

/// Has a thread of its own, so that it takes what comes in even while a test's only thread waits. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    received: Arc<Received>,
    _end: oneshot::Sender<Infallible>,
}

#[derive(Debug, Default)]
struct Received {
    exports: AtomicU64,
    bytes: AtomicU64,
    kept: Option<Mutex<Vec<u8>>>,
}

impl Collector {
    /// One that throws away what it gets.
    pub(crate) fn counting() -> io::Result<Self> {
        Self::start(Received::default())
    }

    /// One that keeps what it gets.
    pub(crate) fn keeping() -> io::Result<Self> {
        Self::start(Received { kept: Some(Mutex::default()), ..Received::default() })
    }

    fn start(received: Received) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let received = Arc::new(received);
        let (end, ended) = oneshot::channel::<Infallible>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let taking = Arc::clone(&received);
        std::thread::Builder::new().name("collector".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, taking) => {}
                    // Nothing is ever sent: this is the other end being dropped.
                    _ = ended => {}
                }
            });
        })?;
        Ok(Self { address, received, _end: end })
    }

    /// Variables of whoever sends its traces here.
    pub(crate) fn env(&self) -> [(&'static str, String); 2] {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", self.address)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf".to_owned()),
        ]
    }

    pub(crate) fn exports(&self) -> u64 {
        self.received.exports.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.received.bytes.load(Ordering::Relaxed)
    }

    /// What came in, one export after the other. Strings stand in it as they are: such is protobuf.
    pub(crate) fn kept(&self) -> Vec<u8> {
        let kept = self.received.kept.as_ref();
        kept.map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }
}

async fn accept(listener: std::net::TcpListener, received: Arc<Received>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| take(request, Arc::clone(&received)));
            // An error is an exporter that went away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn take(
    request: Request<Incoming>,
    received: Arc<Received>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Ok(body) = request.into_body().collect().await {
        let body = body.to_bytes();
        received.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        if let Some(kept) = &received.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&body);
        }
        received.exports.fetch_add(1, Ordering::Relaxed);
    }
    Ok(Response::new(Full::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_comes_in_while_the_only_thread_of_a_test_waits() {
        let (keeping, counting) = (Collector::keeping().unwrap(), Collector::counting().unwrap());
        for collector in [&keeping, &counting] {
            use std::io::{Read as _, Write as _};
            let mut stream = std::net::TcpStream::connect(collector.address).unwrap();
            let head =
                "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nspans";
            stream.write_all(head.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert_eq!((collector.exports(), collector.bytes()), (1, 5));
        }
        assert_eq!((keeping.kept().as_slice(), counting.kept().as_slice()), (&b"spans"[..], &b""[..]));
    }
}
