//! The listener and the plain HTTP of the simulator. A request can be answered, or its connection broken on purpose.

use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode, body::Incoming, header, server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::{routes, shared::Shared};

pub(crate) type Reply = Response<Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>>;

/// The connection breaks instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Closed in good order, but without an answer.
    Closed,
    /// Reset, as when a machine dies.
    Reset,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// Serves until the simulator stops; connections under way are closed then.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    while let Some(accepted) = shared.until_stopped(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(Arc::clone(&shared), stream));
            }
            Err(error) => {
                // Out of file descriptors, most likely: give others the time to close some.
                tracing::warn!(%error, "could not accept a connection");
                shared.sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream) {
    // Without it, small answers wait for the other side's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        let (shared, reset) = (Arc::clone(&shared), Arc::clone(&reset));
        async move {
            let answer = routes::answer(shared, request).await;
            reset.fetch_or(matches!(answer, Err(Broken::Reset)), Ordering::Relaxed);
            answer
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Errors here are clients that went away, and connections broken on purpose.
    if shared.until_stopped(&mut connection).await.is_some_and(|end| end.is_err())
        && reset.load(Ordering::Relaxed)
    {
        let stream = connection.into_parts().io.into_inner();
        let _ = stream.set_zero_linger();
    }
}

/// Reads a whole body of at most `limit` bytes.
pub(crate) async fn read(body: Incoming, limit: usize) -> Result<Bytes, Box<Reply>> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            let detail = format!("the body is longer than {limit} bytes, send less");
            Err(Box::new(problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &detail)))
        }
        Err(_) => {
            let detail = "the body ended early, send it again";
            Err(Box::new(problem(StatusCode::BAD_REQUEST, "body_incomplete", detail)))
        }
    }
}

/// Reads a JSON body; the refusal says what is wrong with it.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Box<Reply>> {
    serde_json::from_slice(body)
        .map_err(|error| Box::new(problem(StatusCode::BAD_REQUEST, "invalid_body", &error.to_string())))
}

pub(crate) fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body.into())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    reply
}

pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Reply {
    // Only maps with keys that are no strings could fail here.
    bytes(status, "application/json", serde_json::to_vec(body).unwrap_or_default())
}

pub(crate) fn ok<T: Serialize>(body: &T) -> Reply {
    json(StatusCode::OK, body)
}

/// A refusal of the sandbox's own API (RFC 9457); Graph's calls have an envelope of their own.
pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Reply {
    let body = json!({
        "type": "about:blank", "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(), "detail": detail, "code": code,
    });
    bytes(status, "application/problem+json", body.to_string())
}

/// The token of `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The value of a query parameter, decoded.
pub(crate) fn query(uri: &hyper::Uri, name: &str) -> Option<String> {
    let url = reqwest::Url::parse("http://sandbox/").ok()?.join(&format!("?{}", uri.query()?)).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
