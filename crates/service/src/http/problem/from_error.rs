//! What poem and its extractors complain about, as problems.

use std::io::ErrorKind;

use poem::{
    Error,
    error::{MethodNotAllowedError, NotFoundError, ReadBodyError},
    http::StatusCode,
};

use super::Problem;

/// The problem that an error of poem stands for. What goes wrong on our side is not told to the client.
pub(in crate::http) fn from_error(error: &Error) -> Problem {
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return problem.clone();
    }
    if error.is::<NotFoundError>() {
        return Problem::not_found("there is nothing at this path");
    }
    if error.is::<MethodNotAllowedError>() {
        return Problem::method_not_allowed("this path does not take this method");
    }
    if matches!(error.downcast_ref(), Some(ReadBodyError::PayloadTooLarge)) {
        return Problem::payload_too_large("the body is too long");
    }
    if matches!(error.downcast_ref(), Some(ReadBodyError::Io(io)) if io.kind() == ErrorKind::TimedOut) {
        return Problem::too_slow();
    }
    of_status(error.status(), error)
}

fn of_status(status: StatusCode, error: &Error) -> Problem {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => Problem::internal(),
        StatusCode::SERVICE_UNAVAILABLE => Problem::unavailable("try again later"),
        StatusCode::BAD_REQUEST => Problem::bad_request(error.to_string()),
        _ if status.is_server_error() => Problem::new(status, code_of(status), "try again later"),
        _ if error.is_from_response() => Problem::new(status, code_of(status), "this was refused"),
        _ => Problem::new(status, code_of(status), error.to_string()),
    }
}

/// `415 Unsupported Media Type` has the code `unsupported_media_type`.
pub(in crate::http) fn code_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "invalid_request",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        406 => "not_acceptable",
        408 => "request_timeout",
        409 => "conflict",
        410 => "gone",
        411 => "length_required",
        412 => "precondition_failed",
        413 => "payload_too_large",
        414 => "uri_too_long",
        415 => "unsupported_media_type",
        422 => "unprocessable_content",
        425 => "too_early",
        429 => "too_many_requests",
        431 => "request_header_fields_too_large",
        501 => "not_implemented",
        502 => "bad_gateway",
        503 => "unavailable",
        504 => "gateway_timeout",
        500.. => "internal_error",
        _ => "refused",
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::error::{ContentTypeError, ParseParamError};

    use super::*;

    #[test]
    fn every_kind_of_error_has_its_status_and_code() {
        let parameter = ParseParamError { name: "limit", reason: "not a number".to_owned() };
        for (error, status, code) in [
            (Error::from(NotFoundError), 404, "not_found"),
            (MethodNotAllowedError.into(), 405, "method_not_allowed"),
            (ReadBodyError::PayloadTooLarge.into(), 413, "payload_too_large"),
            (ReadBodyError::Io(ErrorKind::TimedOut.into()).into(), 408, "request_timeout"),
            (ReadBodyError::Io(ErrorKind::BrokenPipe.into()).into(), 400, "invalid_request"),
            (ContentTypeError::ExpectContentType.into(), 415, "unsupported_media_type"),
            (parameter.into(), 400, "invalid_request"),
            (Problem::forbidden("no").with_code("no_keys").into(), 403, "no_keys"),
            (StatusCode::CONFLICT.into(), 409, "conflict"),
            (StatusCode::IM_A_TEAPOT.into(), 418, "refused"),
            (StatusCode::BAD_GATEWAY.into(), 502, "bad_gateway"),
        ] {
            let problem = from_error(&error);
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
        }
    }

    #[test]
    fn the_reason_of_an_internal_error_stays_inside() {
        let error = Error::from_string("password is 1234", StatusCode::INTERNAL_SERVER_ERROR);
        let problem = from_error(&error);
        assert_eq!(problem.status(), 500);
        assert!(!problem.detail().contains("1234"));
    }
}
