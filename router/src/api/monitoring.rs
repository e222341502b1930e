//! `GET /monitoring/queue/health`: how the queues are, and what keeps them from being well.

use poem_openapi::{ApiResponse, Enum, Object, OpenApi, payload::Json, types::Example};

use super::{
    RouterTag,
    access::Reader,
    desk::Desk,
    refused::{NO_KEYS, Reason, Reasons, Refused, UNAUTHORIZED},
    times::written,
};
use crate::{
    config::compiled::Status,
    engine::{BreakerState, BreakerView, ChannelHealth},
    store::{Micros, QueueView, QueuesView, now},
    working,
};

/// Work that could be done and is not for so long means that something does not keep up.
const OLD_SECONDS: i64 = 60;

/// See the module.
#[derive(Debug, Clone)]
pub struct MonitoringApi {
    pub desk: Desk,
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
struct QueueHealth {
    /// Could be worked on now.
    ready: i64,
    in_progress: i64,
    /// Waits for a time: a retry, a limit.
    delayed: i64,
    /// Since the oldest unfinished message was stored; none when there is none.
    oldest_age_seconds: Option<i64>,
}

/// Something that a person should look at.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "HealthReason")]
pub(super) struct ReasonItem {
    /// `store_failing`, `dead_letters`, `inbox_old`, `outbox_old`, `breaker_open`, `channel_stopped`,
    /// `webhooks_refused` or `channel_silent`.
    code: String,
    detail: String,
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
}

impl QueueHealth {
    fn of(view: QueueView, now: Micros) -> Self {
        let QueueView { ready, in_progress, delayed, oldest_at } = view;
        let oldest_age_seconds = oldest_at.map(|at| (now - at).max(0) / 1_000_000);
        Self { ready, in_progress, delayed, oldest_age_seconds }
    }

