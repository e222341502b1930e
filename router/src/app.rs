//! Puts the router together from its settings and runs it from the first request to the last.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use poem::{EndpointExt, Route};
use service::{
    health::{CheckHandle, Health},
    http::{BindError, Docs, Edge, HttpSettings, Routes, Trust},
    logging::{LogControl, install_panic_hook},
    metrics::Metrics,
    ops::{self, OpsApi, Running},
    secrets::Secrets,
    settings::Problems,
    shutdown::Shutdown,
    telemetry::{Telemetry, TelemetryError},
};
use tokio::sync::watch;
use whatsapp::client::Client;

use crate::{
    REVISION, VERSION,
    api::{self, Access, BodyRoom, Desk, PublicApi, Refusals, WebhookApi},
    backend::BackendClient,
    config::{
        self,
        compile::Compiler,
        environment, kubernetes, reconcile,
        source::{Source, SourceKind},
        start::SourceError,
        view::ConfigView,
    },
    engine::{Engine, EngineIntake, EngineParts, EngineSettings, rest_in_doubt},
    metrics::RouterMetrics,
    retry::RetryPolicy,
    routing::LiveTable,
    settings::Settings,
    store::{self, OpenError, OpenOptions, Store},
    working,
};

/// From the signal to the end, at most: within the 35 s that compose and Kubernetes are told to wait. A send that is
/// cut off may have gone out and is repeated after the next start, so the time that requests did not need is its.
const SHUTDOWN_BUDGET: Duration = Duration::from_secs(30);
const LEAST_FINISH_TIME: Duration = Duration::from_secs(2);

/// For traces that were not sent yet when everything else has ended.
const FLUSH_TIME: Duration = Duration::from_secs(3);

/// Why the router did not start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("DATABASE_URL: {0}")]
    Store(#[from] OpenError),
    #[error(transparent)]
    Config(Problems),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Cluster(#[from] kubernetes::ConnectError),
    #[error("an HTTP client can't be made: {0}")]
    Client(#[from] reqwest::Error),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("signals can't be listened to: {0}")]
    Signals(std::io::Error),
    #[error("serving failed: {0}")]
    Serve(std::io::Error),
}

/// Runs until a signal ends it.
pub async fn run(settings: Settings, log: LogControl) -> Result<(), StartError> {
    let metrics = Metrics::new("whatsapp_router", VERSION, REVISION);
    install_panic_hook(metrics.panics().clone());
    settings.testing.warn();
    let telemetry = Telemetry::start(&settings.telemetry, "whatsapp-router", VERSION, &metrics)?;
    metrics.watch_runtime();
    let router_metrics = RouterMetrics::new(&metrics);
    let health = Health::new();
    metrics.watch_health(&health);
    // The port first: it is what a second instance by mistake collides with.
    let listeners = Running::bind(&settings.http)?;
    let options = OpenOptions {
        uncertain_wait: rest_in_doubt(settings.delivery.uncertain_wait, settings.flow.ambiguous),
        lease_time: settings.delivery.lease_time,
        clock: settings.testing.clock,
        metrics: router_metrics.store.clone(),
    };
    let store: Arc<dyn Store> = store::open(&settings.database, options).await?;
    let store_check = health.register("store");
    store_check.ok();

    let shutdown = Shutdown::on_signals().map_err(StartError::Signals)?;
    router_metrics.queues.watch(&metrics, store.clone());
    let secrets = service::secrets::watch(settings.secrets.clone(), &metrics);
    let table = LiveTable::default();
    let config_check = health.register("config");
    let home = match settings.config.source {
        SourceKind::Kubernetes => {
            Some(kubernetes::Home::open(&settings.kubernetes, health.register("kubernetes")).await?)
        }
        SourceKind::Environment | SourceKind::Files => None,
    };
    let source = config::start::open(&settings, home.as_ref())?;
    let config =
        configure(&settings, source, secrets.clone(), &table, &metrics, &router_metrics, config_check)?;
    let engine = Engine::start(EngineParts {
        store,
        table: table.clone(),
        backend: BackendClient::new(metrics.http_client().clone())?,
        graph: Client::new(settings.whatsapp.api_base_url.clone(), settings.whatsapp.api_timeout)?,
        metrics: router_metrics.clone(),
        store_check,
        shutdown: shutdown.clone(),
        settings: engine_settings(&settings),
        clock: settings.testing.clock,
        failpoints: settings.testing.failpoints.clone(),
        tracer: telemetry.tracer().clone(),
    });

    let writing = home.map(|home| {
        let engine = engine.clone();
        let knows = move |channel: &str| {
            engine.channel_health(channel).map_or_else(Vec::new, |it| working::conditions(&it).into())
        };
        home.write(config.compiled.clone(), Arc::new(knows), &metrics, shutdown.clone())
    });
    let webhook = WebhookApi {
        intake: Arc::new(EngineIntake(engine.clone())),
        table: table.clone(),
        metrics: router_metrics,
        room: BodyRoom::default(),
        clock: settings.testing.clock,
        refusals: Refusals::default(),
    };
    let public = (webhook, api::keyed(&Desk::new(engine.clone()), &table, config));
    let access = Access::new(&settings.api.keys);
    tokio::spawn(api::follow_keys(access.clone(), secrets));
    let mut ops = OpsApi::new("router", VERSION, health.clone(), metrics.clone());
    if settings.http.admin_listen.is_some() {
        ops = ops.with_log_control(log);
    }
    tracing::info!(
        address = %listeners.main_address(),
        admin_address = listeners.admin_address().map(tracing::field::display),
        "listening"
    );
    health.ready();
    let signalled = tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            shutdown.draining().await;
            Instant::now()
        }
    });
    let edge = Edge::new(&metrics)
        .with_limits(&settings.http.limits)
        .with_tracer(telemetry.tracer(), Trust::Below("/api/"))
        .listening_on(listeners.main_address());
    serve(listeners, (public, access), ops, &edge, (&health, &metrics), &shutdown, &settings.http).await?;

    let since_signal = signalled.await.map_or(Duration::ZERO, |at| at.elapsed());
    let left = SHUTDOWN_BUDGET.saturating_sub(since_signal).max(LEAST_FINISH_TIME);
    let rest = async {
        engine.idle().await;
        if let Some(writing) = writing {
            // That it panicked was logged; here only its end counts.
            let _ = writing.await;
        }
    };
    if tokio::time::timeout(left, rest).await.is_err() {
        tracing::warn!("some work was still in flight; it goes on after the next start");
    }
    telemetry.flush(FLUSH_TIME).await;
    tracing::info!("stopped");
    Ok(())
}

