//! Misbehaviour on demand: the document of `PUT /faults`, and the board that decides when a fault strikes.

mod board;
mod dose;

pub(crate) use board::{BackendFate, FaultBoard, GraphFate};
pub use dose::Dose;
use serde::{Deserialize, Serialize};

/// Everything that can be made to go wrong. All of it is optional; an unknown field is refused by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    pub graph: GraphFaults,
    pub webhooks: WebhookFaults,
    pub backend: BackendFaults,
}

/// Faults of `POST /{phone_number_id}/messages`, in the order in which they are considered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphFaults {
    /// Every answer waits this long.
    pub latency_ms: u64,
    /// The connection breaks before the message is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets: Option<Dose>,
    /// Refusals; the first one that strikes answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<GraphErrorFault>,
    /// The message is taken, and the connection breaks without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_answers: Option<Dose>,
}

/// One refusal by error code. Without `count` and `rate` it strikes every time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphErrorFault {
    /// Meta's code, e.g. 130429 or 131056.
    pub code: i64,
    /// HTTP status of the answer; by default what Meta's older table gives for the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Seconds for a `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// Only messages to this recipient (digits, or a business-scoped user id).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_transient: Option<bool>,
    /// The message is taken, and the error arrives as a `failed` status, as most delivery failures do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_status: bool,
}

/// Faults of the webhooks that the simulator sends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookFaults {
    /// The same body is posted a second time, concurrently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Dose>,
    /// Webhooks are held until this many wait (or 300 ms passed) and leave in reverse; 0 and 1 keep the order.
    pub reorder: usize,
    /// Every webhook waits this long before its first attempt.
    pub delay_ms: u64,
    /// Items that were accepted earlier ride along in a new webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebatch: Option<Dose>,
    /// The first status of a message is delivered before Graph answers with the message's id.
    #[serde(alias = "statuses_before_answer")]
    pub statuses_before_messages: bool,
    pub no_statuses: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop_statuses: Option<Dose>,
    /// Statuses come without `biz_opaque_callback_data`.
    pub omit_callback_data: bool,
}

/// Faults of the simulator's own backend, `POST /backend/process`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackendFaults {
    pub latency_ms: u64,
    /// The connection breaks without an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets: Option<Dose>,
    /// One object or a list; the first one that strikes answers.
    #[serde(deserialize_with = "dose::one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<BackendErrorFault>,
    /// 200 with a body that is not JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub garbage: Option<Dose>,
    /// A right answer that comes too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<LateFault>,
    /// `"reply": null`: the backend has nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<Dose>,
}

/// One refusal by HTTP status. Without `count` and `rate` it strikes every time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendErrorFault {
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Seconds for a `Retry-After` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// How late, and how often. Without `count` and `rate` it strikes every time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateFault {
    pub ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

impl Faults {
    /// What serde cannot see: rates outside 0..=1, HTTP statuses that are none, a fault with both doses.
    pub fn problem(&self) -> Option<String> {
        let doses = [
            ("graph.resets", self.graph.resets),
            ("graph.lost_answers", self.graph.lost_answers),
            ("webhooks.duplicate", self.webhooks.duplicate),
            ("webhooks.rebatch", self.webhooks.rebatch),
            ("webhooks.drop_statuses", self.webhooks.drop_statuses),
            ("backend.resets", self.backend.resets),
            ("backend.garbage", self.backend.garbage),
            ("backend.silent", self.backend.silent),
        ];
        let named = doses.into_iter().filter_map(|(name, dose)| {
            dose.and_then(|dose| dose::problem(dose.count(), dose.rate()))
                .map(|what| format!("{name}: {what}"))
        });
        let graph_errors = self.graph.errors.iter().filter_map(|error| {
            dose::problem(error.count, error.rate)
                .or_else(|| error.http_status.and_then(bad_status))
                .map(|what| format!("graph.errors: {what}"))
        });
        let backend_errors = self.backend.errors.iter().filter_map(|error| {
            dose::problem(error.count, error.rate)
                .or_else(|| bad_status(error.status))
                .map(|what| format!("backend.errors: {what}"))
        });
        let late = self.backend.late.iter().filter_map(|late| {
            dose::problem(late.count, late.rate).map(|what| format!("backend.late: {what}"))
        });
        named.chain(graph_errors).chain(backend_errors).chain(late).next()
    }
}

fn bad_status(status: u16) -> Option<String> {
    (!(400..=599).contains(&status)).then(|| format!("{status} is no error status, use 400 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_refused_by_name() {
        for (body, name) in [
            (r#"{"grap":{}}"#, "grap"),
            (r#"{"graph":{"latncy_ms":1}}"#, "latncy_ms"),
            (r#"{"graph":{"errors":[{"code":1,"times":2}]}}"#, "times"),
            (r#"{"webhooks":{"lost":true}}"#, "lost"),
            (r#"{"backend":{"errors":{"status":503,"cnt":1}}}"#, "cnt"),
        ] {
            let error = serde_json::from_str::<Faults>(body).unwrap_err().to_string();
            assert!(error.contains(name), "{body}: {error}");
        }
    }

    #[test]
    fn documents_come_back_as_they_were_given() {
        let body = r#"{"graph":{"lost_answers":2,"resets":{"rate":0.5},"errors":[{"code":131056,"to":"1202"}]},
            "webhooks":{"duplicate":0.25,"statuses_before_answer":true},"backend":{"errors":{"status":503,"count":1}}}"#;
        let faults: Faults = serde_json::from_str(body).unwrap();
        assert_eq!(faults.graph.lost_answers, Some(Dose::Count(2)));
        assert_eq!(faults.webhooks.duplicate, Some(Dose::Rate(0.25)));
        assert!(faults.webhooks.statuses_before_messages);
        assert_eq!(faults.backend.errors.len(), 1);
        let again: Faults = serde_json::from_str(&serde_json::to_string(&faults).unwrap()).unwrap();
        assert_eq!(again, faults);
    }

    #[test]
    fn impossible_values_are_named() {
        for (body, name) in [
            (r#"{"graph":{"resets":{"rate":1.5}}}"#, "graph.resets"),
            (r#"{"graph":{"errors":[{"code":1,"http_status":200}]}}"#, "graph.errors"),
            (r#"{"backend":{"errors":[{"status":503,"count":1,"rate":0.1}]}}"#, "backend.errors"),
        ] {
            let faults: Faults = serde_json::from_str(body).unwrap();
            let problem = faults.problem().unwrap();
            assert!(problem.starts_with(name), "{body}: {problem}");
        }
    }
}
