//! The command line.

mod check_config;
mod check_webhook;
mod help;

use std::{process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use service::{
    cli, logging,
    settings::{Env, parse_duration},
};

use self::check_config::CheckConfig;
use crate::{
    VERSION, api,
    app::{self, StartError},
    config::{self, definitions::Definition},
    metrics, migrate,
    settings::{Settings, Surroundings},
    store::{postgres::Address, sqlite::Location},
};

/// Speaks WhatsApp for a business: verified webhooks in, replies out, nothing lost in between.
#[derive(Debug, Parser)]
#[command(name = "router", version, after_help = help::ALL)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT; what happens without a command
    #[command(after_help = help::SERVE)]
    Serve,
    /// Say all that is wrong with the settings, channels and routes, without serving; exit code 78 if anything is
    CheckConfig(CheckConfig),
    /// Call a webhook's address as Meta would and say what comes; exit code 0 or 1
    CheckWebhook(check_webhook::CheckWebhook),
    /// Move everything from an SQLite file to an empty PostgreSQL database, with the router stopped
    Migrate(Migrate),
    /// Print the definitions of Channel and Route for a cluster as YAML: router crd | kubectl apply -f -
    Crd(Crd),
    /// Print the OpenAPI document
    Openapi,
    /// Print the reference of all settings (environment variables) as Markdown
    Settings,
    /// Print the reference of all metrics as Markdown
    Metrics,
    /// Ask the router that runs here, at ROUTER_LISTEN or ADMIN_LISTEN, whether it is ready: exit code 0 when it is, else 1
    Healthcheck,
}

#[derive(Debug, Clone, Args)]
struct Migrate {
    /// Where everything is, such as sqlite://data/router.db; it is not changed
    #[arg(long, value_name = "URL", value_parser = parse_location)]
    from: Location,
    /// Where it goes, such as postgres://user@host/database; without it DATABASE_URL, so that a password need not be
    /// on the command line
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    to: SecretString,
    /// How long sends rest that the last router may have made before it ended, so that a status can tell, such as 5s
    #[arg(long, value_name = "TIME", env = "SEND_UNCERTAIN_WAIT", default_value = "5s", value_parser = parse_duration)]
    uncertain_wait: Duration,
}

#[derive(Debug, Clone, Args)]
struct Crd {
    /// Only this one of them; left out: both
    #[arg(value_name = "KIND", value_parser = ["channels", "routes"])]
    plural: Option<String>,
    /// Print the reference of the objects' fields as Markdown instead
    #[arg(long, conflicts_with = "plural")]
    reference: bool,
}

/// Runs what the arguments say.
pub fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    match command {
        Command::Serve => serve(),
        Command::CheckConfig(check) => check.run(),
        Command::CheckWebhook(arguments) => check_webhook::run(&arguments),
        Command::Migrate(migrate) => run_migration(&migrate),
        Command::Crd(crd) => cli::print_document(&crd.document()),
        Command::Openapi => cli::print_document(&api::document()),
        Command::Settings => cli::print_document(&settings_reference()),
        Command::Metrics => cli::print_document(&metrics::reference()),
        Command::Healthcheck => healthcheck(),
    }
}

impl Crd {
    fn document(&self) -> String {
        match &self.plural {
            _ if self.reference => config::reference::markdown(),
            Some(plural) => config::definitions::definitions()
                .iter()
                .filter(|definition| definition.plural() == plural)
                .map(Definition::yaml)
                .collect(),
            None => config::definitions::yaml(),
        }
    }
}

/// What the settings can't know by themselves.
fn surroundings() -> Surroundings {
    Surroundings { config_dir: None, knows_kinds: Some(config::kubernetes::cluster::is_home) }
}

fn serve() -> ExitCode {
    // Before the settings: to find the home of the objects a cluster may be asked.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return cli::fail(&"another TLS provider was installed before ours");
    }
    let settings = match Settings::read_in(&mut Env::from_process(), &surroundings()) {
        Ok(settings) => settings,
        Err(problems) => return cli::refuse(&problems),
    };
    let log = match logging::init(&settings.log, "router", VERSION) {
        Ok(log) => log,
        Err(error) => return cli::fail(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&error),
    };
    match runtime.block_on(app::run(settings, log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Config(problems)) => cli::refuse(&problems),
        Err(error) => cli::fail(&error),
    }
}

fn run_migration(arguments: &Migrate) -> ExitCode {
    let to = match arguments.to.expose_secret().parse::<Address>() {
        Ok(to) => to,
        Err(problem) => return cli::fail(&format!("--to {problem}")),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&error),
    };
    match runtime.block_on(migrate::run(&arguments.from, &to, arguments.uncertain_wait)) {
        Ok(report) => cli::print_document(&format!(
            "{report}\nEverything is in {}; set DATABASE_URL to it and start the router. The file is as it was: keep it away \
             from routers from now on.\n",
            to.place()
        )),
        Err(error) => cli::fail(&error),
    }
}

fn parse_location(url: &str) -> Result<Location, String> {
    url.parse()
}

fn healthcheck() -> ExitCode {
    let mut env = Env::from_process();
    let http = service::http::HttpSettings::read(&mut env, "ROUTER_LISTEN", "0.0.0.0:8000");
    match env.finish_with(http) {
        Ok(http) => cli::run_healthcheck(http.ops_address()),
        Err(problems) => cli::refuse(&problems),
    }
}

/// The table in docs/CONFIGURATION.md.
pub fn settings_reference() -> String {
    let mut env = Env::describing();
    // Describing reads nothing, so there is nothing to be wrong.
    let _ = Settings::read(&mut env);
    service::settings::to_markdown(env.reference())
}
