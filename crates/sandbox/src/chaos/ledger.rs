//! Asks a router for its own account (`GET /api/v1/ledger`).

use std::time::Duration;

use serde_json::Value;

use super::history::Ledger;

/// The key that the routers of a case are given.
pub(super) const API_KEY: &str = "chaos-key-0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(5);

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Is(Ledger),
    /// This router has no such call.
    Unknown,
    /// It has, but could not answer now.
    NotNow,
}

pub(super) async fn ask(router: &str) -> Asked {
    let Ok(client) = crate::simulator::http_client() else { return Asked::NotNow };
    let request = client.get(format!("{router}/api/v1/ledger")).bearer_auth(API_KEY).timeout(PATIENCE);
    match request.send().await {
        Ok(answer) if answer.status() == 404 => Asked::Unknown,
        Ok(answer) if answer.status() == 200 => {
            let body = answer.bytes().await.unwrap_or_default();
            serde_json::from_slice(&body).ok().as_ref().and_then(read).map_or(Asked::NotNow, Asked::Is)
        }
        _ => Asked::NotNow,
    }
}

/// The line over all channels.
fn read(answer: &Value) -> Option<Ledger> {
    let total = answer.get("total").unwrap_or(answer);
    let number = |name: &str| total.get(name)?.as_i64();
    Some(Ledger {
        accepted: number("accepted")?,
        answered: number("answered")?,
        not_to_be_answered: number("not_to_be_answered")?,
        inbox_in_flight: number("inbox_in_flight")?,
        inbox_dead: number("inbox_dead")?,
        queued: number("queued")?,
        sent: number("sent")?,
        outbox_in_flight: number("outbox_in_flight")?,
        outbox_dead: number("outbox_dead")?,
        discarded: number("discarded")?,
    })
}
