//! Puts the server together and runs it.

use std::{net::SocketAddr, time::Duration};

use poem::{Endpoint, EndpointExt, IntoEndpoint, Response};
use poem_openapi::{ExtraHeader, OpenApi, OpenApiService, ServerObject};
use service::{
    health::Health,
    http::{BindError, Docs, Edge, Routes, Trust, docs::document_of, settings::Limits},
    logging::{LogControl, install_panic_hook},
    metrics::{Metrics, to_markdown},
    ops::{self, OpsApi, Running},
    shutdown::Shutdown,
    signing::Signer,
    telemetry::{Telemetry, TelemetryError, Tracer},
};

use crate::{REVISION, SERVICE, VERSION, api::Api, settings::Settings};

/// For traces that were not sent yet when everything else has ended.
const FLUSH_TIME: Duration = Duration::from_secs(3);

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
    tracer: Tracer,
    /// Where the calls come in, for spans.
    address: Option<SocketAddr>,
}

impl Default for App {
    fn default() -> Self {
        Self::new()
    }
}

impl App {
    /// With metrics and health of its own.
    pub fn new() -> Self {
        let metrics = Metrics::new("whatsapp_server", VERSION, REVISION);
        metrics.watch_runtime();
        let health = Health::new();
        metrics.watch_health(&health);
        let ops = OpsApi::new(SERVICE, VERSION, health.clone(), metrics.clone());
        Self {
            api: Api::new(&metrics),
            ops,
            metrics,
            health,
            limits: Limits::default(),
            tracer: Tracer::off(),
            address: None,
        }
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

    /// Lets operators change what is logged, on a listener of their own.
    #[must_use]
    pub fn with_log_control(mut self, log: LogControl) -> Self {
        self.ops = self.ops.with_log_control(log);
        self
    }

    /// Makes each call that comes in at `address` a span, under that of the router, which is the one that calls.
    #[must_use]
    pub fn with_tracer(mut self, tracer: &Tracer, address: SocketAddr) -> Self {
        self.tracer = tracer.clone();
        self.address = Some(address);
        self
    }

    /// The server's table in docs/OPERATIONS.md.
    pub fn metrics_reference() -> String {
        let app = Self::new();
        service::telemetry::declare_metrics(&app.metrics);
        to_markdown(&app.metrics.declared())
    }

    /// Whether the server is ready; tests and [`serve`] say when.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// What is served on `SERVER_LISTEN`: the API, its documentation, and the operational calls unless those have a
    /// listener of their own.
    pub fn main_endpoint(&self, docs: bool, with_ops: bool) -> impl Endpoint<Output = Response> + use<> {
        let mut edge =
            Edge::new(&self.metrics).with_limits(&self.limits).with_tracer(&self.tracer, Trust::Everybody);
        if let Some(address) = self.address {
            edge = edge.listening_on(address);
        }
        if with_ops {
            endpoint(self.documented((self.api.clone(), self.ops.clone())), docs, edge).boxed()
        } else {
            endpoint(self.documented(self.api.clone()), docs, edge).boxed()
        }
    }

    /// What is served on `ADMIN_LISTEN`.
    pub fn admin_endpoint(&self) -> impl Endpoint<Output = Response> + use<> {
        let untraced = Edge::new(&self.metrics).with_limits(&self.limits);
        endpoint(self.documented(self.ops.clone()), false, untraced)
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
}

fn endpoint<T: OpenApi + 'static>(
    service: OpenApiService<T, ()>,
    docs: bool,
    edge: Edge,
) -> impl Endpoint<Output = Response> + use<T> {
    let docs = Docs::of(&service, docs);
    let edge = edge.with_routes(Routes::from_openapi(docs.document()));
    docs.before(service.into_endpoint()).with(edge)
}

/// Why the server ended before its time.
#[derive(Debug)]
pub enum ServeError {
    /// A port could not be taken.
    Bind(BindError),
    /// The system refused something that the server cannot do without.
    System(std::io::Error),
    /// Traces are wanted and can't be sent.
    Telemetry(TelemetryError),
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
            Self::Telemetry(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {}

/// Serves until a signal has been answered by draining.
pub async fn serve(settings: &Settings, log: LogControl) -> Result<(), ServeError> {
    let http = &settings.http;
    let listeners = Running::bind(http).map_err(ServeError::Bind)?;
    let shutdown = Shutdown::on_signals().map_err(ServeError::System)?;
    let app = App::new().with_limits(http.limits.clone()).with_signer(settings.signer.clone());
    install_panic_hook(app.metrics.panics().clone());
    let telemetry = Telemetry::start(&settings.telemetry, "whatsapp-server", VERSION, &app.metrics)
        .map_err(ServeError::Telemetry)?;
    let mut app = app.with_tracer(telemetry.tracer(), listeners.main_address());
    if http.admin_listen.is_some() {
        app = app.with_log_control(log);
    }
    let main = app.main_endpoint(http.docs, http.admin_listen.is_none());
    let admin = app.admin_endpoint();
    tracing::info!(
        address = %listeners.main_address(),
        admin = listeners.admin_address().map(tracing::field::display),
        "ready"
    );
    app.health.ready();
    ops::run(listeners, main, admin, &app.health, &app.metrics, &shutdown, http)
        .await
        .map_err(ServeError::System)?;
    telemetry.flush(FLUSH_TIME).await;
    tracing::info!("ended in order");
    Ok(())
}
