//! The command line: which subcommand does what.

mod chaos;
mod compare;
mod load;
mod observe;
mod peak;
mod relay;
mod run;
mod serve;

use std::{net::SocketAddr, process::ExitCode};

use clap::{Parser, Subcommand};
use service::{
    logging::{self, LogSettings},
    settings::{Env, ListenAddress},
};

/// WhatsApp on your desk: Meta's Graph API, its webhooks, and phones in people's hands, on this machine.
#[derive(Debug, Parser)]
#[command(name = "sandbox", version, propagate_version = true, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
To begin: `sandbox run`, then open http://127.0.0.1:8002 and write a message. Nothing leaves this machine, and no account
is needed. `make run` builds everything and does the same.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Server, router, simulator and phone page on this machine, with a private database
    #[command(after_help = run::HELP)]
    Run(run::RunArguments),
    /// Send messages at a rate and account for each; exit code 1 when anything was lost, duplicated or reordered
    Load(load::LoadArguments),
    /// What being watched costs: two loads side by side, one with metrics scraped and traces sent, taking turns
    Compare(compare::CompareArguments),
    /// The peak that Meta says to be ready for: ten statuses for each message, in batches; acknowledged how fast
    Peak(peak::PeakArguments),
    /// Kill, starve and disconnect the routers, and prove that nothing was lost; exit code 1 when something was
    Chaos(chaos::ChaosArguments),
    /// Let a real Prometheus watch, and try every query of the dashboard and the alerts; exit code 1 when one has no data
    Observe(observe::ObserveArguments),
    /// The simulator and the phone page alone, set up by the environment (for docker compose)
    #[command(after_help = serve::HELP)]
    Serve,
    /// Pass messages on without storing them: the baseline for load, with the router's environment
    #[command(after_help = relay::HELP)]
    Relay,
    /// Ask whether the sandbox answers: exit code 0 when it does, else 1
    Healthcheck {
        /// The address it listens on
        #[arg(long, env = "SANDBOX_LISTEN", default_value = "127.0.0.1:8002", value_parser = listen_address)]
        listen: SocketAddr,
    },
}

/// Parses the arguments and runs. Answers the exit code of the process.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run(arguments) => run::main(arguments),
        Command::Load(arguments) => load::main(&arguments),
        Command::Compare(arguments) => compare::main(&arguments),
        Command::Peak(arguments) => peak::main(&arguments),
        Command::Chaos(arguments) => chaos::main(&arguments),
        Command::Observe(arguments) => observe::main(&arguments),
        Command::Serve => serve::main(),
        Command::Relay => relay::main(),
        Command::Healthcheck { listen } => match service::cli::healthcheck(listen, "/health") {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => service::cli::fail(&reason),
        },
    }
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map(|ListenAddress(address)| address)
}

/// Starts logging as the environment asks. Logging that runs already stays as it is.
fn start_logging(env: &mut Env) {
    if let Some(settings) = LogSettings::read(env) {
        let _ = logging::init(&settings, "sandbox", env!("CARGO_PKG_VERSION"));
    }
}

/// Runs a future on all cores.
fn block_on<F: Future<Output = ExitCode>>(future: F) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(future);
            // Whatever still waits for a network must not hold up the end.
            runtime.shutdown_background();
            code
        }
        Err(error) => service::cli::fail(&format!("could not start the runtime: {error}")),
    }
}
