//! What an answer to a send means.

use std::{collections::HashMap, time::Duration};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::SendError;
use crate::{
    error::{ErrorClass, GraphError, classify},
    lenient, raw,
};

/// What is longer is tried earlier all the same: a mistake in a header must not stop a channel for a day.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// Graph took the message; whether it reaches the person, the statuses tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub wamid: String,
    /// `accepted`, `held_for_quality_assessment` or `paused`, when Graph says so.
    pub message_status: Option<String>,
    /// The version of the API that answered (header `facebook-api-version`).
    pub api_version: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Accepted {
    #[serde(deserialize_with = "lenient::objects")]
    messages: Vec<AcceptedMessage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AcceptedMessage {
    #[serde(deserialize_with = "lenient::given")]
    id: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    message_status: Option<String>,
}

pub(super) fn read(http_status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Sent, SendError> {
    let accepted = (200..300).contains(&http_status);
    if accepted && let Some(AcceptedMessage { id: Some(wamid), message_status }) = first_message(body) {
        let api_version = header(headers, "facebook-api-version").map(str::to_owned);
        return Ok(Sent { wamid, message_status, api_version });
    }
    match refused(http_status, headers, body) {
        SendError::Foreign { .. } if accepted => {
            Err(SendError::Ambiguous(format!("HTTP {http_status} without a message id")))
        }
        error => Err(error),
    }
}

/// For a call that answers nothing but that it was done.
pub(super) fn read_done(http_status: u16, headers: &HeaderMap, body: &[u8]) -> Result<(), SendError> {
    match refused(http_status, headers, body) {
        SendError::Foreign { .. } if (200..300).contains(&http_status) => Ok(()),
        error => Err(error),
    }
}

fn refused(http_status: u16, headers: &HeaderMap, body: &[u8]) -> SendError {
    let retry_after = retry_after(headers);
    if let Some(error) = GraphError::from_answer(body) {
        let limited = classify(&error, Some(http_status)) == ErrorClass::WaitApp;
        let retry_after = retry_after.or_else(|| regain_access(headers).filter(|_| limited));
        return SendError::Rejected { http_status, error: Box::new(error), retry_after };
    }
    SendError::Foreign { http_status, retry_after }
}

fn first_message(body: &[u8]) -> Option<AcceptedMessage> {
    let accepted: Accepted = raw::object(std::str::from_utf8(body).ok()?).ok()?;
    accepted.messages.into_iter().next()
}

/// `Retry-After` in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    header(headers, RETRY_AFTER.as_str())?.trim().parse().ok().and_then(wait)
}

/// The longest `estimated_time_to_regain_access` (minutes) of the account's limits on calls. It stands in other
/// answers, too, where it says nothing of the message.
fn regain_access(headers: &HeaderMap) -> Option<Duration> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Usage {
        #[serde(deserialize_with = "lenient::float")]
        estimated_time_to_regain_access: Option<f64>,
    }
    let usages = header(headers, "x-business-use-case-usage")?;
    let usages: HashMap<String, &RawValue> = serde_json::from_str(usages).ok()?;
    let usages = usages.into_values().flat_map(|list| raw::objects::<Usage>(Some(list)));
    let minutes = usages.filter_map(|usage| usage.estimated_time_to_regain_access);
    minutes.filter_map(|minutes| wait(minutes * 60.0)).max()
}

fn wait(seconds: f64) -> Option<Duration> {
    // Zero would be tried again without any pause.
    (seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_WAIT.as_secs_f64())))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
