//! The Graph API as the router sees it: versions, tokens, messages, and the few other objects that go with them.

pub(crate) mod error;
mod light;
pub(crate) mod media;
mod messages;
mod objects;
pub(crate) mod validate;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use error::GraphError;
use hyper::{
    HeaderMap, Method, Request, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use serde_json::Value;

use super::{
    clock,
    events::Event,
    http::{self, Broken, Reply},
    records::GraphCall,
    shared::Shared,
};

/// Versions that can be called in late 2026. A call of an expired one is served by the oldest; Meta does the same.
const OLDEST: u32 = 21;
const NEWEST: u32 = 26;
/// What a call without a version gets.
const DEFAULT: u32 = 25;
const JSON_BODY: usize = 1024 * 1024;
const API_VERSION: HeaderName = HeaderName::from_static("facebook-api-version");

/// What a call comes to, before it is written to the wire.
#[derive(Debug)]
pub(crate) enum Outcome {
    Answer(Bytes),
    Error(GraphError),
    Broken(Broken),
}

impl Outcome {
    pub(crate) fn json(body: &Value) -> Self {
        Self::Answer(Bytes::from(body.to_string()))
    }
}

/// Calls start with a version, or with an object's numeric id.
pub(crate) fn is_graph(segments: &[&str]) -> bool {
    segments.first().is_some_and(|first| {
        let digits = first.strip_prefix('v').unwrap_or(first);
        digits.starts_with(|c: char| c.is_ascii_digit())
    })
}

pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Reply, Broken> {
    let begin = Instant::now();
    let at = clock::unix_millis();
    let (parts, body) = request.into_parts();
    let limit = if parts.uri.path().ends_with("/media") { media::LARGEST } else { JSON_BODY };
    let body = match http::read(body, limit).await {
        Ok(body) => body,
        Err(refusal) => return Ok(*refusal),
    };
    let latency = shared.faults.graph_latency();
    if !latency.is_zero() {
        shared.sleep(latency).await;
    }
    let path = parts.uri.path();
    let (version, segments) = split(path);
    let outcome = if shared.faults.graph_reset() {
        Outcome::Broken(Broken::Reset)
    } else {
        match version {
            None => Outcome::Error(GraphError::unknown_path(path)),
            Some(_) => call(shared, &parts.method, &parts.uri, &parts.headers, &segments, &body).await,
        }
    };
    let (status, reply) = write(outcome, version.unwrap_or(DEFAULT));
    if shared.records_everything() {
        let response = reply.as_ref().map_or(&Bytes::new(), |(_, body)| body).clone();
        log(shared, at, begin, &parts.method, &parts.uri, &body, status, &response);
    }
    reply.map(|(reply, _)| reply)
}

async fn call(
    shared: &Arc<Shared>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    segments: &[&str],
    body: &Bytes,
) -> Outcome {
    if !shared.credentials.allow(http::bearer(headers)) {
        return Outcome::Error(GraphError::unauthorized());
    }
    if let (&Method::POST, [number, "messages"]) = (method, segments) {
        return match shared.number(number) {
            Some(number) => messages::post(shared, number, body).await,
            None => Outcome::Error(GraphError::unknown_object(number)),
        };
    }
    objects::call(shared, method, uri, headers, segments, body).await
}

/// The version that serves the call (`None`: there is none), and the path after it.
fn split(path: &str) -> (Option<u32>, Vec<&str>) {
    let mut segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    let Some(version) = segments.first().and_then(|first| first.strip_prefix('v')) else {
        return (Some(DEFAULT), segments);
    };
    let major = version.strip_suffix(".0").and_then(|major| major.parse().ok());
    let served = major.filter(|major| (1..=NEWEST).contains(major)).map(|major| major.max(OLDEST));
    segments.remove(0);
    (served, segments)
}

type Written = Result<(Reply, Bytes), Broken>;

fn write(outcome: Outcome, version: u32) -> (Option<u16>, Written) {
    let (status, body, retry_after) = match outcome {
        Outcome::Broken(broken) => return (None, Err(broken)),
        Outcome::Answer(body) => (StatusCode::OK, body, None),
        Outcome::Error(error) => {
            let trace_id = error::trace_id();
            let status = StatusCode::from_u16(error.http_status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Bytes::from(error.body(&trace_id).to_string()), error.retry_after)
        }
    };
    let mut reply = http::bytes(status, "application/json; charset=UTF-8", body.clone());
    let headers = reply.headers_mut();
    headers.insert(API_VERSION, version_header(version));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    (Some(status.as_u16()), Ok((reply, body)))
}

fn version_header(version: u32) -> HeaderValue {
    HeaderValue::from_static(match version {
        21 => "v21.0",
        22 => "v22.0",
        23 => "v23.0",
        24 => "v24.0",
        26 => "v26.0",
        _ => "v25.0",
    })
}

#[expect(
    clippy::too_many_arguments,
    reason = "one record has this many fields, and they come from five places"
)]
fn log(
    shared: &Shared,
    at: u64,
    begin: Instant,
    method: &Method,
    uri: &Uri,
    request: &[u8],
    status: Option<u16>,
    response: &[u8],
) {
    let call = GraphCall {
        id: shared.records.next_id(),
        at,
        method: method.to_string(),
        path: path_without_token(uri),
        request: readable(request),
        status,
        response: readable(response),
        duration_ms: begin.elapsed().as_millis() as u64,
    };
    shared.events.emit(&Event::Graph {
        id: call.id,
        at,
        method: &call.method,
        path: &call.path,
        request: &call.request,
        status,
        response: &call.response,
        duration_ms: call.duration_ms,
    });
    shared.records.log_call(call);
}

/// Some callers put the token into the query, where Meta takes it too; it is never shown.
fn path_without_token(uri: &Uri) -> String {
    match uri.query() {
        Some(query) if !query.contains("access_token") => format!("{}?{query}", uri.path()),
        _ => uri.path().to_owned(),
    }
}

/// JSON as it is; of anything else only its length.
fn readable(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(format!("{} bytes", body.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_served_as_meta_serves_them() {
        for (path, version, rest) in [
            ("/v25.0/1/messages", Some(25), vec!["1", "messages"]),
            ("/v12.0/1", Some(OLDEST), vec!["1"]),
            ("/1/messages", Some(DEFAULT), vec!["1", "messages"]),
            ("/v99.0/1/messages", None, vec!["1", "messages"]),
            ("/v25.5/1", None, vec!["1"]),
            ("/v25/1", None, vec!["1"]),
        ] {
            assert_eq!(split(path), (version, rest), "{path}");
        }
    }

    #[test]
    fn the_sandbox_s_own_paths_are_no_graph_calls() {
        for (path, expected) in
            [("graph", false), ("v25.0", true), ("106540352242922", true), ("", false), ("vx", false)]
        {
            assert_eq!(is_graph(&[path]), expected, "{path}");
        }
    }
}