async fn serve(
    listeners: Running,
    (public, access): (PublicApi, Access),
    ops: OpsApi,
    edge: &Edge,
    (health, metrics): (&Health, &Metrics),
    shutdown: &Shutdown,
    http: &HttpSettings,
) -> Result<(), StartError> {
    let result = if http.admin_listen.is_none() {
        let service = api::service(public, ops);
        let docs = Docs::of(&service, http.docs);
        let edge = edge.clone().with_routes(Routes::from_openapi(docs.document()));
        let main = docs.before(Route::new().nest("/", service).data(access)).with(edge);
        ops::run(listeners, main, Route::new(), health, metrics, shutdown, http).await
    } else {
        let admin = poem_openapi::OpenApiService::new(ops, "WhatsApp router operations", VERSION);
        let admin = Route::new().nest("/", admin).with(Edge::new(metrics).with_limits(&http.limits));
        let service = api::public_service(public);
        let docs = Docs::of(&service, http.docs);
        let edge = edge.clone().with_routes(Routes::from_openapi(docs.document()));
        let main = docs.before(Route::new().nest("/", service).data(access)).with(edge);
        ops::run(listeners, main, admin, health, metrics, shutdown, http).await
    };
    result.map_err(StartError::Serve)
}

/// Follows the objects and the secrets from now on. What the environment says has to be right at once: nobody would
/// look at conditions for it.
fn configure(
    settings: &Settings,
    source: Source,
    secrets: watch::Receiver<Secrets>,
    table: &LiveTable,
    metrics: &Metrics,
    router_metrics: &RouterMetrics,
    check: CheckHandle,
) -> Result<ConfigView, StartError> {
    let kind = source.kind;
    reconcile::watch_age(metrics, router_metrics.config.clone(), &source);
    let compiled = reconcile::start(reconcile::Parts {
        compiler: Compiler::new(config::start::defaults(settings)),
        source,
        secrets,
        table: table.clone(),
        metrics: router_metrics.config.clone(),
        check,
    });
    if kind == SourceKind::Environment {
        environment::judge(&compiled.borrow()).map_err(StartError::Config)?;
    }
    Ok(ConfigView { source: kind, compiled })
}

fn engine_settings(settings: &Settings) -> EngineSettings {
    EngineSettings {
        dispatch_concurrency: settings.delivery.dispatch_concurrency,
        delivery_concurrency: settings.delivery.delivery_concurrency,
        uncertain_wait: settings.delivery.uncertain_wait,
        ambiguous: settings.flow.ambiguous,
        bounds: settings.flow.bounds,
        retention: settings.flow.retention,
        silent_after: settings.flow.silent_after,
        refused_after: settings.flow.refused_after,
        send_retry: RetryPolicy {
            // Only sends in doubt count. Each may be one more copy for the person, so there is an end to them.
            attempts: Some(10),
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            max_age: Duration::from_secs(86_400),
        },
    }
}
