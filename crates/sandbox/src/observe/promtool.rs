//! `promtool check metrics`: what Prometheus' own tool says of the names and the text that a service shows.

use std::process::Stdio;

use tokio::{io::AsyncWriteExt, process::Command};

use super::ObserveError;

/// The lines of its complaints; none when it has none.
pub(super) async fn check_metrics(text: &str) -> Result<Vec<String>, ObserveError> {
    let missing = |error| ObserveError::NoProgram("promtool", error);
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).await.map_err(missing)?;
    }
    let output = child.wait_with_output().await.map_err(missing)?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let words = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&words)
        .lines()
        .map(|line| format!("promtool check metrics: {line}"))
        .collect())
}
