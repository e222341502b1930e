//! Graph's error envelope, with the texts, types and HTTP statuses that Meta answers.

use serde_json::{Map, Value, json};

/// One refusal: `{"error": {message, type, code, error_subcode?, error_data?, is_transient?, fbtrace_id}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GraphError {
    pub(crate) http_status: u16,
    pub(crate) code: i64,
    pub(crate) subcode: Option<i64>,
    kind: &'static str,
    message: String,
    details: Option<String>,
    is_transient: Option<bool>,
    pub(crate) retry_after: Option<u64>,
}

impl GraphError {
    fn new(http_status: u16, code: i64, message: impl Into<String>) -> Self {
        Self {
            http_status,
            code,
            subcode: None,
            kind: "OAuthException",
            message: message.into(),
            details: None,
            is_transient: None,
            retry_after: None,
        }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, 190, "Invalid OAuth access token - Cannot parse access token")
    }

    /// Meta says the same of an object that is not there and of one that the token may not see.
    pub(crate) fn unknown_object(id: &str) -> Self {
        let message = format!(
            "Unsupported post request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, \
             or does not support this operation. Please read the Graph API documentation at \
             https://developers.facebook.com/docs/graph-api"
        );
        Self { subcode: Some(33), kind: "GraphMethodException", ..Self::new(400, 100, message) }
    }

    pub(crate) fn unknown_path(path: &str) -> Self {
        Self::new(400, 2500, format!("Unknown path components: {path}"))
    }

    pub(crate) fn malformed_json() -> Self {
        Self::new(400, 100, "(#100) Invalid parameter").details("The request body is not valid JSON")
    }

    /// Code 100: a parameter that every call needs.
    pub(crate) fn required(parameter: &str) -> Self {
        Self::new(400, 100, format!("(#100) The parameter {parameter} is required."))
            .details(format!("The parameter {parameter} is required."))
    }

    /// Code 131008: a parameter that this type of message needs.
    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(400, 131_008, "(#131008) Required parameter is missing")
            .details(format!("Parameter '{parameter}' is required"))
    }

    /// Code 131009: a value that cannot be.
    pub(crate) fn value(details: impl Into<String>) -> Self {
        Self::new(400, 131_009, "(#131009) Parameter value is not valid").details(details)
    }

    /// Code 100: a value of the wrong type or length.
    pub(crate) fn parameter(details: impl Into<String>) -> Self {
        Self::new(400, 100, "(#100) Invalid parameter").details(details)
    }

    /// An error that was asked for by its code; `http_status` overrules the table.
    pub(crate) fn by_code(code: i64, http_status: Option<u16>) -> Self {
        let (status, title) = known(code);
        Self::new(http_status.unwrap_or(status), code, format!("(#{code}) {title}")).details(title)
    }

    pub(crate) fn transient(mut self, is_transient: Option<bool>) -> Self {
        self.is_transient = is_transient;
        self
    }

    pub(crate) fn retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds;
        self
    }

    fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    pub(crate) fn body(&self, trace_id: &str) -> Value {
        let mut error = Map::new();
        error.insert("message".into(), json!(self.message));
        error.insert("type".into(), json!(self.kind));
        error.insert("code".into(), json!(self.code));
        if let Some(subcode) = self.subcode {
            error.insert("error_subcode".into(), json!(subcode));
        }
        if let Some(details) = &self.details {
            error.insert("error_data".into(), json!({"messaging_product": "whatsapp", "details": details}));
        }
        if let Some(is_transient) = self.is_transient {
            error.insert("is_transient".into(), json!(is_transient));
        }
        error.insert("fbtrace_id".into(), json!(trace_id));
        json!({ "error": error })
    }
}

/// The short text of a code, which also is the `title` of a failed status.
pub(crate) fn title(code: i64) -> &'static str {
    known(code).1
}

/// HTTP status and short text, from Meta's older table (the current page lists no HTTP statuses).
fn known(code: i64) -> (u16, &'static str) {
    match code {
        0 => (401, "AuthException"),
        1 => (400, "API Unknown"),
        2 => (503, "API Service"),
        3 => (500, "API Method"),
        4 => (400, "API Too Many Calls"),
        10 | 200..=299 => (403, "Permission Denied"),
        100 => (400, "Invalid parameter"),
        190 => (401, "Access token has expired"),
        368 => (403, "Temporarily blocked for policies violations"),
        613 => (400, "Calls to this API have exceeded the rate limit"),
        80_007 => (400, "Rate limit issues"),
        130_429 => (400, "Rate limit hit"),
        130_472 => (400, "User's number is part of an experiment"),
        130_497 => (403, "Business account is restricted from messaging users in this country"),
        131_000 => (500, "Something went wrong"),
        131_005 => (403, "Access denied"),
        131_008 => (400, "Required parameter is missing"),
        33 | 131_009 => (400, "Parameter value is not valid"),
        131_016 => (500, "Service unavailable"),
        131_021 => (400, "Recipient cannot be sender"),
        131_026 => (400, "Message undeliverable"),
        131_031 => (403, "Account has been locked"),
        131_042 => (400, "Business eligibility payment issue"),
        131_045 => (500, "Incorrect certificate"),
        131_047 => (400, "Re-engagement message"),
        131_048 => (400, "Spam rate limit hit"),
        131_049 => (400, "Meta chose not to deliver"),
        131_050 => (400, "User has stopped marketing messages"),
        131_051 => (400, "Unsupported message type"),
        131_052 => (400, "Media download error"),
        131_053 => (400, "Media upload error"),
        131_056 => (400, "(Business Account, Consumer Account) pair rate limit hit"),
        131_057 | 2_494_100 => (500, "Account in maintenance mode"),
        132_000 => (400, "Template Param Count Mismatch"),
        132_001 => (404, "Template does not exist"),
        133_004 => (503, "Server Temporarily Unavailable"),
        133_010 => (400, "Phone number not registered"),
        _ => (400, "Generic error"),
    }
}

/// A trace id of the look and length of Meta's.
pub(crate) fn trace_id() -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut id = String::from("A");
    URL_SAFE_NO_PAD.encode_string(rand::random::<[u8; 16]>(), &mut id);
    id
}
