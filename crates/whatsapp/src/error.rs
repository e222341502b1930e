//! What an error of the Graph API means for the message that was to be sent.
//!
//! Meta: decide by `code` and details, never by title, HTTP status or subcode (error-codes). Meta gives no key that
//! would make a repeated send harmless, so only what is known to be refused before any work is repeated freely.

mod table;

use serde::Deserialize;

use crate::lenient;
pub use table::{classify, reason};

/// An error as Graph answers it (`{"error": {…}}`) or as a webhook's `errors` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GraphError {
    pub code: i64,
    pub subcode: Option<i64>,
    pub title: Option<String>,
    pub message: Option<String>,
    /// What exactly is wrong; the most useful part for a person.
    pub details: Option<String>,
    pub error_type: Option<String>,
    /// For Meta's support.
    pub fbtrace_id: Option<String>,
    /// Meta says that the same request may succeed later.
    pub is_transient: bool,
}

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Refused before it was worked on: send it again after a backoff.
    Replay,
    /// Too many messages to this person: this pair waits, others go on.
    WaitPair,
    /// The number's throughput is reached.
    WaitNumber,
    /// The app's or the account's calls are limited.
    WaitApp,
    /// Meta works on the number, for about a minute.
    WaitMaintenance,
    /// Nothing can be sent through this channel until somebody mends it. The queue is kept.
    StopChannel,
    /// It may have gone out or not.
    Ambiguous,
    /// It will never go out as it is.
    Final,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default, deserialize_with = "lenient::integer")]
    code: Option<i64>,
    #[serde(default, deserialize_with = "lenient::integer")]
    error_subcode: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    title: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient::object")]
    error_data: Option<ErrorData>,
    #[serde(default, deserialize_with = "lenient::text", rename = "type")]
    error_type: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    fbtrace_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    is_transient: Option<bool>,
}

#[derive(Deserialize)]
struct ErrorData {
    #[serde(default, deserialize_with = "lenient::text")]
    details: Option<String>,
}

impl<'de> Deserialize<'de> for GraphError {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::deserialize(deserializer)?;
        Ok(Self {
            code: fields.code.ok_or_else(|| serde::de::Error::missing_field("code"))?,
            subcode: fields.error_subcode,
            title: fields.title,
            message: fields.message,
            details: fields.error_data.and_then(|data| data.details),
            error_type: fields.error_type,
            fbtrace_id: fields.fbtrace_id,
            is_transient: fields.is_transient.unwrap_or(false),
        })
    }
}

impl GraphError {
    /// Reads the body of an answer that is not 2xx; `None` when it is no error of Graph's.
    pub fn from_answer(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer {
            error: GraphError,
        }
        serde_json::from_slice::<Answer>(body).ok().map(|answer| answer.error)
    }

    /// A bounded label for dead letters and metrics.
    pub fn reason(&self) -> &'static str {
        reason(self.code)
    }
}

/// For logs and operators. Meta's own words may quote a number, so they are left out.
impl std::fmt::Display for GraphError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph error {} ({})", self.code, self.reason())?;
        if let Some(trace) = &self.fbtrace_id {
            write!(f, ", fbtrace_id {trace}")?;
        }
        Ok(())
    }
}
