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

/// The account over all channels.
fn read(answer: &Value) -> Option<Ledger> {
    let inbox = |name: &str| answer.get("inbox")?.get(name)?.as_i64();
    let outbox = |name: &str| answer.get("outbox")?.get(name)?.as_i64();
    Some(Ledger {
        accepted: inbox("accepted")?,
        answered: inbox("answered")?,
        not_to_be_answered: inbox("not_to_be_answered")?,
        inbox_in_flight: inbox("in_flight")?,
        inbox_dead: inbox("dead")?,
        queued: outbox("queued")?,
        sent: outbox("sent")?,
        outbox_in_flight: outbox("in_flight")?,
        outbox_dead: outbox("dead")?,
        discarded: outbox("discarded")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_that_lacks_a_number_is_none() {
        let mut answer = json!({
            "balanced": true,
            "inbox": {"accepted": 9, "answered": 4, "not_to_be_answered": 2, "in_flight": 2, "dead": 1, "gap": 0},
            "outbox": {"queued": 5, "sent": 1, "in_flight": 1, "dead": 1, "discarded": 2, "gap": 0},
        });
        let ledger = read(&answer).unwrap();
        assert_eq!((ledger.accepted, ledger.inbox_dead, ledger.queued, ledger.discarded), (9, 1, 5, 2));
        answer["outbox"].as_object_mut().unwrap().remove("sent");
        assert_eq!(read(&answer), None);
    }
}
