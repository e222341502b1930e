//! Tells of webhooks that are refused for their signature. Anybody can cause these, so each reason has a line a minute.

use std::time::Instant;

use service::logging::Seldom;

use super::request_ids::RequestIds;

/// One for each reason.
#[derive(Debug, Default)]
pub struct Refusals {
    missing: Seldom,
    malformed: Seldom,
    mismatch: Seldom,
    other_channel: Seldom,
}

impl Refusals {
    /// `reason` is what metrics call it; `why` is for people.
    pub(super) fn tell(&self, reason: &'static str, why: &str, ids: RequestIds<'_>) {
        let seldom = match reason {
            "missing" => &self.missing,
            "malformed" => &self.malformed,
            "mismatch" => &self.mismatch,
            _ => &self.other_channel,
        };
        let (request_id, trace_id) = (ids.request_id(), ids.trace_id());
        if let Some(count) = seldom.count(Instant::now()) {
            tracing::warn!(request_id, trace_id, reason, count, "webhook refused: {why}");
        } else {
            tracing::debug!(request_id, trace_id, reason, "webhook refused");
        }
    }
}
