//! The HTTP side of the router: its calls, and the document that describes them.

mod access;
mod body_room;
mod desk;
mod json_body;
mod key_rotation;
mod keys;
mod monitoring;
mod queue_reasons;
mod rate_limit;
mod refusals;
mod refused;
mod request_ids;
mod signed_body;
mod times;
mod v1;
mod webhook;

use std::sync::Arc;

use async_trait::async_trait;
use poem_openapi::{OpenApiService, Tags};
use service::{health::Health, http::docs, metrics::Metrics, ops::OpsApi};

pub use self::v1::{ConversationsApi, DeadLettersApi, LedgerApi, MessagesApi, ObjectsApi};
pub use self::{
    access::Access, body_room::BodyRoom, desk::Desk, key_rotation::follow_keys, monitoring::MonitoringApi,
    rate_limit::RateLimitApi, refusals::Refusals, webhook::WebhookApi,
};
use crate::{
    REVISION, VERSION,
    clock::Clock,
    config::view::ConfigView,
    intake::{ForeignItems, Intake},
    metrics::RouterMetrics,
    routing::LiveTable,
    store::{Accepted, Delivery, StoreError},
};

/// Sections of the documentation.
#[derive(Debug, Tags)]
enum RouterTag {
    /// What Meta calls.
    #[oai(rename = "webhook")]
    Webhook,
    /// Send, and look at what was said.
    #[oai(rename = "messages")]
    Messages,
    /// Who is talked with, and who answers.
    #[oai(rename = "conversations")]
    Conversations,
    /// What was given up.
    #[oai(rename = "dead letters")]
    DeadLetters,
    /// What became of everything.
    #[oai(rename = "ledger")]
    Ledger,
    /// Channels and routes, and what became of them.
    #[oai(rename = "configuration")]
    Configuration,
    /// How it is now.
    #[oai(rename = "monitoring")]
    Monitoring,
}

/// The calls that need a key.
pub type KeyedApi =
    (MessagesApi, ConversationsApi, DeadLettersApi, LedgerApi, ObjectsApi, MonitoringApi, RateLimitApi);

/// Everything on the main port.
pub type PublicApi = (WebhookApi, KeyedApi);

/// The calls that need a key, on an engine that runs or, for the document alone, on none.
pub fn keyed(desk: &Desk, table: &LiveTable, config: ConfigView) -> KeyedApi {
    let (desk, table) = (desk.clone(), table.clone());
    (
        MessagesApi { desk: desk.clone(), table: table.clone() },
        ConversationsApi { desk: desk.clone() },
        DeadLettersApi { desk: desk.clone() },
        LedgerApi { desk: desk.clone() },
        ObjectsApi { config: config.clone(), desk: desk.clone() },
        MonitoringApi { desk: desk.clone(), table, config },
        RateLimitApi { desk },
    )
}

/// All calls of the router, those for operators included.
pub fn service(public: PublicApi, ops: OpsApi) -> OpenApiService<(PublicApi, OpsApi), ()> {
    described(OpenApiService::new((public, ops), "WhatsApp Router: router", VERSION))
}

/// The calls on the main port when those for operators have a port of their own.
pub fn public_service(public: PublicApi) -> OpenApiService<PublicApi, ()> {
    described(OpenApiService::new(public, "WhatsApp Router: router", VERSION))
}

fn described<T>(service: OpenApiService<T, ()>) -> OpenApiService<T, ()> {
    service
        .description(
            "Speaks WhatsApp for a business: takes Meta's signed webhooks, stores them before it says yes, asks a \
             backend what to answer, and sends the answer, in order within each chat.\n\n\
             Every error is `application/problem+json` (RFC 9457) with a stable `code`; every answer carries \
             `X-Request-Id`. Calls under `/api/v1`, `/monitoring` and `/rate-limit` need one of the keys in \
             `ROUTER_API_KEYS`.",
        )
        .license("Apache-2.0")
        .server("/")
}

/// The OpenAPI document, as the `openapi` subcommand prints it and as it is committed.
pub fn document() -> String {
    let metrics = Metrics::new("whatsapp_router", VERSION, REVISION);
    let webhook = WebhookApi {
        intake: Arc::new(Closed),
        table: LiveTable::default(),
        metrics: RouterMetrics::new(&metrics),
        room: BodyRoom::default(),
        clock: Clock::default(),
        refusals: Refusals::default(),
    };
    let public = (webhook, keyed(&Desk::default(), &LiveTable::default(), ConfigView::default()));
    docs::document_of(&service(public, OpsApi::new("router", VERSION, Health::new(), metrics)))
}

/// Stands where the document is made and nothing is served.
#[derive(Debug)]
struct Closed;

#[async_trait]
impl Intake for Closed {
    async fn accept(&self, _delivery: Delivery) -> Result<Accepted, StoreError> {
        Err(StoreError::Closed)
    }

    fn refused(&self, _channels: &[Arc<str>]) {}

    fn foreign(&self, _items: &ForeignItems) {}
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_the_one_that_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/router.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == super::document(),
            "openapi/router.json is out of date: run `make openapi` and commit it"
        );
    }
}
