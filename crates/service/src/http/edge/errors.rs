//! The last touch to errors: every one is a problem, and every problem knows its request.

use poem::{
    Body, Response,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, CONTENT_TYPE},
    },
};
use serde::{Deserialize, de::IgnoredAny};

use crate::http::{
    Problem, RequestId,
    problem::{PROBLEM_JSON, code_of},
};

const PROBLEM_JSON_VALUE: HeaderValue = HeaderValue::from_static(PROBLEM_JSON);

/// A problem as a response that names its request.
pub(super) fn error_response(problem: Problem, id: &RequestId) -> Response {
    poem::IntoResponse::into_response(problem.with_request_id(id.as_str()))
}

/// Gives a problem its request id and its trace id, and an error without a type its body. An error in another
/// format on purpose, such as JSON of the Graph API, is left alone.
pub(super) async fn finish_error_response(
    mut response: Response,
    id: &RequestId,
    trace_id: Option<&HeaderValue>,
) -> Response {
    let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let is_problem = kind.is_some_and(|kind| kind.starts_with(PROBLEM_JSON.as_bytes()));
    let is_plain = kind.is_none_or(|kind| kind.starts_with(b"text/plain"));
    if is_problem {
        let Ok(body) = response.take_body().into_bytes().await else {
            return error_response(Problem::internal(), id);
        };
        let body = with_ids(&body, id, trace_id).map_or_else(|| Body::from_bytes(body), Body::from_vec);
        response.set_body(body);
        response.headers_mut().remove(CONTENT_LENGTH);
    } else if is_plain {
        let problem = of_response(&mut response).await;
        let body = error_response(problem, id).into_body().into_vec().await.unwrap_or_default();
        response.set_body(with_ids(&body, id, trace_id).unwrap_or(body));
        response.headers_mut().remove(CONTENT_LENGTH);
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON_VALUE);
    }
    response
}

/// What a bare status or a line of text says.
async fn of_response(response: &mut Response) -> Problem {
    let status = response.status();
    let text = response.take_body().into_string().await.unwrap_or_default();
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => Problem::internal(),
        StatusCode::BAD_REQUEST if !text.is_empty() => Problem::bad_request(text),
        StatusCode::SERVICE_UNAVAILABLE => {
            Problem::unavailable(if text.is_empty() { "try again later".to_owned() } else { text })
        }
        _ if text.is_empty() => Problem::new(status, code_of(status), "this was refused"),
        _ => Problem::new(status, code_of(status), text),
    }
}

/// Adds those members at the end of an object that it does not have; None when there is nothing to do.
fn with_ids(body: &[u8], id: &RequestId, trace_id: Option<&HeaderValue>) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Known {
        /// Every problem has one, so the object is never empty.
        #[serde(rename = "type")]
        _kind: IgnoredAny,
        request_id: Option<IgnoredAny>,
        trace_id: Option<IgnoredAny>,
    }
    let body = body.trim_ascii_end();
    let known: Known = serde_json::from_slice(body).ok()?;
    let mut open = body.strip_suffix(b"}")?.to_vec();
    let before = open.len();
    // Identifiers need no escaping.
    let mut add = |name: &[u8], id: &[u8]| open.extend([b",\"", name, b"\":\"", id, b"\""].concat());
    if known.request_id.is_none() {
        add(b"request_id", id.as_str().as_bytes());
    }
    if let Some(trace_id) = trace_id.filter(|_| known.trace_id.is_none()) {
        add(b"trace_id", trace_id.as_bytes());
    }
    if open.len() == before {
        return None;
    }
    open.push(b'}');
    Some(open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_added_once_and_only_to_problems() {
        let id = RequestId::accept_or_generate(Some(&HeaderValue::from_static("abc")));
        let added = with_ids(br#"{"type":"t","status":400} "#, &id, None).unwrap();
        assert_eq!(added, br#"{"type":"t","status":400,"request_id":"abc"}"#);
        let trace = HeaderValue::from_static("7e57");
        let added = with_ids(&added, &id, Some(&trace)).unwrap();
        assert_eq!(added, br#"{"type":"t","status":400,"request_id":"abc","trace_id":"7e57"}"#);
        assert!(with_ids(&added, &id, Some(&trace)).is_none());
        for body in [r#"{"type":"t","request_id":"x"}"#, "{}", "[]", "", "no json"] {
            assert!(with_ids(body.as_bytes(), &id, None).is_none(), "{body}");
        }
    }
}
