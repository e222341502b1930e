//! `router check-webhook`: calls an address the way Meta does, so that what stands between (an Ingress, a tunnel, a proxy
//! that writes bodies anew or cuts them off) is found out before Meta finds it. Nothing in it is a message, so nothing is stored.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use clap::Args;
use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use service::{
    cli,
    secrets::{self, DEFAULT_SECRETS_DIR, SecretOptions, Variables},
};
use whatsapp::signature;

use crate::settings::secrets::SECRET_NAMES;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Written as Meta writes: escapes that other JSON libraries resolve or write differently. There is no entry in it.
const SMALL: &str = r#"{"object":"whatsapp_business_account","note":"gr\u00fc\u00dfe \ud83d\udc4b https:\/\/example.com\/","entry":[]}"#;
/// Meta's limit is 3 MiB; proxies are often set to less.
const LARGE_BYTES: usize = 3 * 1024 * 1024 - 1024;

#[derive(Debug, Clone, Args)]
pub(super) struct CheckWebhook {
    /// What Meta is told to call, such as https://whatsapp.example.com/webhook
    url: Url,
    /// Name of the secret with the keys app-secret and verify-token; `default` is also WHATSAPP_WEBHOOK_SECRET and
    /// WHATSAPP_WEBHOOK_VERIFY_TOKEN
    #[arg(long, value_name = "NAME", default_value = "default")]
    secret: String,
    /// Where secrets are mounted
    #[arg(long, value_name = "DIR", env = "SECRETS_DIR", default_value = DEFAULT_SECRETS_DIR)]
    secrets_dir: std::path::PathBuf,
}

struct Credentials {
    /// More than one while it is being changed.
    app_secrets: Vec<SecretString>,
    verify_token: SecretString,
}

/// One call, and what has to come of it.
struct Case {
    name: String,
    call: Call,
    status: StatusCode,
    /// What the answer's body has to hold.
    body: String,
}

enum Call {
    /// The handshake, with this token.
    Get {
        token: SecretString,
        challenge: String,
    },
    Post {
        body: String,
        signature: Option<String>,
    },
}

pub(super) fn run(arguments: &CheckWebhook) -> ExitCode {
    let credentials = match credentials(arguments) {
        Ok(credentials) => credentials,
        Err(problem) => return cli::fail(&problem),
    };
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return cli::fail(&"another TLS provider was installed before ours");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::fail(&error),
    };
    match runtime.block_on(check(&webhook_url(&arguments.url), &cases(&credentials))) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failed) => cli::fail(&format!("{failed} of the calls were not answered as Meta needs it")),
        Err(error) => cli::fail(&format!("an HTTP client can't be made: {error}")),
    }
}

/// The address of a router alone is enough.
fn webhook_url(url: &Url) -> Url {
    let mut url = url.clone();
    if url.path() == "/" {
        url.set_path("/webhook");
    }
    url
}

fn credentials(arguments: &CheckWebhook) -> Result<Credentials, String> {
    let environment: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let environment = environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let (secrets, unreadable) = secrets::read(&SecretOptions {
        folder: arguments.secrets_dir.clone(),
        poll: Duration::ZERO,
        grace: Duration::ZERO,
        variables: Variables::new(SECRET_NAMES, environment),
    });
    let find = |key: &str| {
        secrets.get(&arguments.secret, key).ok_or_else(|| {
            let mut problem = format!(
                "there is no {key} of the secret {} in {} or the environment: mount it, or name another one with --secret",
                arguments.secret,
                arguments.secrets_dir.display()
            );
            for line in &unreadable {
                let _ = write!(problem, "\n{line}");
            }
            problem
        })
    };
    Ok(Credentials { app_secrets: secrets::list(&find("app-secret")?), verify_token: find("verify-token")? })
}

