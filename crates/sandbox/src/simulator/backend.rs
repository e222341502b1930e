//! A backend that misbehaves on demand, for routers whose `SERVER_BASE_URL` ends in `/backend`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use hyper::{Request, StatusCode, body::Incoming, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    clock,
    faults::BackendFate,
    http::{self, Broken, Reply},
    shared::Shared,
};

const LARGEST: usize = 4 * 1024 * 1024;

/// One call of `POST /process`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackendRequest {
    pub seq: u64,
    /// Unix milliseconds.
    pub at: u64,
    pub idempotency_key: Option<String>,
    pub correlation_id: Option<String>,
    pub text: Option<String>,
    pub message_id: Option<String>,
    /// Names in lowercase.
    pub headers: BTreeMap<String, String>,
    pub body: Value,
    /// The status of the answer; `None` when the connection was broken instead.
    pub status: Option<u16>,
}

/// Every call, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct BackendLog {
    requests: Mutex<Vec<BackendRequest>>,
}

impl BackendLog {
    pub(crate) fn all(&self) -> Vec<BackendRequest> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn forget(&self) {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn add(&self, mut request: BackendRequest) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        request.seq = requests.len() as u64 + 1;
        requests.push(request);
    }
}

pub(crate) async fn process(shared: &Arc<Shared>, request: Request<Incoming>) -> Result<Reply, Broken> {
    let (parts, body) = request.into_parts();
    let body = match http::read(body, LARGEST).await {
        Ok(body) => body,
        Err(refusal) => return Ok(*refusal),
    };
    let (latency, fate) = shared.faults.backend_fate();
    let reply = reply(&body, &fate);
    if shared.records_everything() {
        let status = reply.as_ref().ok().map(|reply| reply.status().as_u16());
        shared.backend.add(recorded(&parts.headers, &body, status));
    }
    let wait = if let BackendFate::Late(late) = fate { latency + late } else { latency };
    if !wait.is_zero() {
        shared.sleep(wait).await;
    }
    reply
}

fn reply(body: &Bytes, fate: &BackendFate) -> Result<Reply, Broken> {
    let answer = |text: &str, reply: Value| Ok(http::ok(&json!({"original": text, "reply": reply})));
    match fate {
        BackendFate::Reset => return Err(Broken::Reset),
        BackendFate::Error { status, retry_after } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut reply = http::problem(status, "fault", "this error was asked for");
            if let Some(seconds) = retry_after {
                reply.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(*seconds));
            }
            return Ok(reply);
        }
        BackendFate::Garbage => {
            return Ok(http::bytes(StatusCode::OK, "application/json", "{\"reply\": <html>"));
        }
        BackendFate::Fine | BackendFate::Late(_) | BackendFate::Silent => {}
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(text) = body["text"].as_str() else {
        return Ok(http::problem(StatusCode::BAD_REQUEST, "invalid_text", "text is missing, send a string"));
    };
    if *fate == BackendFate::Silent {
        return answer(text, Value::Null);
    }
    let number = rand::random_range(1000..=9999);
    answer(text, json!(format!("I received your message: '{text}' and here is a random number: {number}")))
}

fn recorded(headers: &header::HeaderMap, body: &Bytes, status: Option<u16>) -> BackendRequest {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let headers: BTreeMap<String, String> = headers
        .iter()
        .filter(|(name, _)| **name != header::AUTHORIZATION)
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    BackendRequest {
        seq: 0,
        at: clock::unix_millis(),
        idempotency_key: headers.get("idempotency-key").cloned(),
        correlation_id: headers.get("x-correlation-id").cloned(),
        text: body["text"].as_str().map(str::to_owned),
        message_id: body["message"]["id"].as_str().map(str::to_owned),
        headers,
        body,
        status,
    }
}
