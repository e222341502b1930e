//! One run of one case: routers, people who write, and the record of it all, from the first message to the verdict.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    ChaosError, Context, Store,
    check::judge,
    history::{Cause, History, Policy},
    ledger::{self, API_KEY, Asked},
    recorder::{Recorder, read_reply, unix_millis},
    report::{Row, Verdict},
    traffic::{Manner, Traffic},
};
use crate::{
    postgres::Cluster,
    proxy::{Mode, Proxy},
    simulator::{Faults, RetryOptions, StatusOptions},
    stack::{Output, Stack},
};

/// How long nothing may move before what is missing counts as lost. Longer than any wait that the cases lead to.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// After everything is answered: time for an answer too many.
const AFTERWARDS: Duration = Duration::from_millis(1_500);
/// What the routers are told as `LEASE_DURATION`.
pub(super) const LEASE: Duration = Duration::from_secs(3);

/// What a case needs.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) routers: usize,
    /// Without one, the simulator's backend answers, which can be made to fail.
    pub(super) server: bool,
    pub(super) env: Vec<(&'static str, String)>,
    pub(super) policy: Policy,
    pub(super) may_die: bool,
    pub(super) manner: Manner,
    /// Whether PostgreSQL is reached through a line that can be cut.
    pub(super) proxy: bool,
    /// Where SQLite's file is, when it must be somewhere special.
    pub(super) data: Option<PathBuf>,
    /// The router is started by a shell that makes it survive a file size limit.
    pub(super) file_size_limited: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            routers: 1,
            server: true,
            env: Vec::new(),
            policy: Policy::Repeat,
            may_die: false,
            manner: Manner::default(),
            proxy: false,
            data: None,
            file_size_limited: false,
        }
    }
}

pub(super) struct Scene {
    pub(super) stack: Stack,
    pub(super) cluster: Option<Arc<Cluster>>,
    pub(super) proxy: Option<Proxy>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) traffic: Traffic,
    pub(super) rng: StdRng,
    /// Kills and other faults so far.
    pub(super) faults: usize,
    pub(super) note: String,
    /// What happened that should not have.
    strange: Vec<String>,
    setup: Setup,
    logs: PathBuf,
    began: Instant,
}

