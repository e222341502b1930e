//! Puts the server together and runs it.

use poem::{Endpoint, EndpointExt, IntoEndpoint, Response};
use poem_openapi::{ExtraHeader, OpenApi, OpenApiService, ServerObject};
use service::{
    health::Health,
    http::{BindError, Docs, Edge, Routes, docs::document_of, settings::Limits},
    logging::install_panic_hook,
    metrics::Metrics,
    ops::{self, OpsApi, Running},
    shutdown::Shutdown,
    signing::Signer,
};

use crate::{SERVICE, VERSION, api::Api, settings::Settings};

const DESCRIPTION: &str = "\
The backend that ships with WhatsApp Router: it turns the text of a message into a reply. It is also the smallest \
example of a backend of your own.\n\n\
Every answer carries `X-Request-Id`. Every error is a problem document (RFC 9457, `application/problem+json`) with a \
stable `code`.";

/// The parts that the endpoints share.
#[derive(Debug, Clone)]
pub struct App {
    api: Api,
    ops: OpsApi,
    metrics: Metrics,
    health: Health,
    limits: Limits,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// With metrics and health of its own.
    pub fn new() -> Self {
        let metrics = Metrics::new("whatsapp_server", VERSION);
        let health = Health::new();
        let ops = OpsApi::new(SERVICE, VERSION, health.clone(), metrics.clone());
        Self { api: Api::new(&metrics), ops, metrics, health, limits: Limits::default() }
    }

    /// With other bounds than the usual ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Answering only calls that it signed.
    #[must_use]
    pub fn with_signer(mut self, signer: Option<Signer>) -> Self {
        self.api = self.api.with_signer(signer);
        self
    }

    /// Whether the server is ready; tests and [`serve`] say when.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What is served on `SERVER_LISTEN`: the API, its documentation, and the operational calls unless those have a
    /// listener of their own.
    pub fn main_endpoint(&self, docs: bool, with_ops: bool) -> impl Endpoint<Output = Response> + use<> {
        if with_ops {
            self.endpoint(self.documented((self.api.clone(), self.ops.clone())), docs).boxed()
        } else {
            self.endpoint(self.documented(self.api.clone()), docs).boxed()
        }
    }

    /// What is served on `ADMIN_LISTEN`.
    pub fn admin_endpoint(&self) -> impl Endpoint<Output = Response> + use<> {
        self.endpoint(self.documented(self.ops.clone()), false)
    }

    /// The whole API as an OpenAPI document.
    pub fn document(&self) -> String {
        document_of(&self.documented((self.api.clone(), self.ops.clone())))
    }

    fn documented<T: OpenApi>(&self, api: T) -> OpenApiService<T, ()> {
        let request_id = ExtraHeader::new("X-Request-Id")
            .description("Names the request in the log: yours when it was 1 to 128 of `A-Z a-z 0-9 . _ -`, else a new one.");
        OpenApiService::new(api, "WhatsApp Router: server", VERSION)
            .description(DESCRIPTION)
            .server(ServerObject::new("/").description("where this document came from"))
            .extra_response_header::<String, _>(request_id)
    }

    fn endpoint<T: OpenApi + 'static>(
        &self,
        service: OpenApiService<T, ()>,
        docs: bool,
    ) -> impl Endpoint<Output = Response> + use<T> {
        let docs = Docs::of(&service, docs);
        let edge = Edge::new(&self.metrics)
            .with_limits(&self.limits)
            .with_routes(Routes::from_openapi(docs.document()));
        docs.before(service.into_endpoint()).with(edge)
    }
}

/// Why the server ended before its time.
#[derive(Debug)]
pub enum ServeError {
    /// A port could not be taken.
    Bind(BindError),
    /// The system refused something that the server cannot do without.
    System(std::io::Error),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {}

/// Serves until a signal has been answered by draining.
pub async fn serve(settings: &Settings) -> Result<(), ServeError> {
    let signer = settings.signer.clone();
    let settings = &settings.http;
    let listeners = Running::bind(settings).map_err(ServeError::Bind)?;
    let shutdown = Shutdown::on_signals().map_err(ServeError::System)?;
    let app = App::new().with_limits(settings.limits.clone()).with_signer(signer);
    install_panic_hook(app.metrics.panics().clone());
    let main = app.main_endpoint(settings.docs, settings.admin_listen.is_none());
    let admin = app.admin_endpoint();
    tracing::info!(
        address = %listeners.main_address(),
        admin = listeners.admin_address().map(tracing::field::display),
        "ready"
    );
    app.health.ready();
    ops::run(listeners, main, admin, &app.health, &app.metrics, &shutdown, settings)
        .await
        .map_err(ServeError::System)?;
    tracing::info!("ended in order");
    Ok(())
}
