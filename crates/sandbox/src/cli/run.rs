//! `sandbox run`: everything on this machine with one command.

use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitCode, ExitStatus},
};

use clap::Args;
use service::{cli, settings::Env, shutdown::Shutdown};

use crate::stack::{Output, Stack, StackError};

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// Where the phone page and the simulated Graph API are
    #[arg(long, env = "SANDBOX_LISTEN", default_value = "127.0.0.1:8002", value_parser = super::listen_address)]
    listen: SocketAddr,
    /// Where the router is
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000", value_parser = super::listen_address)]
    router_listen: SocketAddr,
    /// Where the server is
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001", value_parser = super::listen_address)]
    server_listen: SocketAddr,
    /// Your own backend instead of the server: the address that has POST /process below it
    #[arg(long, value_name = "URL")]
    backend: Option<String>,
    /// Folder of Channel and Route objects for the router, instead of one channel and one route; edit them while it runs
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
    /// Folder for the router's database, kept afterwards [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// The four are those that the stack takes out of a child's environment.
pub(super) const HELP: &str = "\
Settings of the router and the server in the environment count, but for what the sandbox decides itself: its addresses, the
database, credentials for the simulator. WHATSAPP_VERIFY_TOKEN, WHATSAPP_APP_SECRET, SECRETS_DIR and ADMIN_LISTEN have no
effect: /metrics and /health are on the main ports.";

pub(super) fn main(arguments: RunArguments) -> ExitCode {
    let mut env = Env::from_process();
    if !env.is_set("LOG_LEVEL") {
        // The children's words are on the same terminal; our own would only repeat them.
        env = Env::from_pairs([("LOG_LEVEL", "warn")]);
    }
    super::start_logging(&mut env);
    match env.finish() {
        Ok(()) => super::block_on(run(arguments)),
        Err(problems) => cli::refuse(&problems),
    }
}

async fn run(arguments: RunArguments) -> ExitCode {
    let shutdown = match Shutdown::on_signals() {
        Ok(shutdown) => shutdown,
        Err(error) => return cli::fail(&format!("could not listen to signals: {error}")),
    };
    let listen = arguments.listen;
    let mut builder = Stack::builder()
        .simulator(|options| options.listen = listen)
        .router_listen(arguments.router_listen)
        .server_listen(arguments.server_listen)
        .output(Output::Terminal)
        .with_metas_limits()
        .inherit_env();
    if let Some(backend) = arguments.backend {
        // The router checks the address, and says what is wrong with it.
        builder = builder.without_server().router_env("SERVER_BASE_URL", backend);
    }
    if let Some(folder) = arguments.config_dir {
        builder = builder.config_dir(folder);
    }
    if let Some(data) = arguments.data {
        builder = builder.data_dir(data);
    }
    if std::env::var_os("LOG_FORMAT").is_none() && std::io::stderr().is_terminal() {
        builder = builder.router_env("LOG_FORMAT", "pretty").server_env("LOG_FORMAT", "pretty");
    }
    let started = tokio::select! {
        started = builder.start() => started,
        () = shutdown.draining() => return ExitCode::SUCCESS,
    };
    let mut stack = match started {
        Ok(stack) => stack,
        Err(error) => return fail(&error),
    };
    banner(&stack);
    let ended = loop {
        let ended = tokio::select! {
            ended = stack.wait_for_exit() => ended,
            () = shutdown.draining() => break None,
        };
        match ended {
            // Somebody killed it, to see what becomes of the messages.
            ("router", Ok(status)) if was_killed(status) => {
                say(&format!("the router was killed ({status}), starting it again with the same database"));
                if let Err(error) = stack.start_router().await {
                    return fail(&error);
                }
            }
            ended => break Some(ended),
        }
    };
    let stopped = stack.shutdown().await;
    match (ended, stopped) {
        (Some((name, Ok(status))), _) => cli::fail(&format!("the {name} ended with {status}")),
        (Some((name, Err(error))), _) => cli::fail(&format!("the {name} is lost: {error}")),
        (None, Err(error)) => fail(&error),
        (None, Ok(())) => ExitCode::SUCCESS,
    }
}

fn fail(error: &StackError) -> ExitCode {
    cli::fail(error)
}

fn was_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status).is_some();
    #[cfg(not(unix))]
    return !status.success();
}

#[expect(clippy::print_stdout, reason = "it stands among the lines of the processes")]
fn say(text: &str) {
    println!("sandbox | {text}");
}

#[expect(clippy::print_stdout, reason = "the addresses are what the command is run for")]
fn banner(stack: &Stack) {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let bold = |text: &str| if colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() };
    println!();
    println!("  {}  {}/", bold("phone page "), stack.simulator().url());
    println!("  {}  {}/docs", bold("router docs"), stack.router_url());
    if let Some(server) = stack.server_url() {
        println!("  {}  {server}/docs", bold("server docs"));
    }
    println!();
    println!("  Write a message on the phone page and watch it travel. Ctrl-C ends everything.");
    println!();
}
