//! `GET /monitoring/queue/health`: how the queues are, and what keeps them from being well.

use poem_openapi::{ApiResponse, Enum, Object, OpenApi, payload::Json, types::Example};

use super::{
    RouterTag,
    access::Reader,
    desk::Desk,
    queue_reasons::{Known, held, reasons, status, without_route},
    refused::{NO_KEYS, Reason, Reasons, Refused, UNAUTHORIZED},
    times::written,
};
use crate::{
    config::view::ConfigView,
    engine::{BreakerState, BreakerView, ForeignView},
    routing::LiveTable,
    store::{Micros, QueueView, QueuesView, now},
};

/// See the module.
#[derive(Debug, Clone)]
pub struct MonitoringApi {
    pub desk: Desk,
    pub table: LiveTable,
    pub config: ConfigView,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Enum)]
#[oai(rename_all = "snake_case")]
pub(super) enum HealthStatus {
    /// Nothing keeps messages from flowing.
    Ok,
    /// It works, and somebody should look at `reasons`.
    Degraded,
    /// Nothing is taken: the store fails.
    Down,
}

/// One queue, in messages.
#[derive(Debug, PartialEq, Eq, Object)]
pub(super) struct QueueHealth {
    /// Could be worked on now, if what it goes to works.
    pub(super) ready: i64,
    pub(super) in_progress: i64,
    /// Waits for a time: a retry, a limit.
    pub(super) delayed: i64,
    /// Since the oldest unfinished message was stored; none when there is none.
    pub(super) oldest_age_seconds: Option<i64>,
}

/// Something that a person should look at.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "HealthReason")]
pub(super) struct ReasonItem {
    /// `store_failing`, `route_held`, `no_route`, `inbox_old`, `outbox_old`, `inbox_waiting`, `outbox_waiting`,
    /// `dead_letters`, `breaker_open`, `channel_stopped`, `webhooks_refused` or `channel_silent`.
    pub(super) code: String,
    pub(super) detail: String,
}

/// A circuit breaker: while it is open, nothing is asked of what does not work anyway.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "Breaker")]
pub(super) struct BreakerItem {
    /// `backend` or `channel`.
    kind: String,
    name: String,
    /// `closed`: calls are made. `open`: none are. `half_open`: one finds out.
    state: String,
    /// Since when it is not closed (RFC 3339).
    since: Option<String>,
    /// When the next call finds out (RFC 3339).
    probe_at: Option<String>,
}

impl BreakerItem {
    pub(super) fn is_closed(&self) -> bool {
        self.state == BreakerState::Closed.as_str()
    }
}

impl From<BreakerView> for BreakerItem {
    fn from(view: BreakerView) -> Self {
        Self {
            kind: view.kind.to_owned(),
            name: view.name.to_string(),
            state: view.state.as_str().to_owned(),
            since: view.since.map(written),
            probe_at: view.probe_at.map(written),
        }
    }
}

/// The state of the queues.
#[derive(Debug, Object)]
#[oai(example)]
struct QueueHealthReport {
    status: HealthStatus,
    /// Why it is not `ok`; empty when it is.
    reasons: Vec<ReasonItem>,
    /// Messages of people, for the backend; none while the store can't tell.
    inbox: Option<QueueHealth>,
    /// Messages of the business, for Meta; none while the store can't tell.
    outbox: Option<QueueHealth>,
    dead_letters: Option<i64>,
    breakers: Vec<BreakerItem>,
    /// Phone number ids that webhooks named and that are no channel here, the last ones since the router began, newest
    /// first, 20 at most. Nobody answers those people.
    foreign_numbers: Vec<ForeignNumber>,
}

/// A number that is no channel.
#[derive(Debug, Object)]
struct ForeignNumber {
    phone_number_id: String,
    /// Messages, statuses and other news for it.
    items: u64,
    last_seen_at: String,
}

impl From<ForeignView> for ForeignNumber {
    fn from(view: ForeignView) -> Self {
        let ForeignView { phone_number_id, items, last_at } = view;
        Self { phone_number_id, items, last_seen_at: written(last_at) }
    }
}

impl QueueHealth {
    fn of(view: QueueView, now: Micros) -> Self {
        let QueueView { ready, in_progress, delayed, oldest_at } = view;
        let oldest_age_seconds = oldest_at.map(|at| (now - at).max(0) / 1_000_000);
        Self { ready, in_progress, delayed, oldest_age_seconds }
    }
}

