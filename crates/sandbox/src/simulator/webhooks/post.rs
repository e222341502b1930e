//! One signed POST to the router.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, header};

use crate::simulator::credentials::Credentials;

/// Longer than any router should need; Meta documents no limit.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct Poster {
    client: Client,
    credentials: Credentials,
    timeout: Duration,
}

/// What the router said to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    pub status: u16,
    pub body: String,
}

impl Poster {
    pub(crate) fn new(credentials: Credentials, timeout: Duration) -> Result<Self, reqwest::Error> {
        Ok(Self { client: client()?, credentials, timeout })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The value of `X-Hub-Signature-256` for exactly these bytes.
    pub(crate) fn sign(&self, body: &[u8]) -> String {
        self.credentials.sign(body)
    }

    pub(crate) async fn post(
        &self,
        url: &str,
        body: Bytes,
        signature: Option<&str>,
    ) -> Result<WebhookAnswer, reqwest::Error> {
        let request = self.client.post(url).timeout(self.timeout);
        let mut request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        if let Some(signature) = signature {
            request = request.header(whatsapp::signature::HEADER, signature);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        // Read to the end, so that the connection can be used again.
        Ok(WebhookAnswer { status, body: response.text().await? })
    }
}

/// A client for the router: usually plain HTTP on this machine, HTTPS when the router is elsewhere.
pub(crate) fn client() -> Result<Client, reqwest::Error> {
    // Refused when the process has chosen a provider already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // No proxy: the router is an address, and a proxy would re-encode what was signed.
    Client::builder().timeout(TIMEOUT).no_proxy().redirect(reqwest::redirect::Policy::none()).build()
}
