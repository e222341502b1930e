//! Meta's side of the conversation on this machine: a Graph API that takes messages, signed webhooks, and phones in people's
//! hands. It runs inside the process that starts it and listens on one address.

mod backend;
mod clock;
mod credentials;
mod events;
mod faults;
mod graph;
mod http;
mod inject;
mod options;
mod page;
mod person;
mod phone;
mod phone_api;
mod record_api;
mod records;
mod routes;
mod shared;
mod statuses;
mod wamid;
mod webhooks;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

pub use backend::BackendRequest;
use bytes::Bytes;
pub use credentials::NewCredentials;
pub use faults::{
    BackendErrorFault, BackendFaults, Dose, Faults, GraphErrorFault, GraphFaults, LateFault, WebhookFaults,
};
pub use inject::{InjectError, Signing};
pub use options::{BusinessNumber, Links, Person, Recording, RetryOptions, SimulatorOptions};
pub use phone::{ChatMessage, Contact, DeliveryStatus, Direction};
pub use records::{Answer, GraphCall, GraphMessage, WebhookRecord};
use serde_json::Value;
pub use shared::Observer;
use shared::Shared;
pub use statuses::StatusOptions;
use tokio::{net::TcpListener, sync::mpsc};
pub(crate) use webhooks::post::client as http_client;
pub use webhooks::{handshake::Handshake, post::WebhookAnswer};

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("could not listen on {address}: {source}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("the options name no business number, give at least one")]
    NoNumber,
    #[error("could not prepare the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running simulator. It stops when it is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Simulator {
    /// Starts to listen; must be called inside a tokio runtime.
    pub async fn start(options: SimulatorOptions) -> Result<Self, StartError> {
        if options.numbers.is_empty() {
            return Err(StartError::NoNumber);
        }
        let listen_error = |source| StartError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let (sender, jobs) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(options, format!("http://{}", reachable(address)), sender)?);
        tokio::spawn(http::serve(Arc::clone(&shared), listener));
        tokio::spawn(statuses::run(Arc::clone(&shared), jobs));
        Ok(Self { shared, address })
    }

    /// Base address without a trailing slash; also what `WHATSAPP_API_BASE_URL` is set to.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `SERVER_BASE_URL` of the backend that misbehaves on demand.
    pub fn backend_url(&self) -> String {
        format!("{}/backend", self.url())
    }

    /// Where webhooks go from now on: the full address of the router's `/webhook`.
    pub fn set_router_webhook_url(&self, url: &str) {
        self.set_router_webhook_urls(&[url]);
    }

    /// As [`Self::set_router_webhook_url`] for several routers: each post goes to the next one, the repetition of a
    /// failed one too, as a load balancer in front of them would do.
    pub fn set_router_webhook_urls(&self, urls: &[impl AsRef<str>]) {
        self.shared.webhooks.set_urls(urls.iter().map(|url| Arc::from(url.as_ref())).collect());
    }

    /// Posts a raw webhook body, signed, to whichever router's turn it is, once. Gives up after `timeout`.
    pub async fn post_webhook(
        &self,
        body: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<WebhookAnswer, InjectError> {
        match tokio::time::timeout(timeout, self.inject(body, Signing::Right)).await {
            Ok(answer) => answer,
            Err(_) => Err(InjectError::TimedOut),
        }
    }

    /// Makes Meta's GET handshake once.
    pub async fn handshake(&self) -> Handshake {
        webhooks::handshake::shake(&self.shared).await
    }

    /// Repeats the handshake in the background until the router answers it.
    pub fn keep_shaking_hands(&self) {
        tokio::spawn(webhooks::handshake::shake_until_ok(Arc::clone(&self.shared)));
    }

    /// A person writes to the first business number. The webhook leaves on its own; the answer is the message's id.
    pub fn say(&self, wa_id: &str, text: &str) -> Result<String, String> {
        let saying = person::Saying {
            wa_id: wa_id.to_owned(),
            text: Some(text.to_owned()),
            ..person::Saying::default()
        };
        person::say(&self.shared, &saying)
    }

    /// As [`Simulator::say`] for any type: `{"type": "image", "image": {…}, "context": {…}}`.
    pub fn say_message(&self, wa_id: &str, message: Value) -> Result<String, String> {
        let saying =
            person::Saying { wa_id: wa_id.to_owned(), message: Some(message), ..person::Saying::default() };
        person::say(&self.shared, &saying)
    }

    /// Adds a person; without a number, one from the range for fiction is taken.
    pub fn add_person(&self, name: &str, wa_id: Option<&str>) -> Result<Contact, String> {
        self.shared.phone.add(&phone::NewContact { name: name.to_owned(), wa_id: wa_id.map(str::to_owned) })
    }

    /// The person looks at the chat; `None` puts the phone away.
    pub fn open_chat(&self, wa_id: Option<&str>) -> Vec<String> {
        person::open(&self.shared, wa_id)
    }

    pub fn contacts(&self) -> Vec<Contact> {
        self.shared.phone.contacts()
    }

    /// Posts a raw webhook body to the router, once.
    pub async fn inject(
        &self,
        body: impl Into<Bytes>,
        signing: Signing,
    ) -> Result<WebhookAnswer, InjectError> {
        inject::inject(&self.shared, body.into(), signing).await
    }

    /// The value of `X-Hub-Signature-256` for these bytes.
    pub fn sign(&self, body: &[u8]) -> String {
        self.shared.credentials.sign(body)
    }

    /// Graph takes only the new token from now on, and webhooks are signed with the new app secret.
    pub fn set_credentials(&self, new: NewCredentials) {
        self.shared.credentials.replace(new);
    }

    pub fn set_faults(&self, faults: Faults) {
        self.shared.faults.set(faults);
    }

    /// The faults in force; counts show what is left of them.
    pub fn faults(&self) -> Faults {
        self.shared.faults.get()
    }

    /// Every message that the Graph side took, in order.
    pub fn messages(&self) -> Vec<GraphMessage> {
        self.shared.records.messages()
    }

    /// How many messages the Graph side has taken.
    pub fn taken_count(&self) -> usize {
        *self.shared.records.watch_taken().borrow()
    }

    /// Waits until that many messages were taken. `Err` holds those that came in time.
    pub async fn wait_for_messages(
        &self,
        count: usize,
        timeout: Duration,
    ) -> Result<Vec<GraphMessage>, Vec<GraphMessage>> {
        let mut taken = self.shared.records.watch_taken();
        let enough = tokio::time::timeout(timeout, taken.wait_for(|taken| *taken >= count)).await;
        if enough.is_ok() { Ok(self.messages()) } else { Err(self.messages()) }
    }

    pub fn forget_messages(&self) {
        self.shared.records.forget_messages();
    }

    pub fn calls(&self) -> Vec<GraphCall> {
        self.shared.records.calls()
    }

    /// The webhooks sent so far (the last 2000).
    pub fn webhooks(&self) -> Vec<WebhookRecord> {
        self.shared.records.webhooks()
    }

    /// The bodies that were injected so far, if the options say that they are kept.
    pub fn injected(&self) -> Vec<Bytes> {
        self.shared.records.injected()
    }

    pub fn backend_requests(&self) -> Vec<BackendRequest> {
        self.shared.backend.all()
    }

    /// How many statuses the router has accepted, however they were batched.
    pub fn statuses_accepted(&self) -> u64 {
        self.shared.records.statuses_accepted_so_far()
    }

    /// Is told of every message that is taken, from now on. Only the first observer counts.
    pub fn observe(&self, observer: Arc<dyn Observer>) -> bool {
        self.shared.observer.set(observer).is_ok()
    }

    pub fn options(&self) -> &SimulatorOptions {
        &self.shared.options
    }

    /// Stops listening, sending and redelivering.
    pub fn shutdown(&self) {
        self.shared.stop();
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// The id of a message that a person with this number writes.
pub(crate) fn fresh_person_wamid(number: &str) -> String {
    wamid::fresh(number, wamid::Author::Person)
}

/// An unspecified address listens everywhere, but nobody can connect to it by that name.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}