    /// What waits for a time is as old as it has to be.
    fn is_old(&self) -> bool {
        self.ready > 0 && self.oldest_age_seconds.is_some_and(|age| age > OLD_SECONDS)
    }
}

impl QueueHealthReport {
    /// `queues` is `None` when the store does not answer.
    fn of(
        queues: Option<QueuesView>,
        store_fails: bool,
        channels: &[ChannelHealth],
        breakers: Vec<BreakerView>,
        now: Micros,
    ) -> Self {
        let mut reasons = Vec::new();
        let mut reason =
            |code: &str, detail: String| reasons.push(ReasonItem { code: code.to_owned(), detail });
        if store_fails || queues.is_none() {
            reason(
                "store_failing",
                "the database takes no writes or does not answer, the log says why".to_owned(),
            );
        }
        let inbox = queues.map(|queues| QueueHealth::of(queues.inbox, now));
        let outbox = queues.map(|queues| QueueHealth::of(queues.outbox, now));
        for (code, queue) in [("inbox_old", &inbox), ("outbox_old", &outbox)] {
            if queue.as_ref().is_some_and(QueueHealth::is_old) {
                reason(
                    code,
                    format!("messages could be worked on and the oldest waits for over {OLD_SECONDS} s"),
                );
            }
        }
        let dead_letters = queues.map(|queues| queues.dead_letters);
        if let Some(count @ 1..) = dead_letters {
            reason(
                "dead_letters",
                format!("{count} dead letters wait for somebody: GET /api/v1/dead-letters"),
            );
        }
        for breaker in breakers.iter().filter(|breaker| breaker.state != BreakerState::Closed) {
            let detail =
                format!("the {} {} does not answer; it is asked now and then", breaker.kind, breaker.name);
            reason("breaker_open", detail);
        }
        for channel in channels {
            for condition in working::conditions(channel) {
                if condition.status == Status::False {
                    let code = match (condition.kind, condition.reason) {
                        ("Sending", _) => "channel_stopped",
                        (_, working::SIGNATURE_REFUSED) => "webhooks_refused",
                        _ => "channel_silent",
                    };
                    reason(code, format!("{}: {}", channel.channel, condition.message));
                }
            }
        }
        let status = match &reasons[..] {
            [] => HealthStatus::Ok,
            reasons if reasons.iter().any(|reason| reason.code == "store_failing") => HealthStatus::Down,
            _ => HealthStatus::Degraded,
        };
        let breakers = breakers.into_iter().map(BreakerItem::from).collect();
        Self { status, reasons, inbox, outbox, dead_letters, breakers }
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
        Self::of(Some(queues), false, &[], vec![breaker], 4_000_000)
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
    /// `degraded` when there are dead letters, when work that could be done waits for over a minute, when a circuit
    /// breaker is not closed, when Meta refuses all sends of a channel, when all webhooks of a channel are
    /// refused because of their signature (`CHANNEL_REFUSED_AFTER`), or when a channel is silent for unusually long
    /// (`CHANNEL_SILENT_AFTER`). `down` when the store fails. While too many
    /// calls read at once it answers a problem with 503.
    #[oai(path = "/monitoring/queue/health", method = "get", operation_id = "getQueueHealth")]
    async fn queue_health(&self, _reader: Reader) -> Result<QueueHealthAnswer, Refused<Monitoring>> {
        let Ok(engine) = self.desk.engine() else {
            let report = QueueHealthReport::of(None, true, &[], Vec::new(), now());
            return Ok(QueueHealthAnswer::Down(Json(report)));
        };
        let queues = engine.store().queues().await.ok();
        let (channels, breakers) = (engine.channels_health(), engine.breakers_view());
        let report = QueueHealthReport::of(queues, engine.store_is_failing(), &channels, breakers, now());
        Ok(match report.status {
            HealthStatus::Down => QueueHealthAnswer::Down(Json(report)),
            _ => QueueHealthAnswer::Taking(Json(report)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queues(ready: i64, delayed: i64, oldest_at: Option<Micros>, dead_letters: i64) -> QueuesView {
        let inbox = QueueView { ready, in_progress: 0, delayed, oldest_at };
        QueuesView { inbox, outbox: QueueView::default(), dead_letters }
    }

    fn breaker(state: BreakerState) -> BreakerView {
        BreakerView { kind: "backend", name: "shop".into(), state, since: None, probe_at: None }
    }

    #[test]
    fn the_status_follows_from_the_reasons() {
        use BreakerState::{Closed, HalfOpen, Open};
        const NOW: Micros = 1_000_000_000;
        for (view, fails, state, status, codes) in [
            (Some(queues(0, 0, None, 0)), false, Closed, HealthStatus::Ok, &[][..]),
            (Some(queues(5, 0, Some(NOW - 60_000_000), 0)), false, Closed, HealthStatus::Ok, &[]),
            (
                Some(queues(5, 0, Some(NOW - 61_000_000), 0)),
                false,
                Closed,
                HealthStatus::Degraded,
                &["inbox_old"],
            ),
            (Some(queues(0, 5, Some(0), 0)), false, Closed, HealthStatus::Ok, &[]),
            (Some(queues(0, 0, None, 1)), false, Closed, HealthStatus::Degraded, &["dead_letters"]),
            (Some(queues(0, 0, None, 0)), false, Open, HealthStatus::Degraded, &["breaker_open"]),
            (Some(queues(0, 0, None, 0)), false, HalfOpen, HealthStatus::Degraded, &["breaker_open"]),
            (
                Some(queues(0, 0, None, 2)),
                true,
                Closed,
                HealthStatus::Down,
                &["store_failing", "dead_letters"],
            ),
            (None, false, Closed, HealthStatus::Down, &["store_failing"]),
        ] {
            let report = QueueHealthReport::of(view, fails, &[], vec![breaker(state)], NOW);
            let found: Vec<_> = report.reasons.iter().map(|reason| reason.code.as_str()).collect();
            assert_eq!((report.status, &found[..]), (status, codes), "{view:?}");
        }
    }
}
