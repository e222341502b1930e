//! The route `default` to one backend, and how hard the router tries.

use std::time::Duration;

use service::settings::{Env, parse_duration};
use url::Url;

use super::whatsapp::base_url;

/// Where messages are answered, and the limits of trying.
#[derive(Debug)]
pub struct DeliverySettings {
    /// Below it is `/process`.
    pub backend: Url,
    pub backend_timeout: Duration,
    pub reply_max_age: Duration,
    pub uncertain_wait: Duration,
    /// How long a lease holds without a sign of life, where several routers share a database.
    pub lease_time: Duration,
    pub dispatch_concurrency: u32,
    pub delivery_concurrency: u32,
}

impl DeliverySettings {
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        let backend = env
            .var("SERVER_BASE_URL", "where the backend's `POST /process` is")
            .default("http://localhost:8001")
            .parse_with(base_url);
        let backend_timeout =
            env.var("BACKEND_TIMEOUT", "how long one call of the backend may take").default("10s").duration();
        let reply_max_age = env
            .var("REPLY_MAX_AGE", "a message that is older than this when it arrives (Meta's backlog after an outage) is stored but not answered by itself")
            .default("24h")
            .duration();
        let uncertain_wait = env
            .var("SEND_UNCERTAIN_WAIT", "how long to wait for a status that tells whether a send without an answer went out, before it is repeated")
            .default("5s")
            .duration();
        let lease_time = env
            .var("LEASE_DURATION", "on PostgreSQL: how long the conversations of a router that gives no sign of life stay its own, before others go on with them; a sign is given every sixth of it")
            .default("30s")
            .parse_with(lease_time);
        let dispatch_concurrency = env
            .var(
                "DISPATCH_CONCURRENCY",
                "conversations whose messages are with the backend at the same time, at most",
            )
            .default("256")
            .parse_with(positive);
        let delivery_concurrency = env
            .var(
                "DELIVERY_CONCURRENCY",
                "conversations whose messages are being sent at the same time, at most",
            )
            .default("128")
            .parse_with(positive);
        Some(Self {
            backend: backend?,
            backend_timeout: backend_timeout?,
            reply_max_age: reply_max_age?,
            uncertain_wait: uncertain_wait?,
            lease_time: lease_time?,
            dispatch_concurrency: dispatch_concurrency?,
            delivery_concurrency: delivery_concurrency?,
        })
    }
}

/// Shorter, and a busy moment would look like a death; longer, and a death would keep people waiting.
fn lease_time(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text)?;
    if (Duration::from_secs(2)..=Duration::from_secs(600)).contains(&time) {
        Ok(time)
    } else {
        Err("is not from 2s to 10m".to_owned())
    }
}

pub(super) fn positive(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1..=100_000) => Ok(number),
        _ => Err("is not a whole number from 1 to 100000".to_owned()),
    }
}
