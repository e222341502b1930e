//! `sandbox peak`: is every webhook acknowledged as fast as Meta asks, at the rates that Meta says to be ready for.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;
use service::cli;

use super::load::print;
use crate::load::{Mode, PeakOptions, run_peak};

#[derive(Debug, Args)]
pub(super) struct PeakArguments {
    /// Webhooks with messages a second
    #[arg(long, default_value_t = 300, value_name = "N")]
    message_webhooks: u32,
    /// Webhooks with statuses a second
    #[arg(long, default_value_t = 3000, value_name = "N")]
    status_webhooks: u32,
    /// Messages, or statuses, in each
    #[arg(long, default_value_t = 10, value_name = "N")]
    per_webhook: u32,
    /// How long they are sent
    #[arg(long, default_value_t = 60, value_name = "S")]
    seconds: u32,
    /// People whom they are from and about
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    contacts: u32,
    /// Connections for each of the two kinds
    #[arg(long, default_value_t = 128, value_name = "C")]
    connections: u32,
    /// On a private PostgreSQL in place of SQLite
    #[arg(long)]
    postgres: bool,
    /// Write the report to this file as JSON as well
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn main(arguments: &PeakArguments) -> ExitCode {
    super::block_on(run(arguments))
}

async fn run(arguments: &PeakArguments) -> ExitCode {
    let options = PeakOptions {
        mode: if arguments.postgres { Mode::Postgres } else { Mode::Durable },
        message_webhooks: arguments.message_webhooks,
        status_webhooks: arguments.status_webhooks,
        per_webhook: arguments.per_webhook,
        duration: Duration::from_secs(u64::from(arguments.seconds)),
        contacts: arguments.contacts,
        connections: arguments.connections,
    };
    let report = match run_peak(&options).await {
        Ok(report) => report,
        Err(error) => return cli::fail(&error),
    };
    print(&report.to_string());
    if let Some(file) = &arguments.json {
        let json = serde_json::to_string_pretty(&report).unwrap_or_default() + "\n";
        if let Err(error) = std::fs::write(file, json) {
            return cli::fail(&format!("could not write {}: {error}", file.display()));
        }
    }
    if report.is_exact() {
        ExitCode::SUCCESS
    } else {
        cli::fail(&"not every message was answered once and in order, see the account above")
    }
}
