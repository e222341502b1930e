//! `sandbox observe`: does everything that dashboards and alerts ask have an answer?

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use service::cli;

use crate::{
    observe::{self, ObserveOptions},
    postgres::HOW_TO_INSTALL,
};

#[derive(Debug, Args)]
pub(super) struct ObserveArguments {
    /// Folder of Grafana's dashboards
    #[arg(long, default_value = "deploy/grafana", value_name = "DIR")]
    dashboards: PathBuf,
    /// Rules and alerts
    #[arg(long, default_value = "deploy/prometheus/whatsapp-router.rules.yaml", value_name = "FILE")]
    rules: PathBuf,
    /// Which of their queries can't have data here, and why
    #[arg(long, default_value = "deploy/prometheus/tests/without-data.txt", value_name = "FILE")]
    exceptions: PathBuf,
}

pub(super) fn main(arguments: &ObserveArguments) -> ExitCode {
    let options = ObserveOptions {
        dashboards: arguments.dashboards.clone(),
        rules: arguments.rules.clone(),
        exceptions: arguments.exceptions.clone(),
    };
    super::block_on(async move {
        match observe::run(&options).await {
            Ok(findings) => report(&findings),
            Err(error) => cli::fail(&error),
        }
    })
}

#[expect(clippy::print_stdout, reason = "the findings are what the command is run for")]
fn report(findings: &observe::Findings) -> ExitCode {
    for line in &findings.wrong {
        println!("{line}");
    }
    if !findings.has_postgres {
        println!("NOT RUN: what only routers on PostgreSQL show; {HOW_TO_INSTALL}");
    }
    println!(
        "{} queries and rules, {} exceptions, {} conditions of alerts that had to hold",
        findings.checks, findings.exceptions, findings.alerts
    );
    match findings.wrong.len() {
        0 => ExitCode::SUCCESS,
        count => cli::fail(&format!("{count} things are wrong, see above")),
    }
}
