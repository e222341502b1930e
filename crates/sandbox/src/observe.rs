//! A real Prometheus looks at the real programs while everything goes wrong, and whatever it was told to ask has to have
//! an answer: every query of the dashboards, every recording rule, every alert. Alerts that these faults are about
//! have to hold.

mod exceptions;
mod expression;
mod layout;
mod objects;
mod prometheus;
mod promtool;
mod queries;
mod scene;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use self::{
    exceptions::Exceptions,
    prometheus::{Prometheus, Rule, SCRAPES},
    queries::Check,
    scene::Scene,
};
use crate::{postgres::PostgresError, simulator::InjectError, stack::StackError};

/// Alerts whose condition the faults of the scene meet, and of which labels.
const HOLD: [(&str, &[(&str, &str)]); 19] = [
    ("WhatsAppRouterWebhookErrorBudgetFast", &[]),
    ("WhatsAppRouterWebhookErrorBudgetSlow", &[]),
    ("WhatsAppRouterWebhookErrorBudgetTrickle", &[]),
    ("WhatsAppRouterDeliveryErrorBudgetFast", &[]),
    ("WhatsAppRouterDeliveryErrorBudgetSlow", &[]),
    ("WhatsAppRouterDeliveryErrorBudgetTrickle", &[]),
    ("WhatsAppRouterSendErrorBudgetFast", &[("channel", "stale")]),
    ("WhatsAppRouterSendErrorBudgetSlow", &[("channel", "stale")]),
    ("WhatsAppRouterQueueFull", &[]),
    // One of each, the first of its kind.
    ("WhatsAppRouterDeadLetters", &[("reason", "undeliverable")]),
    ("WhatsAppRouterDeadLetters", &[("reason", "backend_refused")]),
    ("WhatsAppRouterUnrouted", &[]),
    ("WhatsAppRouterBreakerOpen", &[("kind", "backend")]),
    ("WhatsAppRouterChannelStopped", &[("channel", "stale")]),
    ("WhatsAppRouterSignatureFailures", &[("reason", "mismatch")]),
    ("WhatsAppRouterForeignItems", &[]),
    ("WhatsAppRouterSentTwice", &[]),
    ("WhatsAppRouterObjectRefused", &[("kind", "Channel")]),
    ("WhatsAppRouterReloadFailing", &[("source", "files")]),
];
/// The same where PostgreSQL is.
const HOLD_ON_POSTGRES: [(&str, &[(&str, &str)]); 3] = [
    ("WhatsAppRouterStoreFailing", &[]),
    ("WhatsAppRouterCheckFailing", &[("check", "store")]),
    ("WhatsAppRouterTargetDown", &[("job", "router")]),
];

/// Where the files are.
#[derive(Debug, Clone)]
pub struct ObserveOptions {
    /// A folder of dashboards.
    pub dashboards: PathBuf,
    pub rules: PathBuf,
    /// Which checks can't have data, and why.
    pub exceptions: PathBuf,
}

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    #[error("could not {0}: {1}")]
    Files(String, #[source] io::Error),
    #[error("could not start {0}: {1}; Debian, Ubuntu: apt-get install prometheus")]
    NoProgram(&'static str, #[source] io::Error),
    #[error("no free port was found on loopback")]
    NoPort,
    #[error("prometheus was not ready in time; its log:\n{0}")]
    NotReady(String),
    #[error("prometheus did not reach all services in time")]
    NotScraped,
    #[error("could not ask ({0}): {1}")]
    Ask(String, #[source] reqwest::Error),
    #[error("{0}")]
    Answer(String),
    #[error("{0}: {1}")]
    Dashboard(String, String),
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    Webhook(#[from] InjectError),
    #[error("a task ended too early: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// What was found out.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// How many queries and rules were tried, and how many of them are exceptions.
    pub checks: usize,
    pub exceptions: usize,
    /// How many conditions of alerts had to hold.
    pub alerts: usize,
    pub has_postgres: bool,
    pub wrong: Vec<String>,
}

/// Starts everything, lets it go wrong, asks, and ends everything.
pub async fn run(options: &ObserveOptions) -> Result<Findings, ObserveError> {
    let dashboards = queries::of_dashboards(&options.dashboards)?;
    let mut scene = Scene::open().await?;
    let exceptions = Exceptions::read(&options.exceptions, scene.has_postgres())?;
    let targets = scene.targets();
    let prometheus = Prometheus::start(&targets, &options.rules).await?;
    let rules = prometheus.rules().await?;
    let mut checks = dashboards;
    for rule in &rules {
        checks.push(Check::of_rule(rule)?);
    }
    prometheus.wait_for_targets(targets.len()).await?;
    let from = unix_seconds();
    scene.play().await?;
    // What counts last is the look at the queues, every five seconds, and the rules that follow from it.
    tokio::time::sleep(Duration::from_secs(6) + 2 * SCRAPES).await;
    let span = (from, unix_seconds());
    let mut wrong = Vec::new();
    for (name, text) in scene.metrics().await? {
        wrong.extend(promtool::check_metrics(&text).await?.into_iter().map(|line| format!("{name}: {line}")));
    }
    let lacks = lacking(&prometheus, &checks, span).await?;
    wrong.extend(exceptions.judge(&lacks));
    let mut holding = HOLD.to_vec();
    if scene.has_postgres() {
        holding.extend(HOLD_ON_POSTGRES);
    }
    for (alert, labels) in &holding {
        if !holds(&prometheus, &rules, alert, labels, span).await? {
            wrong.push(format!("alert {alert} {labels:?} did not hold though its fault was there"));
        }
    }
    let has_postgres = scene.has_postgres();
    drop(prometheus);
    scene.close().await?;
    Ok(Findings {
        checks: lacks.len(),
        exceptions: exceptions.len(),
        alerts: holding.len(),
        has_postgres,
        wrong,
    })
}

/// By the name of the check, what of it has no data.
async fn lacking(
    prometheus: &Prometheus,
    checks: &[Check],
    span: (u64, u64),
) -> Result<BTreeMap<String, Vec<String>>, ObserveError> {
    let mut lacks: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for check in checks {
        let mut lacking = Vec::new();
        let valued = prometheus.valued(&check.expression, span).await?;
        if valued.is_empty() {
            lacking.push(check.expression.clone());
        }
        for label in &check.labels {
            if !valued.iter().any(|metric| metric[label].is_string()) {
                lacking.push(format!("no label {label}"));
            }
        }
        for selector in &check.selectors {
            if !prometheus.has_series(selector, span).await? {
                lacking.push(format!("no series {selector}"));
            }
        }
        // Two panels of one name are one check, which lacks what either lacks.
        lacks.entry(check.name.clone()).or_default().extend(lacking);
    }
    Ok(lacks)
}

/// Whether the whole condition of the alert was true at some moment, with these labels.
async fn holds(
    prometheus: &Prometheus,
    rules: &[Rule],
    alert: &str,
    labels: &[(&str, &str)],
    span: (u64, u64),
) -> Result<bool, ObserveError> {
    let rule = rules.iter().find(|rule| rule.name == alert);
    let rule = rule.ok_or_else(|| ObserveError::Answer(format!("there is no alert {alert}")))?;
    let valued = prometheus.valued(&rule.query, span).await?;
    Ok(valued.iter().any(|metric| labels.iter().all(|(name, value)| metric[*name] == *value)))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
