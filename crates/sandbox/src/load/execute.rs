//! One run from start to report: the stack, the load, the wait for the last reply.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    LoadError, LoadOptions, Mode, generator,
    plan::Plan,
    process::Usage,
    report::{Idle, Report, Used},
    tally::Tally,
    watched::Watcher,
};
use crate::{
    postgres,
    simulator::{Recording, SimulatorOptions, StatusOptions},
    stack::{Stack, StackBuilder},
};

/// Five numbers for each message: 40 bytes. This many are 800 MB.
const MOST: usize = 20_000_000;
/// Without a rate nobody knows how many there will be; no machine of today does more in a second.
const FASTEST: u64 = 40_000;
/// The last replies are waited for as long as any arrive within this time.
const QUIET: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Afterwards: long enough for a reply that is sent twice.
const ECHOES: Duration = Duration::from_secs(1);
/// Meta gathers statuses; how long is not documented.
const STATUS_WINDOW: Duration = Duration::from_millis(100);

/// Starts a private stack, runs the load and reports.
pub async fn run(options: &LoadOptions) -> Result<Report, LoadError> {
    let plan = check(options)?;
    let capacity = capacity(options)?;
    let cluster = Cluster::for_mode(options.mode)?;
    let mut watch = None;
    let mut builder = builder(options.mode, options.statuses)?;
    if let Some(share) = options.traces {
        let watcher = Watcher::start().map_err(LoadError::Collector)?;
        builder = watcher.told_to(builder, share);
        watch = Some((watcher, share));
    }
    let stack = cluster.builder(builder)?.start().await?;
    let tally = Arc::new(Tally::new(plan, capacity));
    stack.simulator().observe(Arc::clone(&tally) as Arc<dyn crate::simulator::Observer>);
    // What was needed only to start is given back after a moment.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = Processes::look(&stack);
    let idle =
        Idle { ready_ms: stack.router_ready_after().as_millis(), router_rss_kib: before.router.rss_kib };
    if let Some((watcher, _)) = &mut watch {
        let services = [Some(stack.router_url()), stack.server_url()];
        watcher.scrape(services.into_iter().flatten().map(str::to_owned).collect());
    }
    let target = generator::Target::new(address(stack.router_url()), stack.simulator().options());
    generator::run(target, plan, &tally, options.duration, options.open_loop).await;
    wait_for_replies(&tally).await;
    let after = Processes::look(&stack);
    let used = Used {
        idle,
        router: after.router - before.router,
        server: after.server - before.server,
        sandbox: after.own - before.own,
    };
    let statuses = stack.simulator().statuses_accepted();
    let watched = watch.map(|(watcher, share)| watcher.watched(share));
    let report = Report::new(options, plan, &tally.result(), statuses, used).watched(watched);
    stack.shutdown().await?;
    Ok(report)
}

fn check(options: &LoadOptions) -> Result<Plan, LoadError> {
    if options.open_loop && options.rate == 0 {
        return Err(LoadError::OpenLoopWithoutRate);
    }
    if options.traces.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        return Err(LoadError::NoShare);
    }
    for (value, name) in [
        (u64::from(options.contacts), "--contacts"),
        (u64::from(options.connections), "--connections"),
        (options.duration.as_secs(), "--seconds"),
    ] {
        if value == 0 {
            return Err(LoadError::Zero(name));
        }
    }
    Ok(Plan::new(options.contacts, options.connections, options.rate))
}

fn capacity(options: &LoadOptions) -> Result<usize, LoadError> {
    let rate = if options.rate == 0 { FASTEST } else { u64::from(options.rate) };
    let messages = rate * options.duration.as_secs() + u64::from(options.connections);
    if options.rate == 0 {
        return Ok(usize::try_from(messages).map_or(MOST, |messages| messages.min(MOST)));
    }
    usize::try_from(messages).ok().filter(|count| *count <= MOST).ok_or(LoadError::TooMany(messages, MOST))
}

/// A database server for the time of a run, where the mode needs one.
pub(super) struct Cluster(Option<postgres::Cluster>);

impl Cluster {
    pub(super) fn for_mode(mode: Mode) -> Result<Self, LoadError> {
        Ok(Self((mode == Mode::Postgres).then(postgres::Cluster::start).transpose()?))
    }

    pub(super) fn builder(&self, builder: StackBuilder) -> Result<StackBuilder, LoadError> {
        Ok(match &self.0 {
            Some(cluster) => builder.database(cluster.new_database()?),
            None => builder,
        })
    }
}

pub(super) fn builder(mode: Mode, statuses: u8) -> Result<StackBuilder, LoadError> {
    let after = |wanted: u8| (statuses >= wanted).then_some(STATUS_WINDOW * u32::from(wanted));
    let statuses = StatusOptions {
        sent: after(1),
        delivered: after(2),
        read: after(3),
        window: STATUS_WINDOW,
        max_items: 1000,
    };
    let change = |simulator: &mut SimulatorOptions| {
        simulator.recording = Recording::Counters;
        simulator.statuses = statuses;
        simulator.people.clear();
        simulator.throughput_level = "HIGH".to_owned();
    };
    // Meta's limits are what keeps a router slow in real life; here its own limits are wanted.
    let builder =
        Stack::builder().simulator(change).router_env("LOG_LEVEL", "warn").server_env("LOG_LEVEL", "warn");
    Ok(match mode {
        Mode::Durable | Mode::Postgres => builder,
        Mode::Relay => {
            builder.router_program(std::env::current_exe().map_err(LoadError::OwnProgram)?, &["relay"])
        }
    })
}

/// Until every accepted message is answered, or nothing has come for a while.
pub(super) async fn wait_for_replies(tally: &Tally) {
    let begin = Instant::now();
    let (mut last, mut progress) = (tally.arrived_count(), Instant::now());
    while last < tally.accepted_count() && progress.elapsed() < QUIET && begin.elapsed() < LONGEST_WAIT {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = tally.arrived_count();
        if now != last {
            (last, progress) = (now, Instant::now());
        }
    }
    tokio::time::sleep(ECHOES).await;
}

pub(super) struct Processes {
    pub(super) router: Usage,
    pub(super) server: Usage,
    pub(super) own: Usage,
}

impl Processes {
    pub(super) fn look(stack: &Stack) -> Self {
        let of = |pid: Option<u32>| pid.map(Usage::of).unwrap_or_default();
        Self {
            router: of(stack.router_pid()),
            server: of(stack.server_pid()),
            own: Usage::of(std::process::id()),
        }
    }
}

pub(super) fn address(url: &str) -> SocketAddr {
    let address = url.trim_start_matches("http://").parse();
    // The stack makes its URLs from socket addresses.
    address.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0)))
}