fn cases(credentials: &Credentials) -> Vec<Case> {
    let challenge = uuid::Uuid::now_v7().simple().to_string();
    let get = |token: SecretString| Call::Get { token, challenge: challenge.clone() };
    let post = |body: &str, signature: Option<String>| Call::Post { body: body.to_owned(), signature };
    let case = |name: &str, call, status, body: &str| Case {
        name: name.to_owned(),
        call,
        status,
        body: body.to_owned(),
    };
    let ignored = r#""ignored""#;

    let mut cases = vec![
        case("handshake", get(credentials.verify_token.clone()), StatusCode::OK, &challenge),
        case("handshake with a wrong token is refused", get("wrong".into()), StatusCode::FORBIDDEN, ""),
    ];
    for (index, secret) in credentials.app_secrets.iter().enumerate() {
        let which = if index == 0 { String::new() } else { format!(", app secret {}", index + 1) };
        let signed = |body: &str| post(body, Some(signature::sign(secret, body.as_bytes())));
        let large = SMALL.replace("note", &"x".repeat(LARGE_BYTES - SMALL.len() + "note".len()));
        cases.push(case(&format!("signed webhook{which}"), signed(SMALL), StatusCode::OK, ignored));
        cases.push(case(&format!("signed webhook of 3 MiB{which}"), signed(&large), StatusCode::OK, ignored));
    }
    let forged = signature::sign(&SecretString::from("not the app secret"), SMALL.as_bytes());
    cases.push(case("forged webhook is refused", post(SMALL, Some(forged)), StatusCode::FORBIDDEN, ""));
    cases.push(case("unsigned webhook is refused", post(SMALL, None), StatusCode::FORBIDDEN, ""));
    cases
}

/// A reader that went away is no reason to stop.
fn say(line: &str) {
    cli::print_document(&format!("{line}\n"));
}

/// How many failed; each is said on a line of its own.
async fn check(url: &Url, cases: &[Case]) -> Result<usize, reqwest::Error> {
    // Meta follows no redirects, and a proxy of this machine's is not in Meta's way.
    let client =
        Client::builder().timeout(TIMEOUT).no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let mut failed = 0;
    for case in cases {
        match outcome(&client, url, case).await {
            Ok(()) => say(&format!("ok      {}", case.name)),
            Err(why) => {
                say(&format!("FAILED  {}: {why}", case.name));
                failed += 1;
            }
        }
    }
    Ok(failed)
}

async fn outcome(client: &Client, url: &Url, case: &Case) -> Result<(), String> {
    let request = match &case.call {
        Call::Get { token, challenge } => {
            let mut url = url.clone();
            url.query_pairs_mut()
                .append_pair("hub.mode", "subscribe")
                .append_pair("hub.verify_token", token.expose_secret())
                .append_pair("hub.challenge", challenge);
            client.get(url)
        }
        Call::Post { body, signature } => {
            let request =
                client.post(url.clone()).header("content-type", "application/json").body(body.clone());
            match signature {
                Some(signature) => request.header(signature::HEADER, signature),
                None => request,
            }
        }
    };
    // Without the address: it holds the token.
    let response = request.send().await.map_err(|error| reasons(&error.without_url()))?;
    let status = response.status();
    let body = response.text().await.map_err(|error| reasons(&error.without_url()))?;
    if status == case.status && body.contains(&case.body) {
        return Ok(());
    }
    let start: String = body.trim().chars().take(300).collect();
    Err(format!("{} was expected, {} came: {start}", case.status.as_u16(), status.as_u16()))
}

fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_router_means_its_webhook() {
        for (given, called) in [
            ("http://localhost:8000", "http://localhost:8000/webhook"),
            ("https://example.com/whatsapp/hook", "https://example.com/whatsapp/hook"),
        ] {
            assert_eq!(webhook_url(&given.parse().unwrap()).as_str(), called);
        }
    }

    #[test]
    fn every_app_secret_signs_and_the_large_body_is_just_allowed() {
        let credentials =
            Credentials { app_secrets: vec!["old".into(), "new".into()], verify_token: "token".into() };
        let cases = cases(&credentials);
        let names: Vec<_> = cases.iter().map(|case| case.name.as_str()).collect();
        assert!(
            names.contains(&"signed webhook") && names.contains(&"signed webhook, app secret 2"),
            "{names:?}"
        );
        for case in &cases {
            let Call::Post { body, signature } = &case.call else { continue };
            assert!(body.len() <= 3 * 1024 * 1024, "{}", case.name);
            serde_json::from_str::<serde_json::Value>(body).unwrap();
            let verified = signature::verify(&credentials.app_secrets, body.as_bytes(), signature.as_deref());
            assert_eq!(verified.is_ok(), case.status == StatusCode::OK, "{}", case.name);
        }
    }
}
