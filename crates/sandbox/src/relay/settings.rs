//! The relay takes the router's variables, as far as it needs them.

use std::net::SocketAddr;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use service::settings::Env;

/// Where to listen, whom to call, and the secrets of the one number.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    pub listen: SocketAddr,
    /// The backend's `POST /process`.
    pub process: Url,
    /// Base address of the Graph API.
    pub graph: Url,
    pub phone_number_id: String,
    pub access_token: SecretString,
    pub verify_token: SecretString,
    pub app_secrets: Vec<SecretString>,
}

impl RelaySettings {
    /// Reads everything before it puts anything together, so that all problems are named at once.
    pub fn read(env: &mut Env) -> Option<Self> {
        let listen = env.var("ROUTER_LISTEN", "address to listen on").default("127.0.0.1:8000").address();
        let process = env
            .var("SERVER_BASE_URL", "where POST /process is")
            .default("http://localhost:8001")
            .parse_with(|text| {
                Url::parse(&format!("{}/process", text.trim_end_matches('/')))
                    .map_err(|_| "is no URL".to_owned())
            });
        let graph = env
            .var("WHATSAPP_API_BASE_URL", "base address of the Graph API")
            .default("http://127.0.0.1:8002")
            .parse_with(|text| Url::parse(text).map_err(|_| "is no URL".to_owned()));
        let phone_number_id = env
            .var("WHATSAPP_PHONE_NUMBER_ID", "id of the business number")
            .required_with(|id| Ok(id.to_owned()));
        let access_token = env.var("WHATSAPP_ACCESS_TOKEN", "Graph API token").required_secret();
        let verify_token = env
            .var("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "token of the GET handshake")
            .alias("WHATSAPP_VERIFY_TOKEN")
            .required_secret();
        let app_secrets = env
            .var("WHATSAPP_WEBHOOK_SECRET", "app secret that signs the webhooks")
            .alias("WHATSAPP_APP_SECRET")
            .required_secret();
        let app_secrets = app_secrets.map(|secrets| {
            secrets.expose_secret().split(',').map(|one| SecretString::from(one.trim())).collect()
        });
        Some(Self {
            listen: listen?,
            process: process?,
            graph: graph?,
            phone_number_id: phone_number_id?,
            access_token: access_token?,
            verify_token: verify_token?,
            app_secrets: app_secrets?,
        })
    }
}
