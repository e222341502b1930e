//! What operators and their tools ask every service: is it alive, ready and well, and what are its numbers.

mod log_level;
mod reports;
mod run;

use poem_openapi::{ApiResponse, OpenApi, Tags, payload::Json, payload::PlainText};

use self::log_level::LogLevelAnswer;
pub use self::{
    log_level::LogLevel,
    reports::{HealthReport, ReadinessReport},
    run::{Running, run},
};
use crate::{
    health::{Health, Readiness},
    logging::LogControl,
    metrics::Metrics,
};

/// How the document groups these calls.
#[derive(Debug, Tags)]
pub enum OpsTag {
    /// Health and metrics, for operators and their tools.
    #[oai(rename = "operations")]
    Operations,
}

/// The calls. Cheap to clone, so that it can be documented on one listener and served on another.
#[derive(Debug, Clone)]
pub struct OpsApi {
    service: &'static str,
    version: &'static str,
    health: Health,
    metrics: Metrics,
    log: Option<LogControl>,
}

impl OpsApi {
    /// For the service of this name, such as `router`.
    pub fn new(service: &'static str, version: &'static str, health: Health, metrics: Metrics) -> Self {
        Self { service, version, health, metrics, log: None }
    }

    /// Lets operators change what is logged; for a listener that only they reach.
    #[must_use]
    pub fn with_log_control(mut self, log: LogControl) -> Self {
        self.log = Some(log);
        self
    }

    fn health_report(&self) -> Result<HealthReport, HealthReport> {
        HealthReport::of(self.service, self.version, &self.health)
    }
}

#[derive(ApiResponse)]
enum HealthAnswer {
    /// The service can do its work.
    #[oai(status = 200)]
    Ok(Json<HealthReport>),
    /// It cannot; `checks` says what fails and why.
    #[oai(status = 503)]
    Failing(Json<HealthReport>),
}

#[derive(ApiResponse)]
enum LivenessAnswer {
    /// The process runs; it need not be restarted.
    #[oai(status = 200)]
    Alive(Json<ReadinessReport>),
}

#[derive(ApiResponse)]
enum ReadinessAnswer {
    /// Requests may be sent here.
    #[oai(status = 200)]
    Ready(Json<ReadinessReport>),
    /// No requests should be sent here; `reason` says why.
    #[oai(status = 503)]
    NotReady(Json<ReadinessReport>),
}

#[derive(ApiResponse)]
enum MetricsAnswer {
    /// All metrics of the process.
    #[oai(status = 200, content_type = "text/plain; version=0.0.4; charset=utf-8")]
    Ok(PlainText<String>),
}

#[OpenApi(tag = "OpsTag::Operations")]
impl OpsApi {
    /// Is the service well?
    ///
    /// 200 when all its checks pass, also while it drains before its end; 503 with the failing checks otherwise.
    #[oai(path = "/health", method = "get", operation_id = "getHealth")]
    async fn health(&self) -> HealthAnswer {
        match self.health_report() {
            Ok(report) => HealthAnswer::Ok(Json(report)),
            Err(report) => HealthAnswer::Failing(Json(report)),
        }
    }

    /// Is the process alive?
    ///
    /// Answers 200 as long as it answers at all, so that only a process that hangs is restarted.
    #[oai(path = "/livez", method = "get", operation_id = "getLiveness")]
    async fn liveness(&self) -> LivenessAnswer {
        LivenessAnswer::Alive(Json(ReadinessReport::alive()))
    }

    /// May requests be sent here?
    ///
    /// 503 while it starts, while it drains before its end, and while a check fails.
    #[oai(path = "/readyz", method = "get", operation_id = "getReadiness")]
    async fn readiness(&self) -> ReadinessAnswer {
        let readiness = self.health.readiness();
        let report = Json(ReadinessReport::of(&readiness));
        match readiness {
            Readiness::Ready => ReadinessAnswer::Ready(report),
            _ => ReadinessAnswer::NotReady(report),
        }
    }

    /// Metrics in the Prometheus text format
    ///
    /// Version 0.0.4 of the format. No label holds a phone number, a name, a text or an id.
    #[oai(path = "/metrics", method = "get", operation_id = "getMetrics")]
    async fn metrics(&self) -> MetricsAnswer {
        MetricsAnswer::Ok(PlainText(self.metrics.encode()))
    }

    /// What is logged?
    ///
    /// Only on the listener of `ADMIN_LISTEN`.
    #[oai(path = "/log-level", method = "get", operation_id = "getLogLevel")]
    async fn log_level(&self) -> LogLevelAnswer {
        LogLevelAnswer::now(self.log.as_ref())
    }

    /// Change what is logged
    ///
    /// From now until the process ends; `LOG_LEVEL` is what the next one begins with. Only on the listener of
    /// `ADMIN_LISTEN`.
    #[oai(path = "/log-level", method = "put", operation_id = "setLogLevel")]
    async fn set_log_level(&self, wanted: Json<LogLevel>) -> LogLevelAnswer {
        LogLevelAnswer::changed(self.log.as_ref(), &wanted.0)
    }
}
