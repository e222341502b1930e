//! `GET /rate-limit/…`: how much of Meta's limits is used, and whether a channel is held up by them.

use poem_openapi::{ApiResponse, Object, OpenApi, param::Path, payload::Json, types::Example};
use service::http::Problem;

use super::{
    RouterTag,
    access::Reader,
    desk::Desk,
    monitoring::{BreakerItem, HealthStatus},
    refused::{Finding, Looking, Refused},
    times::written,
};
use crate::engine::ChannelLimits;

/// See the module.
#[derive(Debug, Clone)]
pub struct RateLimitApi {
    pub desk: Desk,
}

/// One limit that counts sends by the second.
#[derive(Debug, PartialEq, Object)]
struct LimitUse {
    /// `throughput`: everything. `business_initiated`: to people who did not write within 24 hours. `user_initiated`:
    /// to those who did.
    kind: String,
    /// Of the number, over all routers on one database.
    limit: u32,
    window_seconds: f64,
    /// By this router in the window until now.
    used: u32,
    /// Of this router's share.
    remaining: u32,
    /// What of the limit is this router's.
    share: u32,
    /// Messages that wait for room here.
    waiting: u64,
}

/// The limit to one person.
#[derive(Debug, PartialEq, Object)]
struct PairLimit {
    /// One message in this time, on average.
    interval_seconds: f64,
    /// Messages in a row.
    burst: u32,
}

/// What of a number's limits is used at this moment.
#[derive(Debug, PartialEq, Object)]
#[oai(example)]
struct RateLimitStats {
    channel: String,
    phone_number_id: String,
    /// As Meta writes it; none until a webhook told.
    display_phone_number: Option<String>,
    limits: Vec<LimitUse>,
    pair: PairLimit,
}

/// Meta refuses everything that a channel sends.
#[derive(Debug, PartialEq, Eq, Object)]
#[oai(rename = "ChannelStopped")]
struct StoppedItem {
    since: String,
    /// When one message finds out whether it was mended.
    probe_at: String,
    reason: String,
}

/// Whether a channel may send as fast as it should.
#[derive(Debug, PartialEq, Eq, Object)]
struct ChannelPaceItem {
    channel: String,
    phone_number_id: String,
    status: HealthStatus,
    /// At half the rate until then, because Meta said that sends were too many.
    slowed_until: Option<String>,
    /// Nothing is sent until then, because Meta asked for a pause.
    held_until: Option<String>,
    stopped: Option<StoppedItem>,
    breaker: BreakerItem,
}

/// How the channels are. Times are RFC 3339 in UTC.
#[derive(Debug, Object)]
struct RateLimitHealth {
    /// `degraded` when a channel is.
    status: HealthStatus,
    channels: Vec<ChannelPaceItem>,
}

impl From<&ChannelLimits> for RateLimitStats {
    fn from(view: &ChannelLimits) -> Self {
        let limits = view.kinds.iter().map(|kind| LimitUse {
            kind: kind.kind.as_str().to_owned(),
            limit: kind.limit,
            window_seconds: kind.window.as_secs_f64(),
            used: kind.used,
            remaining: kind.remaining,
            share: kind.share,
            waiting: kind.waiting as u64,
        });
        Self {
            channel: view.channel.to_string(),
            phone_number_id: view.phone_number_id.clone(),
            display_phone_number: view.display_phone_number.as_deref().map(str::to_owned),
            limits: limits.collect(),
            pair: PairLimit { interval_seconds: view.pair.interval.as_secs_f64(), burst: view.pair.burst },
        }
    }
}

impl Example for RateLimitStats {
    fn example() -> Self {
        let limit = |kind: &str, limit, used| LimitUse {
            kind: kind.to_owned(),
            limit,
            window_seconds: 1.0,
            used,
            remaining: limit - used,
            share: limit,
            waiting: 0,
        };
        Self {
            channel: "default".to_owned(),
            phone_number_id: "106540352242922".to_owned(),
            display_phone_number: Some("15550783881".to_owned()),
            limits: vec![
                limit("throughput", 80, 12),
                limit("business_initiated", 80, 2),
                limit("user_initiated", 1_000, 10),
            ],
            pair: PairLimit { interval_seconds: 6.0, burst: 45 },
        }
    }
}

impl From<ChannelLimits> for ChannelPaceItem {
    fn from(view: ChannelLimits) -> Self {
        let breaker = BreakerItem::from(view.breaker);
        let stopped = view.stopped.map(|stopped| StoppedItem {
            since: written(stopped.since),
            probe_at: written(stopped.probe_at),
            reason: stopped.reason,
        });
        let free = view.slowed_until.is_none() && view.held_until.is_none() && stopped.is_none();
        let status = if free && breaker.is_closed() { HealthStatus::Ok } else { HealthStatus::Degraded };
        Self {
            channel: view.channel.to_string(),
            phone_number_id: view.phone_number_id,
            status,
            slowed_until: view.slowed_until.map(written),
            held_until: view.held_until.map(written),
            stopped,
            breaker,
        }
    }
}

/// A channel by its phone number id, or by its phone number however it is written.
fn is_meant(view: &ChannelLimits, phone: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let wanted = digits(phone);
    view.phone_number_id == phone
        || !wanted.is_empty()
            && view.display_phone_number.as_deref().is_some_and(|number| digits(number) == wanted)
}

#[derive(ApiResponse)]
enum HealthAnswer {
    /// Every channel.
    #[oai(status = 200)]
    Channels(Json<RateLimitHealth>),
}

#[derive(ApiResponse)]
enum StatsAnswer {
    /// The number's limits.
    #[oai(status = 200)]
    Stats(Json<RateLimitStats>),
}

#[OpenApi(prefix_path = "/rate-limit", tag = "RouterTag::Monitoring")]
impl RateLimitApi {
    /// Are the channels held up?
    ///
    /// `degraded` when Meta made a channel slower, asked for a pause, refuses its sends, or does not answer.
    #[oai(path = "/health", method = "get", operation_id = "getRateLimitHealth")]
    async fn health(&self, _reader: Reader) -> Result<HealthAnswer, Refused<Looking>> {
        let channels: Vec<_> =
            self.desk.engine()?.limits_view().into_iter().map(ChannelPaceItem::from).collect();
        let status = channels.iter().map(|channel| channel.status).max().unwrap_or(HealthStatus::Ok);
        Ok(HealthAnswer::Channels(Json(RateLimitHealth { status, channels })))
    }

    /// How much of a number's limits is used?
    #[oai(path = "/stats/:phone", method = "get", operation_id = "getRateLimitStats")]
    async fn stats(
        &self,
        _reader: Reader,
        /// The phone number id, or the phone number in digits.
        phone: Path<String>,
    ) -> Result<StatsAnswer, Refused<Finding>> {
        let views = self.desk.engine()?.limits_view();
        let found = views.iter().find(|view| is_meant(view, &phone.0));
        let found = found.ok_or_else(|| {
            Problem::not_found("no channel has this number; a phone number is known once a webhook named it, its phone number id at once")
        })?;
        Ok(StatsAnswer::Stats(Json(found.into())))
    }
}
