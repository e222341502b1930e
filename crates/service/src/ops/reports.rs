//! What the operational calls answer.

use std::collections::BTreeMap;

use poem_openapi::Object;

use crate::health::{Health, Readiness};

/// Whether the service is well.
#[derive(Debug, PartialEq, Eq, Object)]
pub struct HealthReport {
    /// `ok`, or `failing` together with status 503.
    pub status: String,
    /// Which service answers.
    pub service: String,
    /// Its version.
    pub version: String,
    /// The checks that fail, each with its reason; left out when there is none.
    #[oai(skip_serializing_if_is_none)]
    pub checks: Option<BTreeMap<String, String>>,
}

impl HealthReport {
    /// `Err` holds the report of a service that is not well.
    pub(super) fn of(service: &str, version: &str, health: &Health) -> Result<Self, Self> {
        let mut failing: BTreeMap<String, String> =
            health.failing().into_iter().map(|(name, why)| (name.to_owned(), why)).collect();
        if health.readiness() == Readiness::Starting {
            failing.insert("start".to_owned(), "is not over yet".to_owned());
        }
        let well = failing.is_empty();
        let report = Self {
            status: if well { "ok" } else { "failing" }.to_owned(),
            service: service.to_owned(),
            version: version.to_owned(),
            checks: (!well).then_some(failing),
        };
        if well { Ok(report) } else { Err(report) }
    }
}

/// Whether the process is alive, or may be sent requests.
#[derive(Debug, PartialEq, Eq, Object)]
pub struct ReadinessReport {
    /// `alive`, `ready`, `starting`, `draining` or `failing`.
    pub status: String,
    /// Why requests should not be sent here.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
}

impl ReadinessReport {
    pub(super) fn alive() -> Self {
        Self { status: "alive".to_owned(), reason: None }
    }

    pub(super) fn of(readiness: &Readiness) -> Self {
        let (status, reason) = match readiness {
            Readiness::Ready => ("ready", None),
            Readiness::Starting => ("starting", Some("the start is not over yet".to_owned())),
            Readiness::Draining => ("draining", Some("the process is about to end".to_owned())),
            Readiness::Failing(checks) => {
                let reasons: Vec<String> =
                    checks.iter().map(|(name, why)| format!("{name}: {why}")).collect();
                ("failing", Some(reasons.join("; ")))
            }
        };
        Self { status: status.to_owned(), reason }
    }
}
