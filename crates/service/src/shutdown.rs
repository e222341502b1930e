//! The orderly end of a process: drain first, then stop. The first SIGTERM or SIGINT starts it, the second one
//! ends the process at once.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::settings::Env;

/// How long in-flight requests may take once nothing new is accepted.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    Draining,
    Stopped,
}

/// Cheap to clone; every task that must end in order holds one.
#[derive(Debug, Clone)]
pub struct Shutdown {
    stage: Arc<watch::Sender<Stage>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// One that nothing but [`Shutdown::begin`] sets off.
    pub fn new() -> Self {
        Self { stage: Arc::new(watch::Sender::new(Stage::Running)) }
    }

    /// One that SIGTERM and SIGINT set off; the second signal exits with code 1 at once.
    /// The error is that of the operating system when a signal cannot be listened to.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let mut signals = Signals::listen()?;
        let first = shutdown.clone();
        tokio::spawn(async move {
            let name = signals.next().await;
            tracing::info!(signal = name, "draining, a second signal ends at once");
            first.begin();
            let name = signals.next().await;
            tracing::warn!(signal = name, "second signal, ending at once");
            std::process::exit(1);
        });
        Ok(shutdown)
    }

    /// Starts draining; has no effect when that already happened.
    pub fn begin(&self) {
        self.advance(Stage::Draining);
    }

    /// Says that nothing new comes in any more, so that workers and the admin listener end as well.
    pub fn stop(&self) {
        self.advance(Stage::Stopped);
    }

    fn advance(&self, to: Stage) {
        self.stage.send_if_modified(|stage| {
            let forward = *stage < to;
            if forward {
                *stage = to;
            }
            forward
        });
    }

    /// True from the first signal on.
    pub fn is_draining(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// True once nothing new comes in any more.
    pub fn is_stopped(&self) -> bool {
        *self.stage.borrow() >= Stage::Stopped
    }

    /// Waits for the first signal. Resolves at once when it has been.
    pub async fn draining(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Waits until the listeners are done. Resolves at once when they are.
    pub async fn stopped(&self) {
        self.reached(Stage::Stopped).await;
    }

    async fn reached(&self, wanted: Stage) {
        let mut stage = self.stage.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = stage.wait_for(|stage| *stage >= wanted).await;
    }
}

/// Reads `SHUTDOWN_DRAIN_DELAY`: how long new connections are still taken after the first signal, because a load
/// balancer needs a moment to see that this process is not ready any more.
pub fn read_drain_delay(env: &mut Env) -> Option<Duration> {
    let default = if env.is_set("KUBERNETES_SERVICE_HOST") { "5s" } else { "0s" };
    env.var(
        "SHUTDOWN_DRAIN_DELAY",
        "how long new requests are still taken after SIGTERM while not ready any more",
    )
    .default(default)
    .default_in_words("5s in Kubernetes, else 0s")
    .duration()
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "ctrl-c"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stages_only_go_forward_and_late_listeners_see_them() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_draining());
        shutdown.begin();
        shutdown.draining().await;
        shutdown.stop();
        shutdown.begin();
        shutdown.stopped().await;
        assert!(shutdown.is_draining());
    }

    #[tokio::test]
    async fn a_task_that_waits_is_woken_by_another_clone() {
        let shutdown = Shutdown::new();
        let waiting = shutdown.clone();
        let task = tokio::spawn(async move { waiting.stopped().await });
        shutdown.stop();
        task.await.unwrap();
    }

    #[test]
    fn the_delay_depends_on_the_cluster_unless_it_is_set() {
        let delay = |pairs: &[(&str, &str)]| read_drain_delay(&mut Env::from_pairs(pairs.iter().copied()));
        assert_eq!(delay(&[]), Some(Duration::ZERO));
        assert_eq!(delay(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]), Some(Duration::from_secs(5)));
        assert_eq!(
            delay(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("SHUTDOWN_DRAIN_DELAY", "100ms")]),
            Some(Duration::from_millis(100))
        );
    }
}
