//! What the command lines of all services share.

mod environment;
mod healthcheck;

use std::process::ExitCode;

pub use environment::environment_help;
pub use healthcheck::healthcheck;

use crate::settings::{EXIT_CONFIG, Problems};

/// Prints every problem to standard error; the code for `main` to return is 78.
pub fn refuse(problems: &Problems) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(EXIT_CONFIG)
}

/// Prints why the process cannot go on to standard error; the code for `main` to return is 1.
pub fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Prints a generated document to standard output, as it is.
pub fn print_document(document: &str) -> ExitCode {
    use std::io::Write as _;
    match std::io::stdout().write_all(document.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Runs [`healthcheck`] for the `healthcheck` subcommand.
pub fn run_healthcheck(address: std::net::SocketAddr) -> ExitCode {
    match healthcheck(address, "/readyz") {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}
