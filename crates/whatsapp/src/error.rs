//! What an error of the Graph API means for the message that was to be sent.
//!
//! Meta: decide by `code` and details, never by title, HTTP status or subcode (error-codes). Meta gives no key that
//! would make a repeated send harmless, so only what is known to be refused before any work is repeated freely.

mod table;

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::{lenient, message::Unreadable, raw};
pub(crate) use table::of_status;
pub use table::{classify, reason};

/// In place of a code where there is none. Not 0, which stands for a token that is not valid.
pub const NO_CODE: i64 = -1;

/// An error as Graph answers it (`{"error": {…}}`) or as a webhook's `errors` lists it.
#[derive(Clone, PartialEq, Eq)]
pub struct GraphError {
    /// [`NO_CODE`] when there is none.
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    #[serde(deserialize_with = "lenient::integer")]
    code: Option<i64>,
    #[serde(deserialize_with = "lenient::integer")]
    error_subcode: Option<i64>,
    #[serde(deserialize_with = "lenient::text")]
    title: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient::object")]
    error_data: Option<ErrorData>,
    #[serde(deserialize_with = "lenient::text", rename = "type")]
    error_type: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    fbtrace_id: Option<String>,
    #[serde(deserialize_with = "lenient::boolean")]
    is_transient: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorData {
    #[serde(deserialize_with = "lenient::text")]
    details: Option<String>,
}

impl From<Wire> for GraphError {
    fn from(wire: Wire) -> Self {
        Self {
            code: wire.code.unwrap_or(NO_CODE),
            subcode: wire.error_subcode,
            title: wire.title,
            message: wire.message,
            details: wire.error_data.and_then(|data| data.details),
            error_type: wire.error_type,
            fbtrace_id: wire.fbtrace_id,
            is_transient: wire.is_transient.unwrap_or(false),
        }
    }
}

/// The errors of a message or a status.
pub(crate) fn listed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<GraphError>, D::Error> {
    let errors: Vec<Wire> = lenient::objects(deserializer)?;
    Ok(errors.into_iter().map(GraphError::from).collect())
}

impl GraphError {
    /// Reads one item of a webhook's `errors`.
    pub fn from_json(json: &str) -> Result<Self, Unreadable> {
        raw::object::<Wire>(json).map(Self::from)
    }

    /// Reads the body of an answer to a send; `None` when it holds no error in Graph's form.
    pub fn from_answer(body: &[u8]) -> Option<Self> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Answer {
            #[serde(deserialize_with = "lenient::object")]
            error: Option<Wire>,
        }
        // A byte that is not UTF-8 must not hide the code.
        let answer: Answer = raw::object(&String::from_utf8_lossy(body)).ok()?;
        answer.error.map(Self::from)
    }

    /// A bounded label for dead letters and metrics.
    pub fn reason(&self) -> &'static str {
        if table::names_no_number(self) { "number_unknown" } else { reason(self.code) }
    }

    /// How long to wait at least where Meta's documentation tells it and the answer does not.
    pub fn documented_wait(&self) -> Option<Duration> {
        table::documented_wait(self.code)
    }
}

/// For logs and operators. Meta's own words may quote a number, so they are left out.
impl std::fmt::Display for GraphError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            NO_CODE => f.write_str("Graph error without a code")?,
            code => write!(f, "Graph error {code} ({})", self.reason())?,
        }
        // Comes from outside: nothing that could pass for another line of a log.
        let is_id = |id: &&String| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_graphic());
        match self.fbtrace_id.as_ref().filter(is_id) {
            Some(id) => write!(f, ", fbtrace_id {id}"),
            None => Ok(()),
        }
    }
}
