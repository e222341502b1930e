//! A private PostgreSQL for tests: a cluster of its own in a temporary folder, on loopback, that can be stopped, killed and
//! restarted, and that never outlives the process that started it.

mod programs;
mod watchdog;

use std::{
    fs::{self, File},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use programs::Account;
pub use programs::{HOW_TO_INSTALL, Programs, Unavailable};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use watchdog::Watchdog;

use crate::stack::free_port;

/// The cluster's one superuser; everybody on loopback is believed to be it.
const USER: &str = "router";
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// Why a cluster did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("no free port was found for postgresql on {0}")]
    NoFreePort(IpAddr),
    #[error("could not {what}: {source}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("{program} failed: {output}")]
    Failed { program: &'static str, output: String },
    #[error("postgresql was not ready after {} s; its log ends with:\n{log}", PATIENCE.as_secs())]
    NotReady { log: String },
}

/// A running PostgreSQL with `fsync` and `synchronous_commit` on. It is stopped and removed when this is dropped, and by a
/// watchdog when this process is killed. Calls block; from async code a test may simply make them.
#[derive(Debug)]
pub struct Cluster {
    programs: Programs,
    account: Option<Account>,
    address: SocketAddr,
    databases: AtomicU64,
    server: Mutex<Option<Server>>,
    settings: Vec<String>,
    // The last ones: the folder goes when nobody writes to it any more.
    _remover: Option<Watchdog>,
    folder: TempDir,
}

#[derive(Debug)]
struct Server {
    child: Child,
    _watchdog: Option<Watchdog>,
}

impl Cluster {
    /// The programs that a cluster needs, or the reason why there can be none here.
    pub fn available() -> Result<Programs, Unavailable> {
        let programs = programs::find()?;
        programs::account()?;
        Ok(programs)
    }

    /// As [`Cluster::start`], or `None` where PostgreSQL is not installed, which is said loudly on standard error.
    /// Any other failure is an error.
    pub fn start_if_available(what_is_skipped: &str) -> Option<Result<Self, PostgresError>> {
        match Self::available() {
            Ok(_) => Some(Self::start()),
            Err(reason) => {
                // Not by `eprintln!`, which a test that passes does not show.
                let _ = writeln!(io::stderr(), "NOT RUN: {what_is_skipped}: {reason}; {HOW_TO_INSTALL}");
                None
            }
        }
    }

    pub fn start() -> Result<Self, PostgresError> {
        Self::start_with(&[])
    }

    /// With further settings, each as `name=value`.
    pub fn start_with(settings: &[&str]) -> Result<Self, PostgresError> {
        let programs = programs::find()?;
        let account = programs::account()?;
        let folder = tempfile::Builder::new()
            .prefix("whatsapp-postgres-")
            .tempdir_in(programs::reachable_temp_dir(account.is_some()))
            .map_err(io_error("make a folder for postgresql"))?;
        if let Some(account) = account {
            std::os::unix::fs::chown(folder.path(), Some(account.uid), Some(account.gid))
                .map_err(io_error("give the folder to the user of postgresql"))?;
        }
        let address = free_port(IpAddr::V4(Ipv4Addr::LOCALHOST))
            .ok_or(PostgresError::NoFreePort(IpAddr::V4(Ipv4Addr::LOCALHOST)))?;
        let cluster = Self {
            address,
            databases: AtomicU64::new(0),
            server: Mutex::new(None),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            _remover: watchdog::remove(folder.path()),
            folder,
            programs,
            account,
        };
        cluster.initialise()?;
        cluster.start_again()?;
        Ok(cluster)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A fresh, empty database; the answer is its URL.
    pub fn new_database(&self) -> Result<String, PostgresError> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed) + 1);
        let mut command = self.client("createdb");
        command.arg(&name);
        run("createdb", &mut command)?;
        Ok(self.url(&name))
    }

    pub fn url(&self, database: &str) -> String {
        self.url_by(self.address, database)
    }

    /// The database as it is reached by another address, such as a proxy's.
    pub fn url_by(&self, address: SocketAddr, database: &str) -> String {
        format!("postgres://{USER}@{address}/{database}")
    }

    /// Runs one statement with `psql` and answers what it prints: rows by line, columns by `|`.
    pub fn query(&self, database: &str, sql: &str) -> Result<String, PostgresError> {
        let mut command = self.client("psql");
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql]);
        run("psql", &mut command)
    }

    /// Ends it in good order: sessions are cut off, everything is written (`pg_ctl stop -m fast`).
    pub fn stop(&self) -> Result<(), PostgresError> {
        let Some(mut server) = self.lock().take() else { return Ok(()) };
        signal(server.child.id(), Signal::INT);
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            if server.child.try_wait().map_err(io_error("wait for postgresql"))?.is_some() {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        kill_all(&mut server.child);
        Err(PostgresError::NotReady { log: self.log() })
    }

    /// Ends every process of it at once (SIGKILL), as a machine that loses its power does.
    pub fn kill(&self) {
        if let Some(mut server) = self.lock().take() {
            kill_all(&mut server.child);
        }
    }

    /// Starts it again with the same data at the same address, and waits until it takes connections.
    pub fn start_again(&self) -> Result<(), PostgresError> {
        let begin = Instant::now();
        let mut running = self.lock();
        while begin.elapsed() < PATIENCE {
            let mut server = match running.take() {
                Some(server) => server,
                None => self.spawn()?,
            };
            // After a kill it gives up while the last of the killed processes is still there; then it is tried again.
            let ended = server.child.try_wait().map_err(io_error("look after postgresql"))?.is_some();
            if !ended {
                *running = Some(server);
                if self
                    .client("pg_isready")
                    .args(["-q", "-t", "1"])
                    .status()
                    .is_ok_and(|ready| ready.success())
                {
                    return Ok(());
                }
            }
            std::thread::sleep(PAUSE);
        }
        Err(PostgresError::NotReady { log: self.log() })
    }

    pub fn restart(&self) -> Result<(), PostgresError> {
        self.stop()?;
        self.start_again()
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn initialise(&self) -> Result<(), PostgresError> {
        let mut command = self.command("initdb");
        command.arg("--pgdata").arg(self.data()).args([
            "--username",
            USER,
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        run("initdb", &mut command).map(drop)
    }

    fn spawn(&self) -> Result<Server, PostgresError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path())
            .map_err(io_error("write the log of postgresql"))?;
        let errors = log.try_clone().map_err(io_error("write the log of postgresql"))?;
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(log).stderr(errors);
        let port = format!("port={}", self.address.port());
        let fixed = [
            "listen_addresses=127.0.0.1",
            port.as_str(),
            "unix_socket_directories=",
            "max_connections=300",
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            "max_wal_size=256MB",
        ];
        for setting in fixed.into_iter().chain(self.settings.iter().map(String::as_str)) {
            command.arg("-c").arg(setting);
        }
        let child = command.spawn().map_err(io_error("start postgres"))?;
        let watchdog = watchdog::end(child.id());
        Ok(Server { child, _watchdog: watchdog })
    }

    /// A program that connects to this cluster.
    fn client(&self, program: &'static str) -> Command {
        let mut command = self.command(program);
        command.args(["-h", "127.0.0.1", "-U", USER, "-p"]).arg(self.address.port().to_string());
        command
    }

    fn command(&self, program: &'static str) -> Command {
        let mut command = Command::new(self.programs.folder.join(program));
        // PGHOST and its like, which a person may have set, are for another server.
        command.env_clear().env("LC_ALL", "C").env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.folder.path());
        programs::as_account(&mut command, self.account);
        command
    }

    fn lock(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What it holds goes with its folder, so there is nothing to write in good order.
        self.kill();
    }
}

/// The server's processes by their parent: each has a session of its own, so there is no group to kill.
fn kill_all(child: &mut Child) {
    // Stopped first, so that it starts no new one while its children are counted.
    signal(child.id(), Signal::STOP);
    let children = children_of(child.id());
    signal(child.id(), Signal::KILL);
    for pid in children {
        signal(pid, Signal::KILL);
    }
    let _ = child.wait();
}

/// Empty where there is no `/proc`; the children then notice by themselves that their parent is gone.
fn children_of(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        // It may be gone already.
        let _ = kill_process(pid, signal);
    }
}

fn run(program: &'static str, command: &mut Command) -> Result<String, PostgresError> {
    let output = command.stdin(Stdio::null()).output().map_err(io_error("start a program of postgresql"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let output =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(PostgresError::Failed { program, output: output.trim_end().to_owned() })
}

fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> PostgresError {
    move |source| PostgresError::Io { what, source }
}

/// Whether others than the owner may pass through every folder on the way.
fn reachable(folder: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    folder
        .ancestors()
        .all(|part| fs::metadata(part).is_ok_and(|about| about.permissions().mode() & 0o001 != 0))
}
