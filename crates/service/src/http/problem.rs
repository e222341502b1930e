//! The one shape of every error (RFC 9457). Programs look at `code`, people at `detail`.

mod document;
mod from_error;

use std::fmt;

use poem::{
    IntoResponse, Response,
    error::ResponseError,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
};

pub(in crate::http) use from_error::{code_of, from_error};

/// The content type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Where `type` points; the last segment is the code.
const TYPE_BASE: &str = "https://whatsapp-router.dev/problems/";

/// An error (RFC 9457). `code` is stable, `detail` is for people and may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<String>,
    request_id: Option<String>,
    /// Seconds, for the header alone.
    retry_after: Option<u16>,
}

impl Problem {
    /// `code` is a promise: once released it keeps its meaning. `detail` says what is wrong with this request and
    /// what to do about it.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None, request_id: None, retry_after: None }
    }

    /// 400 `invalid_request`.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", detail)
    }

    /// 401 `unauthorized`.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403 `forbidden`.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404 `not_found`.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 405 `method_not_allowed`.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// 408 `request_timeout`, for a body that came too slowly.
    pub fn too_slow() -> Self {
        let detail = "the body took too long; send it again";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", detail)
    }

    /// 409 `conflict`.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// 413 `payload_too_large`.
    pub fn payload_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", detail)
    }

    /// 503 `unavailable`.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    /// 500 `internal_error`, which never says more than that.
    pub fn internal() -> Self {
        let detail = "something went wrong on our side; the log has more under this request id";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", detail)
    }

    /// The same problem under a code of its own.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = code;
        self
    }

    /// Names the field of the request that is wrong, as a path such as `text.body`.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says with `Retry-After` when it is worth another try, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u16) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The edge does this for every problem that leaves the process.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.request_id = Some(id.to_owned());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable name.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The field of the request that is wrong.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// The words for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.status.as_u16(), self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

/// Makes `?` work in handlers: `Problem` becomes a `poem::Error` that the edge recognises.
impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn as_response(&self) -> Response {
        let body = serde_json::to_vec(&document::Written::of(self)).unwrap_or_default();
        let mut response = Response::builder().status(self.status).content_type(PROBLEM_JSON).body(body);
        if self.status == StatusCode::UNAUTHORIZED {
            // HTTP wants one in every 401 (RFC 9110, 15.5.2).
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.as_response()
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn the_type_ends_in_the_code_and_an_unknown_request_id_is_left_out() {
        let problem = Problem::bad_request("text is missing").with_code("text_missing");
        assert_eq!(
            serde_json::to_value(document::Written::of(&problem)).unwrap(),
            serde_json::json!({
                "type": "https://whatsapp-router.dev/problems/text_missing",
                "title": "Bad Request",
                "status": 400,
                "detail": "text is missing",
                "code": "text_missing",
            })
        );
    }

    #[test]
    fn a_field_is_named_and_headers_say_what_else_a_program_needs() {
        let problem = Problem::bad_request("is empty").with_field("text.body");
        assert_eq!(serde_json::to_value(document::Written::of(&problem)).unwrap()["field"], "text.body");
        let header = |problem: Problem, name: &str| {
            problem.as_response().header(name).map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(header(Problem::unavailable("full").with_retry_after(5), "retry-after"), "5");
        assert_eq!(header(Problem::unauthorized("no key"), "www-authenticate"), "Bearer");
        assert_eq!(header(Problem::forbidden("no"), "www-authenticate"), "");
    }

    #[test]
    fn it_looks_the_same_alone_and_in_a_documented_answer() {
        for problem in [
            Problem::internal(),
            Problem::forbidden("no").with_request_id("abc"),
            Problem::bad_request("no").with_field("to"),
        ] {
            let written = serde_json::to_value(document::Written::of(&problem)).unwrap();
            assert_eq!(problem.to_json(), Some(written));
        }
    }
}
