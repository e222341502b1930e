//! `sandbox compare`: what being watched costs.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use service::{cli, shutdown::Shutdown};

use super::load::print;
use crate::compare::{self, CompareOptions};

#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    /// The share of the messages whose traces are sent to a collector, 0 to 1; metrics are scraped every 5 s too
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    traces: f64,
    /// Compare a load that is not watched with another one, to see how exact the comparison is on this machine
    #[arg(long, conflicts_with = "traces")]
    control: bool,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 8)]
    rounds: u32,
    /// How long each round is; each side has half of it
    #[arg(long, value_name = "S", default_value_t = 18)]
    seconds: u32,
    /// People who write, on each side
    #[arg(long, default_value_t = 1000, value_name = "N")]
    contacts: u32,
    /// Write the result to this file as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn main(arguments: &CompareArguments) -> ExitCode {
    super::block_on(async {
        let shutdown = match Shutdown::on_signals() {
            Ok(shutdown) => shutdown,
            Err(error) => return cli::fail(&format!("could not listen to signals: {error}")),
        };
        tokio::select! {
            code = run(arguments) => code,
            () = shutdown.draining() => cli::fail(&"ended before all rounds were over, there is no result"),
        }
    })
}

async fn run(arguments: &CompareArguments) -> ExitCode {
    if cfg!(debug_assertions) {
        eprintln!(
            "this is a debug build, its numbers say little; build with `cargo build --release --workspace`"
        );
    }
    let options = CompareOptions {
        traces: (!arguments.control).then_some(arguments.traces),
        rounds: arguments.rounds,
        duration: Duration::from_secs(u64::from(arguments.seconds)),
        contacts: arguments.contacts,
    };
    let comparison = match compare::run(options, |round| print(&round.to_string())).await {
        Ok(comparison) => comparison,
        Err(error) => return cli::fail(&error),
    };
    print(&comparison.to_string());
    let written = arguments.json.as_ref().map(|file| {
        let json = serde_json::to_string_pretty(&comparison).unwrap_or_default() + "\n";
        std::fs::write(file, json).map_err(|error| format!("could not write {}: {error}", file.display()))
    });
    match written {
        Some(Err(error)) => cli::fail(&error),
        _ => ExitCode::SUCCESS,
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".to_owned())
}
