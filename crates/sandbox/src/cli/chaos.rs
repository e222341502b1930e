//! `sandbox chaos`: everything that can go wrong, and whether nothing was lost.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use service::cli;

use crate::chaos::{self, ChaosOptions, Store};

#[derive(Debug, Args)]
pub(super) struct ChaosArguments {
    /// Where the routers keep their work
    #[arg(long, env = "CHAOS_STORE", value_enum, default_value_t = Which::Both)]
    store: Which,
    /// Only cases whose name contains this
    #[arg(long, env = "CHAOS_CASE", default_value = "", value_name = "NAME", hide_default_value = true)]
    case: String,
    /// Multiplies what each case does
    #[arg(long, env = "CHAOS_ROUNDS", default_value_t = 1, value_name = "N")]
    rounds: usize,
    /// Makes the same choices again; by default a new one each time, which is printed
    #[arg(long, env = "CHAOS_SEED", value_name = "N")]
    seed: Option<u64>,
    /// A few seconds of the most important cases
    #[arg(long)]
    short: bool,
    /// Gets the report, and the logs and histories of cases that fail
    #[arg(long, default_value = "chaos-results", value_name = "DIR")]
    results: PathBuf,
    /// Keep logs and histories of cases that pass, too
    #[arg(long)]
    keep: bool,
    /// Print the names of the cases
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Postgres,
    Both,
}

pub(super) fn main(arguments: &ChaosArguments) -> ExitCode {
    if arguments.list {
        print(&chaos::names().fold(String::new(), |all, name| all + name + "\n"));
        return ExitCode::SUCCESS;
    }
    super::block_on(run(arguments))
}

async fn run(arguments: &ChaosArguments) -> ExitCode {
    let options = ChaosOptions {
        stores: match arguments.store {
            Which::Sqlite => vec![Store::Sqlite],
            Which::Postgres => vec![Store::Postgres],
            Which::Both => vec![Store::Sqlite, Store::Postgres],
        },
        filter: arguments.case.clone(),
        rounds: arguments.rounds,
        short: arguments.short,
        keep: arguments.keep,
        seed: arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        folder: arguments.results.clone(),
        progress: true,
    };
    let report = chaos::run(&options).await;
    if report.rows.is_empty() {
        return cli::fail(&"no case has that name; --list prints all of them");
    }
    print(&report.table());
    print(&format!("seed {}\n", report.seed));
    if let Err(error) = report.write(&options.folder) {
        return cli::fail(&format!("could not write into {}: {error}", options.folder.display()));
    }
    if report.is_fine() { ExitCode::SUCCESS } else { cli::fail(&"the promise was broken, see above") }
}

#[expect(clippy::print_stdout, reason = "the report is what the command is run for")]
fn print(text: &str) {
    print!("{text}");
}
