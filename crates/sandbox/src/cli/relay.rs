//! `sandbox relay`: the baseline that load is compared with.

use std::process::ExitCode;

use service::{cli, settings::Env, shutdown::Shutdown};

use crate::relay::{self, RelaySettings};

pub(super) fn main() -> ExitCode {
    let mut env = Env::from_process();
    super::start_logging(&mut env);
    let settings = RelaySettings::read(&mut env);
    let settings = match env.finish_with(settings) {
        Ok(settings) => settings,
        Err(problems) => return cli::refuse(&problems),
    };
    super::block_on(async {
        let shutdown = match Shutdown::on_signals() {
            Ok(shutdown) => shutdown,
            Err(error) => return cli::fail(&format!("could not listen to signals: {error}")),
        };
        match relay::run(settings, shutdown).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => cli::fail(&error),
        }
    })
}
