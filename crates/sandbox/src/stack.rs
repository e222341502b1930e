//! The whole product on one machine: server and router as real processes, the simulator in this one. Made for
//! `sandbox run`, for load, and for tests that kill things.

mod binaries;
mod builder;
mod child;
mod output;
mod ports;
mod ready;
mod routers;
mod search;
mod searched;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

pub(crate) use binaries::router as router_binary;
pub use builder::StackBuilder;
use bytes::Bytes;
use child::Service;
pub(crate) use child::watch_over;
pub use output::Output;
pub(crate) use ports::free as free_port;
use searched::Searched;

use crate::simulator::{InjectError, Signing, Simulator, StartError, WebhookAnswer};

/// Why the stack, or one of its processes, did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    #[error(
        "the program {name} is neither at {} nor named by {variable}; build it with `cargo build --workspace`",
        .expected.display()
    )]
    NoBinary { name: &'static str, variable: &'static str, expected: PathBuf },
    #[error("{address} is taken by another program; choose another address for the {name} with {flag}")]
    PortTaken { name: &'static str, address: SocketAddr, flag: &'static str },
    #[error("no free port was found on {0}")]
    NoFreePort(std::net::IpAddr),
    #[error("the {name} ended with {status} before it was ready; its last words:\n{output}")]
    Exited { name: &'static str, status: ExitStatus, output: String },
    #[error("the {name} was not ready after {seconds} s; its last words:\n{output}")]
    NotReady { name: &'static str, seconds: u64, output: String },
    #[error("the {0} is not running, start it first")]
    NotRunning(&'static str),
    #[error("could not prepare the simulator: {0}")]
    Simulator(#[from] StartError),
    #[error("could not {what}: {source}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
}

/// Server, router and simulator, running. All of it ends when this is dropped.
#[derive(Debug)]
pub struct Stack {
    // The processes come first: they are dropped before the simulator that they talk to.
    /// At least one.
    routers: Vec<Service>,
    server: Option<Service>,
    simulator: Arc<Simulator>,
    data: Data,
    searched: Option<Searched>,
}

/// A test whose services told what they must not fails, whatever it is about.
impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let found = self.leaks();
        assert!(found.is_empty(), "the services tell what nobody may read there:\n{}", found.join("\n"));
    }
}

/// Where the router's database is.
#[derive(Debug)]
enum Data {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Data {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

impl Stack {
    /// Everything on loopback, free ports, random secrets, a temporary folder.
    pub fn builder() -> StackBuilder {
        StackBuilder::default()
    }

    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// For whoever sends while the stack's processes are being killed.
    pub fn shared_simulator(&self) -> Arc<Simulator> {
        Arc::clone(&self.simulator)
    }

    /// Base address of the router, without a trailing slash.
    pub fn router_url(&self) -> &str {
        self.routers[0].url()
    }

    /// Base address of the server, or of whatever stands in for it.
    pub fn server_url(&self) -> Option<&str> {
        self.server.as_ref().map(Service::url)
    }

    /// The folder of the router's database.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// `None` while the router is not running.
    pub fn router_pid(&self) -> Option<u32> {
        self.routers[0].pid()
    }

    /// How long the router took from its start to its first 200 on `/readyz`; the look is taken every 5 ms.
    pub fn router_ready_after(&self) -> Duration {
        self.routers[0].ready_after
    }

    pub fn server_pid(&self) -> Option<u32> {
        self.server.as_ref().and_then(Service::pid)
    }

    /// The last lines that the router wrote, over all of its lives.
    pub fn router_output(&self) -> String {
        self.routers[0].output()
    }

    pub fn server_output(&self) -> String {
        self.server.as_ref().map(Service::output).unwrap_or_default()
    }

    /// Signs a webhook body as Meta does and posts it to the router, once.
    pub async fn webhook(&self, body: impl Into<Bytes>) -> Result<WebhookAnswer, InjectError> {
        self.simulator.inject(body, Signing::Right).await
    }

    /// Ends the router in the middle of whatever it does (SIGKILL).
    pub async fn kill_router(&mut self) -> Result<(), StackError> {
        self.routers[0].kill().await
    }

    /// Ends the router in good order (SIGTERM) and waits for it.
    pub async fn stop_router(&mut self) -> Result<ExitStatus, StackError> {
        self.routers[0].stop().await
    }

    /// Starts the router again, at the same address and with the same data, and waits until it is ready.
    pub async fn start_router(&mut self) -> Result<(), StackError> {
        self.routers[0].start().await
    }

    /// Sets a variable of every router's environment from its next start on.
    pub fn set_router_env(&mut self, name: &str, value: &str) {
        for router in &mut self.routers {
            router.set_env(name, value);
        }
    }

    pub async fn kill_server(&mut self) -> Result<(), StackError> {
        self.server_mut()?.kill().await
    }

    pub async fn stop_server(&mut self) -> Result<ExitStatus, StackError> {
        self.server_mut()?.stop().await
    }

    pub async fn start_server(&mut self) -> Result<(), StackError> {
        self.server_mut()?.start().await
    }

    /// Waits until a process ends that should not; answers which one, and how.
    pub async fn wait_for_exit(&mut self) -> (&'static str, io::Result<ExitStatus>) {
        let all = self.routers.iter_mut().chain(&mut self.server);
        let ends = all.map(|service| Box::pin(async { (service.name(), service.wait().await) }));
        futures_util::future::select_all(ends).await.0
    }

    /// Ends everything in good order, the router before the server that it may still need.
    pub async fn shutdown(mut self) -> Result<(), StackError> {
        for router in &mut self.routers {
            if router.pid().is_some() {
                router.stop().await?;
            }
        }
        if let Some(server) = &mut self.server
            && server.pid().is_some()
        {
            server.stop().await?;
        }
        self.simulator.shutdown();
        Ok(())
    }

    fn server_mut(&mut self) -> Result<&mut Service, StackError> {
        self.server.as_mut().ok_or(StackError::NotRunning("server"))
    }
}
