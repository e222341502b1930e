//! A real Prometheus of our own: started, asked over HTTP, and gone with this process.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::ObserveError;
use crate::stack::{free_port, watch_over};

/// Between two looks at the services.
pub(super) const SCRAPES: Duration = Duration::from_secs(1);
/// Between two points of a query over time.
const STEP: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);
/// What all targets are labelled with; the dashboard asks for one.
pub(super) const NAMESPACE: &str = "sandbox";

#[derive(Debug)]
pub(super) struct Prometheus {
    // Ended before its folder goes.
    _child: Child,
    _watchdog: Option<Child>,
    url: String,
    client: Client,
    folder: TempDir,
}

/// Who is scraped.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) job: &'static str,
    /// Host and port.
    pub(super) address: String,
}

/// A rule as Prometheus has read it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) query: String,
    /// Of an alert.
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    /// `alerting` or `recording`.
    #[serde(rename = "type")]
    pub(super) kind: String,
}

impl Prometheus {
    /// Answers when it is ready. `rules` is a file of rules.
    pub(super) async fn start(targets: &[Target], rules: &Path) -> Result<Self, ObserveError> {
        let folder = tempfile::Builder::new()
            .prefix("whatsapp-prometheus-")
            .tempdir()
            .map_err(|error| ObserveError::Files("make a folder for prometheus".to_owned(), error))?;
        let rules = std::path::absolute(rules)
            .map_err(|error| ObserveError::Files(format!("find {}", rules.display()), error))?;
        let file = folder.path().join("prometheus.yaml");
        // Whatever is JSON is YAML.
        std::fs::write(&file, configuration(targets, &rules).to_string())
            .map_err(|error| ObserveError::Files("write prometheus.yaml".to_owned(), error))?;
        let address = free_port(IpAddr::V4(Ipv4Addr::LOCALHOST)).ok_or(ObserveError::NoPort)?;
        let log = std::fs::File::create(folder.path().join("log"))
            .map_err(|error| ObserveError::Files("make a log for prometheus".to_owned(), error))?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| ObserveError::NoProgram("prometheus", error))?;
        let watchdog = child.id().and_then(watch_over);
        let client =
            crate::simulator::http_client().map_err(|error| ObserveError::Ask("start".to_owned(), error))?;
        let url = format!("http://{address}");
        let mut started = Self { _child: child, _watchdog: watchdog, url, client, folder };
        started.wait_until_ready().await?;
        Ok(started)
    }

    async fn wait_until_ready(&mut self) -> Result<(), ObserveError> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let answer = self.client.get(format!("{}/-/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        Err(ObserveError::NotReady(log))
    }

    /// Waits until each of so many targets was scraped.
    pub(super) async fn wait_for_targets(&self, count: usize) -> Result<(), ObserveError> {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            let up = self.ask("query", &[("query", "count(up == 1)")]).await?;
            if up["result"][0]["value"][1].as_str().and_then(|text| text.parse().ok()) == Some(count) {
                return Ok(());
            }
            tokio::time::sleep(SCRAPES / 4).await;
        }
        Err(ObserveError::NotScraped)
    }

    pub(super) async fn rules(&self) -> Result<Vec<Rule>, ObserveError> {
        let data = self.ask("rules", &[]).await?;
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().filter_map(|group| group["rules"].as_array()).flatten();
        rules
            .map(|rule| Rule::deserialize(rule).map_err(|error| ObserveError::Answer(error.to_string())))
            .collect()
    }

    /// The labels of all that had a value at any moment of the span, in seconds of Unix time. What is no number
    /// counts as none: a percentile of nothing is `NaN`.
    pub(super) async fn valued(
        &self,
        expression: &str,
        (from, to): (u64, u64),
    ) -> Result<Vec<Value>, ObserveError> {
        let (from, to, step) = (from.to_string(), to.to_string(), STEP.as_secs().to_string());
        let parameters =
            [("query", expression), ("start", from.as_str()), ("end", to.as_str()), ("step", step.as_str())];
        Ok(with_numbers(&self.ask("query_range", &parameters).await?))
    }

    /// Whether there was any series by this selector.
    pub(super) async fn has_series(
        &self,
        selector: &str,
        (from, to): (u64, u64),
    ) -> Result<bool, ObserveError> {
        let (from, to) = (from.to_string(), to.to_string());
        let parameters = [("match[]", selector), ("start", from.as_str()), ("end", to.as_str())];
        Ok(self.ask("series", &parameters).await?.as_array().is_some_and(|series| !series.is_empty()))
    }

    async fn ask(&self, what: &str, parameters: &[(&str, &str)]) -> Result<Value, ObserveError> {
        let url = Url::parse_with_params(&format!("{}/api/v1/{what}", self.url), parameters)
            .map_err(|error| ObserveError::Answer(error.to_string()))?;
        let failed = |error| ObserveError::Ask(what.to_owned(), error);
        let body = self.client.get(url).send().await.map_err(failed)?.bytes().await.map_err(failed)?;
        let mut answer: Value =
            serde_json::from_slice(&body).map_err(|error| ObserveError::Answer(error.to_string()))?;
        if answer["status"] != "success" {
            return Err(ObserveError::Answer(format!("{parameters:?}: {}", answer["error"])));
        }
        Ok(answer["data"].take())
    }
}

fn configuration(targets: &[Target], rules: &Path) -> Value {
    let every = format!("{}s", SCRAPES.as_secs());
    let jobs: Vec<_> = targets
        .iter()
        .map(|target| target.job)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|job| {
            let addresses: Vec<_> =
                targets.iter().filter(|target| target.job == job).map(|target| &target.address).collect();
            json!({"job_name": job, "static_configs": [{"targets": addresses, "labels": {"namespace": NAMESPACE}}]})
        })
        .collect();
    json!({
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": "2s"},
        "rule_files": [rules],
        "scrape_configs": jobs,
    })
}

fn with_numbers(data: &Value) -> Vec<Value> {
    let is_number = |value: &Value| value[1].as_str().is_some_and(|text| text != "NaN");
    let series = data["result"].as_array().into_iter().flatten();
    series
        .filter(|series| series["values"].as_array().into_iter().flatten().any(is_number))
        .map(|series| series["metric"].clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_of_nothing_is_no_value() {
        let range = |values: Value| {
            let result = [json!({"metric": {"a": "b"}, "values": values})];
            with_numbers(&json!({"resultType": "matrix", "result": result}))
        };
        assert_eq!(range(json!([[1, "NaN"], [2, "0"]])), [json!({"a": "b"})]);
        assert_eq!(range(json!([[1, "+Inf"]])).len(), 1);
        assert!(range(json!([[1, "NaN"]])).is_empty());
        assert!(with_numbers(&json!({"resultType": "matrix", "result": []})).is_empty());
    }

    #[test]
    fn targets_of_one_job_are_one_entry() {
        let target = |job, address: &str| Target { job, address: address.to_owned() };
        let targets = [target("router", "a:1"), target("server", "b:1"), target("router", "a:2")];
        let written = configuration(&targets, Path::new("/rules.yaml"));
        assert_eq!(written["scrape_configs"].as_array().map(Vec::len), Some(2));
        assert_eq!(written["scrape_configs"][0]["static_configs"][0]["targets"], json!(["a:1", "a:2"]));
    }
}
