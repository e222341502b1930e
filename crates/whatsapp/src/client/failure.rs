//! Why a send failed, and whether the message may be out all the same.

use std::{error::Error, time::Duration};

use crate::error::{ErrorClass, GraphError, classify, of_status};

/// Why a message was not sent, or may not have been. Shows neither token nor number nor text.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection, so nothing was written.
    #[error("the Graph API can't be reached: {0}")]
    NotSent(String),
    /// Graph gave an error.
    #[error("{error}, HTTP {http_status}")]
    Rejected { http_status: u16, error: Box<GraphError>, retry_after: Option<Duration> },
    /// Answered by something else than Graph, such as a proxy or another service at the base address.
    #[error(
        "HTTP {http_status} without an error of Graph's: check the API's base address and what stands before it"
    )]
    Foreign { http_status: u16, retry_after: Option<Duration> },
    /// The request was, or may have been, written, and no answer tells what became of it.
    #[error("the Graph API may have taken the message: {0}")]
    Ambiguous(String),
}

impl SendError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotSent(_) => ErrorClass::Replay,
            Self::Rejected { http_status, error, .. } => classify(error, Some(*http_status)),
            Self::Foreign { http_status, .. } => match of_status(*http_status) {
                // Whatever answered in Graph's place would refuse every message alike, so none is given up for it.
                ErrorClass::Final if !matches!(http_status, 413 | 414 | 431) => ErrorClass::StopChannel,
                class => class,
            },
            Self::Ambiguous(_) => ErrorClass::Ambiguous,
        }
    }

    /// A bounded label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "graph_unreachable",
            Self::Rejected { error, .. } => error.reason(),
            Self::Foreign { .. } => "foreign_answer",
            Self::Ambiguous(_) => "no_answer",
        }
    }

    /// How long to wait at least, by the answer or else by Meta's documentation. Never zero, at most an hour.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, error, .. } => retry_after.or_else(|| error.documented_wait()),
            Self::Foreign { retry_after, .. } => *retry_after,
            Self::NotSent(_) | Self::Ambiguous(_) => None,
        }
    }

    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::Rejected { http_status, .. } | Self::Foreign { http_status, .. } => Some(*http_status),
            Self::NotSent(_) | Self::Ambiguous(_) => None,
        }
    }
}

/// No answer came.
pub(super) fn of_request(error: reqwest::Error) -> SendError {
    let known_unsent = error.is_connect() || error.is_builder();
    let cause = root_cause(&error.without_url());
    if known_unsent { SendError::NotSent(cause) } else { SendError::Ambiguous(cause) }
}

/// An answer began and broke off.
pub(super) fn of_answer(error: reqwest::Error) -> SendError {
    SendError::Ambiguous(root_cause(&error.without_url()))
}

/// The innermost message: the outer ones only say that sending failed.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