impl QueueHealthReport {
    /// `queues` is `None` when the store does not answer.
    fn of(
        queues: Option<QueuesView>,
        known: Known<'_>,
        foreign_numbers: Vec<ForeignNumber>,
        now: Micros,
    ) -> Self {
        let inbox = queues.map(|queues| QueueHealth::of(queues.inbox, now));
        let outbox = queues.map(|queues| QueueHealth::of(queues.outbox, now));
        let dead_letters = queues.map(|queues| queues.dead_letters);
        let unanswered = queues.is_none().then(|| "the database does not answer".to_owned());
        let known = Known {
            store_fails: known.store_fails.or(unanswered),
            inbox: inbox.as_ref(),
            outbox: outbox.as_ref(),
            dead_letters,
            ..known
        };
        let reasons = reasons(&known);
        let breakers = known.breakers.iter().cloned().map(BreakerItem::from).collect();
        Self { status: status(&reasons), reasons, inbox, outbox, dead_letters, breakers, foreign_numbers }
    }
}

impl Example for QueueHealthReport {
    fn example() -> Self {
        let queue = QueueView { ready: 0, in_progress: 3, delayed: 1, oldest_at: Some(0) };
        let queues = QueuesView { inbox: queue, outbox: QueueView::default(), dead_letters: 2 };
        let breaker = BreakerView {
            kind: "backend",
            name: "default".into(),
            state: BreakerState::Closed,
            since: None,
            probe_at: None,
        };
        let foreign = ForeignNumber {
            phone_number_id: "106540352242999".to_owned(),
            items: 3,
            last_seen_at: written(0),
        };
        let known = Known { breakers: &[breaker], ..Known::default() };
        Self::of(Some(queues), known, vec![foreign], 4_000_000)
    }
}

#[derive(ApiResponse)]
enum QueueHealthAnswer {
    /// `ok` or `degraded`: messages are taken.
    #[oai(status = 200)]
    Taking(Json<QueueHealthReport>),
    /// `down`: no message is taken, because the store fails.
    #[oai(status = 503)]
    Down(Json<QueueHealthReport>),
}

struct Monitoring;
impl Reasons for Monitoring {
    const ALL: &'static [Reason] = &[UNAUTHORIZED, NO_KEYS];
}

#[OpenApi(tag = "RouterTag::Monitoring")]
impl MonitoringApi {
    /// How are the queues?
    ///
    /// `degraded` when there are dead letters, when messages wait for over a minute, when a route that can't be used
    /// keeps its messages, when a circuit
    /// breaker is not closed, when Meta refuses all sends of a channel, when all webhooks of a channel are
    /// refused because of their signature (`CHANNEL_REFUSED_AFTER`), or when a channel is silent for unusually long
    /// (`CHANNEL_SILENT_AFTER`). `down` when the store fails. While too many
    /// calls read at once it answers a problem with 503.
    #[oai(path = "/monitoring/queue/health", method = "get", operation_id = "getQueueHealth")]
    async fn queue_health(&self, _reader: Reader) -> Result<QueueHealthAnswer, Refused<Monitoring>> {
        let Ok(engine) = self.desk.engine() else {
            let report = QueueHealthReport::of(None, Known::default(), Vec::new(), now());
            return Ok(QueueHealthAnswer::Down(Json(report)));
        };
        let queues = engine.store().queues().await.ok();
        let (channels, breakers) = (engine.channels_health(), engine.breakers_view());
        let known = Known {
            store_fails: engine.store_failure(),
            breakers: &breakers,
            channels: &channels,
            held: held(&self.config.compiled.borrow()),
            without_route: without_route(&self.table.load()),
            ..Known::default()
        };
        let foreign = engine.foreign_numbers().into_iter().map(ForeignNumber::from).collect();
        let report = QueueHealthReport::of(queues, known, foreign, now());
        Ok(match report.status {
            HealthStatus::Down => QueueHealthAnswer::Down(Json(report)),
            _ => QueueHealthAnswer::Taking(Json(report)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_does_not_answer_or_fails_is_down() {
        for (queues, fails, expected) in [
            (None, None, Some("the database does not answer")),
            (None, Some("the disk is full"), Some("the disk is full")),
            (Some(QueuesView::default()), Some("the disk is full"), Some("the disk is full")),
            (Some(QueuesView::default()), None, None),
        ] {
            let known = Known { store_fails: fails.map(str::to_owned), ..Known::default() };
            let report = QueueHealthReport::of(queues, known, Vec::new(), 0);
            let said = report.reasons.first().map(|reason| reason.detail.as_str());
            let status = if expected.is_some() { HealthStatus::Down } else { HealthStatus::Ok };
            assert_eq!((report.status, said), (status, expected));
        }
    }
}
