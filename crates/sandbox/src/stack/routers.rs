//! Several routers on one database, each of which can be ended, paused and started by itself. They are counted from 0.

use std::process::ExitStatus;

use rustix::process::Signal;

use super::{Stack, StackError, child::Service};

/// What they are called in messages and log files; there are no more.
pub(super) const NAMES: [&str; 5] = ["router", "router-2", "router-3", "router-4", "router-5"];

impl Stack {
    pub fn router_count(&self) -> usize {
        self.routers.len()
    }

    /// Base address, without a trailing slash.
    pub fn router_url_at(&self, index: usize) -> &str {
        self.routers[index].url()
    }

    pub fn router_pid_at(&self, index: usize) -> Option<u32> {
        self.routers[index].pid()
    }

    pub fn router_output_at(&self, index: usize) -> String {
        self.routers[index].output()
    }

    pub fn set_router_env_at(&mut self, index: usize, name: &str, value: &str) {
        self.routers[index].set_env(name, value);
    }

    /// From its next start on.
    pub fn unset_router_env(&mut self, name: &str) {
        for router in &mut self.routers {
            router.env.remove(name);
        }
    }

    /// SIGKILL.
    pub async fn kill_router_at(&mut self, index: usize) -> Result<(), StackError> {
        self.routers[index].kill().await
    }

    /// SIGTERM, and its end is waited for.
    pub async fn stop_router_at(&mut self, index: usize) -> Result<ExitStatus, StackError> {
        self.routers[index].stop().await
    }

    /// Starts it at the same address, and waits until it is ready. When the future is dropped before, it is killed.
    pub async fn start_router_at(&mut self, index: usize) -> Result<(), StackError> {
        self.routers[index].start().await
    }

    /// SIGSTOP: it does nothing more, and webhooks go to the others, as if its readiness had been asked for.
    pub fn pause_router_at(&mut self, index: usize) -> Result<(), StackError> {
        self.routers[index].signal(Signal::STOP)?;
        self.send_webhooks_to_all_but(Some(index));
        Ok(())
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub fn continue_router_at(&mut self, index: usize) -> Result<(), StackError> {
        self.routers[index].signal(Signal::CONT)?;
        self.send_webhooks_to_all_but(None);
        Ok(())
    }

    /// `Some` once after it has ended by itself.
    pub fn router_ended_at(&mut self, index: usize) -> Option<ExitStatus> {
        self.routers[index].ended()
    }

    /// Where webhooks may go: the full addresses of every router's `/webhook`.
    pub fn webhook_urls(&self) -> Vec<String> {
        self.routers.iter().map(webhook_url).collect()
    }

    fn send_webhooks_to_all_but(&self, left_out: Option<usize>) {
        let routers = self.routers.iter().enumerate().filter(|(index, _)| Some(*index) != left_out);
        let urls: Vec<String> = routers.map(|(_, router)| webhook_url(router)).collect();
        self.simulator.set_router_webhook_urls(&urls);
    }
}

fn webhook_url(router: &Service) -> String {
    format!("{}/webhook", router.url)
}
