//! `sandbox load`: how much, how fast, and whether every message was answered once and in order.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use service::{cli, shutdown::Shutdown};

use crate::{
    load::{self, LoadOptions, Mode, Report},
    postgres::{Cluster, HOW_TO_INSTALL},
};

#[derive(Debug, Args)]
pub(super) struct LoadArguments {
    /// Messages a second; 0 is as fast as the connections go
    #[arg(long, default_value_t = 0, value_name = "N")]
    rate: u32,
    /// How long messages are sent
    #[arg(long, default_value_t = 10, value_name = "S")]
    seconds: u32,
    /// People who write, each in a chat of their own (rounded up to a multiple of the connections)
    #[arg(long, default_value_t = 1000, value_name = "N")]
    contacts: u32,
    /// Send each message when it is due and time it from then, however slow the answers before were; needs --rate
    #[arg(long, requires = "rate")]
    open_loop: bool,
    /// Connections to the router [default: 64, in an open loop 256]
    #[arg(long, value_name = "C")]
    connections: Option<u32>,
    /// Statuses that follow each reply: 1 is sent, 2 delivered too, 3 read too
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=3))]
    statuses: u8,
    /// No statuses at all
    #[arg(long, conflicts_with = "statuses")]
    no_statuses: bool,
    /// As where everything is watched: traces of this share of the messages, 0 to 1, go to a collector that throws them
    /// away, and metrics are scraped every 5 s
    #[arg(long, value_name = "SHARE")]
    traces: Option<f64>,
    /// What is put under load
    #[arg(long, value_enum, default_value_t = Which::Durable)]
    mode: Which,
    /// Write the report to this file as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The router
    Durable,
    /// The same HTTP hops without storage and order, for comparison
    Relay,
    /// The router on a private PostgreSQL
    Postgres,
    /// The router on SQLite and the relay, one after the other
    Both,
    /// All three, one after the other; without PostgreSQL where it is not installed
    All,
}

impl LoadArguments {
    fn options(&self, mode: Mode) -> LoadOptions {
        LoadOptions {
            mode,
            rate: self.rate,
            duration: Duration::from_secs(u64::from(self.seconds)),
            contacts: self.contacts,
            open_loop: self.open_loop,
            connections: self.connections.unwrap_or(if self.open_loop { 256 } else { 64 }),
            statuses: if self.no_statuses { 0 } else { self.statuses },
            traces: self.traces,
        }
    }
}

pub(super) fn main(arguments: &LoadArguments) -> ExitCode {
    super::block_on(async {
        let shutdown = match Shutdown::on_signals() {
            Ok(shutdown) => shutdown,
            Err(error) => return cli::fail(&format!("could not listen to signals: {error}")),
        };
        tokio::select! {
            code = run(arguments) => code,
            () = shutdown.draining() => cli::fail(&"ended before the load was over, there is no report"),
        }
    })
}

async fn run(arguments: &LoadArguments) -> ExitCode {
    let modes: &[Mode] = match arguments.mode {
        Which::Durable => &[Mode::Durable],
        Which::Relay => &[Mode::Relay],
        Which::Postgres => &[Mode::Postgres],
        Which::All => match Cluster::available() {
            Ok(_) => &[Mode::Durable, Mode::Relay, Mode::Postgres],
            Err(reason) => {
                eprintln!("NOT RUN: postgresql: {reason}; {HOW_TO_INSTALL}");
                &[Mode::Durable, Mode::Relay]
            }
        },
        Which::Both => &[Mode::Durable, Mode::Relay],
    };
    if cfg!(debug_assertions) {
        eprintln!(
            "this is a debug build, its numbers say little; build with `cargo build --release --workspace`"
        );
    }
    let mut reports = Vec::new();
    for mode in modes {
        match load::run(&arguments.options(*mode)).await {
            Ok(report) => {
                print(&report.to_string());
                reports.push(report);
            }
            Err(error) => return cli::fail(&error),
        }
    }
    if let [durable, others @ ..] = reports.as_slice() {
        for other in others {
            let (better, worse, of) = match other.mode {
                Mode::Postgres => (durable, other, "postgres"),
                _ => (other, durable, "durable"),
            };
            let share = 100.0 * worse.throughput / better.throughput.max(1.0);
            let whole = if of == "durable" { "the relay" } else { "durable on sqlite" };
            print(&format!("{of} reaches {share:.0} % of the throughput of {whole}\n"));
        }
    }
    if let Some(file) = &arguments.json
        && let Err(error) = std::fs::write(file, json(&reports))
    {
        return cli::fail(&format!("could not write {}: {error}", file.display()));
    }
    if reports.iter().all(Report::is_exact) {
        ExitCode::SUCCESS
    } else {
        cli::fail(&"not every message was answered once and in order, see the account above")
    }
}

/// One report as itself, several under the names of their modes.
fn json(reports: &[Report]) -> String {
    let json = match reports {
        [one] => serde_json::to_string_pretty(one),
        several => {
            let name = |report: &Report| match report.mode {
                Mode::Durable => "durable",
                Mode::Relay => "relay",
                Mode::Postgres => "postgres",
            };
            let named: BTreeMap<_, _> = several.iter().map(|report| (name(report), report)).collect();
            serde_json::to_string_pretty(&named)
        }
    };
    // Only maps with keys that are no strings could fail here.
    json.unwrap_or_default() + "\n"
}

#[expect(clippy::print_stdout, reason = "the report is what the command is run for")]
pub(super) fn print(text: &str) {
    println!("{text}");
}
