//! What all routers on one database have to agree on: how fast a channel may send, and whether it may at all.

use std::{sync::Arc, time::Duration};

use super::Micros;

/// The limits of a number that count sends by the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaceKind {
    /// Everything that the number sends and receives (Meta, throughput).
    Throughput,
    /// Outside the 24-hour window.
    BusinessInitiated,
    /// Inside it.
    UserInitiated,
}

impl PaceKind {
    pub const ALL: [Self; 3] = [Self::Throughput, Self::BusinessInitiated, Self::UserInitiated];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::BusinessInitiated => "business_initiated",
            Self::UserInitiated => "user_initiated",
        }
    }
}

/// How long a share holds at most, if the leases do not end sooner. It is asked for every second; the share of a router
/// that was killed is nobody's for this long.
pub const SHARES_HOLD: Duration = Duration::from_secs(3);

/// One router's wish for a share of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaceAsk {
    pub channel: Arc<str>,
    pub kind: PaceKind,
    /// Of the whole number, per second.
    pub limit: u32,
    /// What this router would send in a second if it could.
    pub demand: u32,
}

/// A channel as far as Graph's answers and Meta's webhooks tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelState {
    pub channel: Arc<str>,
    /// Per second, as Meta announced it; `None` until it did.
    pub throughput: Option<u32>,
    /// Sends go at half the rate until then, because Graph said that they were too many.
    pub slowed_until: Option<Micros>,
    pub stopped: Option<Stopped>,
}

/// Graph refuses everything that this channel sends, until somebody mends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    pub since: Micros,
    /// When one send may find out whether it was mended.
    pub probe_at: Micros,
    /// A bounded label.
    pub reason: String,
    pub error: String,
}

/// Something learned of a channel that every router has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelNews {
    Throughput(u32),
    Slowed {
        until: Micros,
    },
    /// Keeps `since` when it was stopped already.
    Stopped {
        probe_at: Micros,
        reason: String,
        error: String,
    },
    /// A send succeeded: it is not stopped (any more).
    Sends,
}
