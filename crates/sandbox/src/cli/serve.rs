//! `sandbox serve`: the simulator alone, beside services that somebody else starts.

use std::process::ExitCode;

use secrecy::SecretString;
use service::{cli, settings::Env, shutdown::Shutdown};

use crate::simulator::{BusinessNumber, Links, Simulator, SimulatorOptions, StartError};

pub(super) const HELP: &str = "\
Environment (the same names as the router's):
  SANDBOX_LISTEN                 address to listen on [default: 127.0.0.1:8002]
  ROUTER_WEBHOOK_URL             the router's webhook [default: http://127.0.0.1:8000/webhook]
  WHATSAPP_PHONE_NUMBER_ID       id of the business number
  WHATSAPP_ACCESS_TOKEN          the token that Graph calls must carry
  WHATSAPP_WEBHOOK_VERIFY_TOKEN  (or WHATSAPP_VERIFY_TOKEN) the handshake's token
  WHATSAPP_WEBHOOK_SECRET        (or WHATSAPP_APP_SECRET) signs the webhooks
  WHATSAPP_WABA_ID               id of the business account [default: 102290129340398]
  SANDBOX_DISPLAY_PHONE_NUMBER   the business number as people see it
  SANDBOX_BUSINESS_NAME          the name above the chats
  ROUTER_URL, SERVER_URL         addresses for the phone page's links, as a browser reaches them
  LOG_LEVEL, LOG_FORMAT          as everywhere";

pub(super) fn main() -> ExitCode {
    let mut env = Env::from_process();
    super::start_logging(&mut env);
    let options = read(&mut env);
    match env.finish_with(options) {
        Ok(options) => super::block_on(serve(options)),
        Err(problems) => cli::refuse(&problems),
    }
}

async fn serve(options: SimulatorOptions) -> ExitCode {
    let shutdown = match Shutdown::on_signals() {
        Ok(shutdown) => shutdown,
        Err(error) => return cli::fail(&format!("could not listen to signals: {error}")),
    };
    let simulator = match Simulator::start(options).await {
        Ok(simulator) => simulator,
        Err(StartError::Listen { address, source }) => {
            return cli::fail(&format!(
                "could not listen on {address}: {source}; set SANDBOX_LISTEN to another one"
            ));
        }
        Err(error) => return cli::fail(&error),
    };
    simulator.keep_shaking_hands();
    tracing::info!(url = simulator.url(), "the phone page is ready");
    shutdown.draining().await;
    simulator.shutdown();
    ExitCode::SUCCESS
}

/// Reads everything before it puts anything together, so that all problems are named at once.
fn read(env: &mut Env) -> Option<SimulatorOptions> {
    let defaults = SimulatorOptions::default();
    let default_number = defaults.numbers.first().cloned()?;
    let plain = |text: &str| Ok::<_, String>(text.to_owned());
    let listen = env.var("SANDBOX_LISTEN", "address to listen on").default("127.0.0.1:8002").address();
    let webhook = env
        .var("ROUTER_WEBHOOK_URL", "full address of the router's webhook")
        .default("http://127.0.0.1:8000/webhook")
        .parse::<reqwest::Url>();
    let phone_number_id = env
        .var("WHATSAPP_PHONE_NUMBER_ID", "id of the business number")
        .default(default_number.phone_number_id)
        .parse_with(|id| {
            let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            if digits { Ok(id.to_owned()) } else { Err("is not a number such as 106540352242922".to_owned()) }
        });
    let access_token =
        env.var("WHATSAPP_ACCESS_TOKEN", "token that Graph calls must carry").required_secret();
    let verify_token = env
        .var("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "token of the GET handshake")
        .alias("WHATSAPP_VERIFY_TOKEN")
        .required_secret();
    let app_secret = env
        .var("WHATSAPP_WEBHOOK_SECRET", "app secret that signs the webhooks")
        .alias("WHATSAPP_APP_SECRET")
        .required_secret();
    let waba_id = env
        .var("WHATSAPP_WABA_ID", "id of the business account")
        .default(defaults.waba_id.clone())
        .parse_with(plain);
    let display_phone_number = env
        .var("SANDBOX_DISPLAY_PHONE_NUMBER", "the business number as people see it")
        .default(default_number.display_phone_number)
        .parse_with(plain);
    let verified_name = env
        .var("SANDBOX_BUSINESS_NAME", "the name above the chats")
        .default(default_number.verified_name)
        .parse_with(plain);
    let router = env.var("ROUTER_URL", "the router as a browser reaches it").parse_with(plain);
    let server = env.var("SERVER_URL", "the server as a browser reaches it").parse_with(plain);
    Some(SimulatorOptions {
        listen: listen?,
        router_webhook_url: Some(webhook?.to_string()),
        access_token: access_token?,
        verify_token: verify_token?,
        // While a secret is being replaced there are two; Meta signs with the newest, which comes first.
        app_secret: first_of(&app_secret?),
        waba_id: waba_id?,
        numbers: vec![BusinessNumber {
            phone_number_id: phone_number_id?,
            display_phone_number: display_phone_number?,
            verified_name: verified_name?,
        }],
        links: Links { router, server },
        ..defaults
    })
}

fn first_of(secrets: &SecretString) -> SecretString {
    use secrecy::ExposeSecret;
    let first = secrets.expose_secret().split(',').next().unwrap_or_default();
    SecretString::from(first.trim())
}
