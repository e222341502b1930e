//! One process of the stack: started, waited for, ended gently or not, and never left behind.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::{
    StackError,
    output::{Lines, Output, pump},
    ready,
    searched::Metrics,
};

/// More than a service needs to drain (20 s) and to flush (5 s).
const STOP: Duration = Duration::from_secs(30);
/// A process that is stopped, or just going, keeps nobody waiting for its metrics.
const METRICS: Duration = Duration::from_millis(500);
/// What of this process's own environment a child gets when it does not inherit all of it.
const KEPT: &[&str] = &["PATH", "HOME", "TMPDIR", "LANG", "RUST_BACKTRACE", "LLVM_PROFILE_FILE"];

/// How to start a process.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) inherit_env: bool,
    /// Base address without a trailing slash.
    pub(super) url: String,
    pub(super) output: Output,
    pub(super) lines: Lines,
    /// Where its metrics are kept for a search, if anybody searches.
    pub(super) metrics: Option<Metrics>,
    pub(super) running: Option<Running>,
    /// From the start of the process to the first 200 of `/readyz`, the last time it was started.
    pub(super) ready_after: Duration,
}

/// Settings that a person may have set for a real router, and that would contradict what the stack sets.
const CONTRADICTING: [&str; 4] =
    ["WHATSAPP_VERIFY_TOKEN", "WHATSAPP_APP_SECRET", "ADMIN_LISTEN", "SECRETS_DIR"];

#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    watchdog: Option<Child>,
}

impl Service {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.running.as_ref().and_then(|running| running.child.id())
    }

    pub(super) fn output(&self) -> String {
        self.lines.all()
    }

    pub(super) fn set_env(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Starts the process and waits until it is ready.
    pub(super) async fn start(&mut self) -> Result<(), StackError> {
        let begin = Instant::now();
        let mut child = self.spawn()?;
        let watchdog = child.id().and_then(watch_over);
        let ready = ready::wait(self.name, &self.url, &mut child, &self.lines).await;
        // A process that is not ready is ended by dropping it.
        ready?;
        self.ready_after = begin.elapsed();
        self.running = Some(Running { child, watchdog });
        Ok(())
    }

    fn spawn(&self) -> Result<Child, StackError> {
        let mut command = Command::new(&self.program);
        if !self.inherit_env {
            command.env_clear().envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        for name in CONTRADICTING {
            command.env_remove(name);
        }
        command.args(&self.arguments).envs(&self.env);
        // A group of its own: Ctrl-C reaches this process alone, which then ends the others in order.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| StackError::Io {
            what: format!("start {} ({})", self.name, self.program.display()),
            source,
        })?;
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(pump(stdout, self.name, self.output.clone(), self.lines.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(pump(stderr, self.name, self.output.clone(), self.lines.clone()));
        }
        Ok(child)
    }

    pub(super) async fn kill(&mut self) -> Result<(), StackError> {
        self.remember_metrics();
        let mut running = self.running.take().ok_or(StackError::NotRunning(self.name))?;
        dismiss(running.watchdog.take()).await;
        running.child.kill().await.map_err(|source| self.io("kill", source))
    }

    /// Ends it with SIGTERM, and with SIGKILL when that takes too long.
    pub(super) async fn stop(&mut self) -> Result<ExitStatus, StackError> {
        self.remember_metrics();
        let mut running = self.running.take().ok_or(StackError::NotRunning(self.name))?;
        dismiss(running.watchdog.take()).await;
        let pid = running.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(|error| self.io("stop", error.into()))?;
        }
        match tokio::time::timeout(STOP, running.child.wait()).await {
            Ok(status) => status.map_err(|source| self.io("wait for", source)),
            Err(_) => {
                let _ = running.child.start_kill();
                running.child.wait().await.map_err(|source| self.io("wait for", source))
            }
        }
    }

    /// Before they are gone. A process that does not answer any more has none.
    fn remember_metrics(&self) {
        if self.pid().is_some() {
            let _ = self.ask_metrics(METRICS);
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> Result<(), StackError> {
        let pid = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or(StackError::NotRunning(self.name))?;
        kill_process(pid, signal).map_err(|error| self.io("signal", error.into()))
    }

    /// `Some` once, when it has ended without being asked to.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.running.as_mut()?.child.try_wait().ok()??;
        self.running = None;
        Some(status)
    }

    /// Resolves when the process ends; never, while there is none.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        match &mut self.running {
            Some(running) => running.child.wait().await,
            None => std::future::pending().await,
        }
    }

    fn io(&self, what: &str, source: io::Error) -> StackError {
        StackError::Io { what: format!("{what} the {}", self.name), source }
    }
}

/// A shell that waits for the end of this process, however it comes, and then kills the child. Its standard input is a
/// pipe whose other end closes when this process is gone. Without a shell there is no such insurance.
pub(crate) fn watch_over(pid: u32) -> Option<Child> {
    Command::new("sh")
        .args(["-c", r#"read -r _; kill -9 "$0""#, &pid.to_string()])
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
}

/// Before the child may be reaped and its number given to somebody else.
async fn dismiss(watchdog: Option<Child>) {
    if let Some(mut watchdog) = watchdog {
        // The order matters: waiting closes the pipe, which must find nobody who listens.
        let _ = watchdog.start_kill();
        let _ = watchdog.wait().await;
    }
}
