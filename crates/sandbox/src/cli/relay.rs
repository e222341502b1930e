//! `sandbox relay`: the baseline that load is compared with.

use std::process::ExitCode;

use service::{cli, settings::Env, shutdown::Shutdown};

use crate::relay::{self, RelaySettings};

pub(super) const HELP: &str = "\
Environment (the same names as the router's):
  ROUTER_LISTEN                  address to listen on [default: 127.0.0.1:8000]
  SERVER_BASE_URL                where POST /process is [default: http://localhost:8001]
  WHATSAPP_API_BASE_URL          base address of the Graph API [default: http://127.0.0.1:8002]
  WHATSAPP_PHONE_NUMBER_ID       id of the business number
  WHATSAPP_ACCESS_TOKEN          Graph API token
  WHATSAPP_WEBHOOK_VERIFY_TOKEN  (or WHATSAPP_VERIFY_TOKEN) the handshake's token
  WHATSAPP_WEBHOOK_SECRET        (or WHATSAPP_APP_SECRET) signs the webhooks
  LOG_LEVEL, LOG_FORMAT          as everywhere";

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
