//! The command line.

use std::{num::NonZero, process::ExitCode, thread::available_parallelism};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use service::{
    cli::{environment_help, fail, print_document, refuse, run_healthcheck},
    logging,
    settings::{Env, to_markdown},
};

use crate::{
    SERVICE, VERSION,
    app::{self, App},
    settings::Settings,
};

/// A call takes microseconds, so more threads than this only cost memory.
const MAX_THREADS: usize = 4;

/// Turns WhatsApp messages into replies: the backend behind POST /process that ships with WhatsApp Router.
#[derive(Debug, Parser)]
#[command(name = SERVICE, version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Command {
    /// Serve requests until SIGTERM or SIGINT; what happens without a command
    Serve,
    /// Print the OpenAPI document
    Openapi,
    /// Print the reference of all settings as Markdown
    Settings,
    /// Print the reference of all metrics as Markdown
    Metrics,
    /// Ask the running server whether it is ready: exit code 0 when it is, else 1
    Healthcheck,
}

/// Runs the program with the arguments and the environment of this process.
pub fn main() -> ExitCode {
    let help = environment_help(
        &Settings::reference(),
        "docs/CONFIGURATION.md says more of the settings. http://localhost:8001/docs shows the API once it runs.",
    );
    let matches = Cli::command().after_help(help).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(),
        Command::Openapi => print_document(&App::new().document()),
        Command::Settings => print_document(&settings_reference()),
        Command::Metrics => print_document(&App::metrics_reference()),
        Command::Healthcheck => match Settings::read(&mut Env::from_process()) {
            Ok(settings) => run_healthcheck(settings.http.ops_address()),
            Err(problems) => refuse(&problems),
        },
    }
}

/// The server's table in docs/CONFIGURATION.md.
pub fn settings_reference() -> String {
    to_markdown(&Settings::reference())
}

fn serve() -> ExitCode {
    let settings = match Settings::read(&mut Env::from_process()) {
        Ok(settings) => settings,
        Err(problems) => return refuse(&problems),
    };
    let log = match logging::init(&settings.log, SERVICE, VERSION) {
        Ok(log) => log,
        Err(error) => return fail(&error),
    };
    let threads = available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(app::serve(&settings, log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_needs_no_command() {
        assert!(Cli::try_parse_from(["server"]).unwrap().command.is_none());
        assert!(matches!(
            Cli::try_parse_from(["server", "openapi"]).unwrap().command,
            Some(Command::Openapi)
        ));
        assert!(Cli::try_parse_from(["server", "fly"]).is_err());
    }
}