impl Scene {
    /// Starts everything; people begin to write at once.
    pub(super) async fn open(context: &Context, setup: Setup) -> Result<Self, ChaosError> {
        let began = Instant::now();
        let logs = context.logs();
        std::fs::create_dir_all(&logs).map_err(ChaosError::Files)?;
        let cluster = match context.store {
            Store::Sqlite => None,
            Store::Postgres => Some(Arc::new(tokio::task::spawn_blocking(Cluster::start).await??)),
        };
        let mut proxy = None;
        let mut builder = Stack::builder()
            .output(Output::Files(logs.clone()))
            .search_output()
            .routers(setup.routers)
            .simulator(|options| {
                options.people = (0..setup.manner.people)
                    .map(|contact| crate::simulator::Person {
                        name: format!("Person {contact}"),
                        wa_id: super::recorder::wa_id(contact),
                    })
                    .collect();
                options.retry =
                    RetryOptions { first: Duration::from_millis(50), max: Duration::from_millis(400) };
                options.webhook_timeout = setup.manner.patience;
                options.statuses =
                    StatusOptions { delivered: Some(Duration::from_millis(60)), ..StatusOptions::default() };
            })
            .router_env("SEND_UNCERTAIN_WAIT", "1s")
            .router_env("LEASE_DURATION", format!("{}s", LEASE.as_secs()))
            .router_env("ROUTER_API_KEYS", API_KEY)
            .router_env("BACKEND_TIMEOUT", "3s")
            .router_env("WHATSAPP_STOPPED_CHANNEL_WAIT", "1s")
            .router_env("LOG_LEVEL", "info,router=debug")
            .server_env("LOG_LEVEL", "warn");
        if let Some(cluster) = &cluster {
            let url = cluster.new_database()?;
            let database = url.rsplit('/').next().unwrap_or_default().to_owned();
            let address = if setup.proxy {
                let started = Proxy::start(cluster.address()).await.map_err(ChaosError::Files)?;
                proxy.insert(started).address()
            } else {
                cluster.address()
            };
            builder = builder.database(cluster.url_by(address, &database));
        }
        if let Some(data) = &setup.data {
            builder = builder.data_dir(data);
        }
        if !setup.server {
            builder = builder.without_server();
        }
        if setup.file_size_limited {
            let router = crate::stack::router_binary()?;
            builder = builder.router_program("/bin/sh", &["-c", r#"trap '' XFSZ; exec "$0" serve"#, &router]);
        }
        for (name, value) in &setup.env {
            builder = builder.router_env(name, value.clone());
        }
        let stack = builder.start().await?;
        let recorder = Arc::new(Recorder::default());
        let traffic =
            Traffic::start(stack.shared_simulator(), Arc::clone(&recorder), setup.manner, context.seed);
        Ok(Self {
            stack,
            cluster,
            proxy,
            recorder,
            traffic,
            rng: StdRng::seed_from_u64(context.seed),
            faults: 0,
            note: String::new(),
            strange: Vec::new(),
            setup,
            logs,
            began,
        })
    }

    /// A time between the two, for which everything goes on.
    pub(super) async fn wait(&mut self, least: u64, most: u64) {
        let millis = self.rng.random_range(least..=most);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    pub(super) fn faults(&self, document: serde_json::Value) -> Result<(), ChaosError> {
        let faults: Faults =
            serde_json::from_value(document).map_err(|error| ChaosError::Faults(error.to_string()))?;
        self.stack.simulator().set_faults(faults);
        Ok(())
    }

    pub(super) async fn kill(&mut self, router: usize) -> Result<(), ChaosError> {
        self.stack.kill_router_at(router).await?;
        self.recorder.excuse_now(Cause::Killed);
        self.faults += 1;
        Ok(())
    }

    /// Starts it, again and again while it ends by itself, as whoever looks after processes does.
    pub(super) async fn start(&mut self, router: usize) -> Result<(), ChaosError> {
        let begin = Instant::now();
        loop {
            match self.stack.start_router_at(router).await {
                Ok(()) => return Ok(()),
                Err(error) if begin.elapsed() > PATIENCE => return Err(error.into()),
                Err(_) => {
                    self.recorder.excuse_now(Cause::Killed);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Sets the database out of reach, one way or another, for a while.
    pub(super) async fn cut(&mut self, mode: Mode, time: Duration) {
        let from = unix_millis();
        if let Some(proxy) = &self.proxy {
            proxy.set(mode);
        }
        tokio::time::sleep(time).await;
        if let Some(proxy) = &self.proxy {
            proxy.set(Mode::Pass);
        }
        self.recorder.excuse(Cause::DatabaseAway, from, unix_millis());
        self.faults += 1;
    }

    /// Waits until so many more messages were begun.
    pub(super) async fn more(&self, count: u32) {
        let until = self.traffic.sent() + count;
        while self.traffic.sent() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends all faults, lets everybody finish, and waits until the routers have.
    pub(super) async fn settle(&mut self) -> Result<(), ChaosError> {
        self.stack.simulator().set_faults(Faults::default());
        if let Some(proxy) = &self.proxy {
            proxy.set(Mode::Pass);
        }
        for router in 0..self.stack.router_count() {
            if let Some(status) = self.stack.router_ended_at(router) {
                // Whoever wanted it to end has seen it before.
                self.strange.push(format!("router {router} ended by itself: {status}"));
            }
            if self.stack.router_pid_at(router).is_none() {
                self.start(router).await?;
            }
        }
        self.traffic.stop(PATIENCE).await;
        let mut progress = (self.progress(), Instant::now());
        while progress.1.elapsed() < PATIENCE && !self.is_done().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.progress();
            if now != progress.0 {
                progress = (now, Instant::now());
            }
        }
        tokio::time::sleep(AFTERWARDS).await;
        Ok(())
    }

    /// Everything that moves when something is done.
    fn progress(&self) -> (usize, usize) {
        (self.stack.simulator().taken_count(), self.recorder.accepted_count())
    }

    async fn is_done(&self) -> bool {
        if self.stack.simulator().taken_count() < self.recorder.accepted_count() && !self.setup.may_die {
            return false;
        }
        let answered: BTreeSet<(u32, u32)> = self
            .stack
            .simulator()
            .messages()
            .iter()
            .filter_map(|message| read_reply(message).ok())
            .map(|reply| (reply.contact, reply.number))
            .collect();
        let all = answered.len() >= self.recorder.accepted_count();
        match ledger::ask(self.stack.router_url()).await {
            Asked::Unknown => all,
            Asked::NotNow => false,
            Asked::Is(ledger) => {
                (all || self.setup.may_die) && ledger.inbox_in_flight + ledger.outbox_in_flight == 0
            }
        }
    }

    /// The verdict. Logs and history are kept when it is a bad one.
    pub(super) async fn close(mut self, context: &Context) -> Result<Row, ChaosError> {
        self.settle().await?;
        let history = self.history().await;
        let account = judge(&history);
        let fine = account.violations.is_empty();
        let row = Row {
            case: context.case,
            store: context.store,
            note: std::mem::take(&mut self.note),
            faults: self.faults,
            refusals: self.recorder.refusals(),
            seconds: self.began.elapsed().as_secs_f64(),
            seed: context.seed,
            verdict: if fine { Verdict::Passed } else { Verdict::Failed },
            account,
        };
        let shut_down = self.stack.shutdown().await;
        if fine && !context.keep {
            let _ = std::fs::remove_dir_all(&self.logs);
        } else {
            let file = self.logs.join("history.json");
            std::fs::write(&file, serde_json::to_vec_pretty(&history).unwrap_or_default())
                .map_err(ChaosError::Files)?;
            if !fine {
                super::explain::print(&history, &row, &self.logs);
            }
        }
        shut_down?;
        Ok(row)
    }

    async fn history(&self) -> History {
        let (mut replies, mut strange) = (Vec::new(), self.strange.clone());
        for message in self.stack.simulator().messages() {
            match read_reply(&message) {
                Ok(reply) => replies.push(reply),
                Err(what) => strange.push(what),
            }
        }
        let ledger = match ledger::ask(self.stack.router_url()).await {
            Asked::Is(ledger) => Some(ledger),
            Asked::NotNow => {
                strange.push("the router could not say what it has done (GET /api/v1/ledger)".to_owned());
                None
            }
            Asked::Unknown => None,
        };
        History {
            said: self.recorder.said(),
            replies,
            strange,
            excuses: self.recorder.excuses(),
            policy: self.setup.policy,
            may_die: self.setup.may_die,
            ledger,
        }
    }
}
