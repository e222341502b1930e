//! What a run came to, for people and as JSON.

use std::fmt;

use serde::Serialize;

use super::{
    LoadOptions, Mode, percentiles::Percentiles, plan::Plan, process::Usage, tally, watched::Watched,
};

/// The router before the first message.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Idle {
    /// From its start to its first 200 on `/readyz`.
    pub ready_ms: u128,
    pub router_rss_kib: u64,
}

/// What the processes needed during the load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) idle: Idle,
    pub(crate) router: Usage,
    pub(crate) server: Usage,
    pub(crate) sandbox: Usage,
}

/// All counts and times of one run. Latencies are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub mode: Mode,
    pub open_loop: bool,
    /// 0: as fast as it goes.
    pub target_rate: u32,
    pub duration_seconds: u64,
    pub contacts: u64,
    pub connections: u64,
    pub statuses_per_reply: u8,
    /// Statuses that the router took until the last reply had arrived.
    pub statuses_accepted: u64,
    pub sent: u64,
    pub accepted: u64,
    pub answered: u64,
    /// Messages a second, from the first webhook to the last reply at the Graph API.
    pub throughput: f64,
    pub seconds: f64,
    /// Accepted with 200, but never answered.
    pub lost: u64,
    pub duplicated: u64,
    /// Answered after a later message of the same contact.
    pub reordered: u64,
    /// Sent to somebody else.
    pub misdirected: u64,
    /// Messages at the Graph API that answer nothing that was sent.
    pub unknown: u64,
    /// Webhooks answered with something else than 200; they were offered again.
    pub non_200: u64,
    /// Connections that broke.
    pub broken: u64,
    pub ack_ms: Percentiles,
    pub end_to_end_ms: Percentiles,
    pub idle: Idle,
    pub router: Usage,
    pub server: Usage,
    /// Generator and simulator together.
    pub sandbox: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watched: Option<Watched>,
}

impl Report {
    pub(crate) fn new(
        options: &LoadOptions,
        plan: Plan,
        result: &tally::Result,
        statuses_accepted: u64,
        used: Used,
    ) -> Self {
        let throughput = if result.seconds > 0.0 { result.answered as f64 / result.seconds } else { 0.0 };
        Self {
            mode: options.mode,
            open_loop: options.open_loop,
            target_rate: options.rate,
            duration_seconds: options.duration.as_secs(),
            contacts: plan.contacts,
            connections: plan.connections,
            statuses_per_reply: options.statuses,
            statuses_accepted,
            sent: result.sent,
            accepted: result.accepted,
            answered: result.answered,
            throughput,
            seconds: result.seconds,
            lost: result.lost,
            duplicated: result.duplicated,
            reordered: result.reordered,
            misdirected: result.misdirected,
            unknown: result.unknown,
            non_200: result.refused,
            broken: result.broken,
            ack_ms: result.ack,
            end_to_end_ms: result.end_to_end,
            idle: used.idle,
            router: used.router,
            server: used.server,
            sandbox: used.sandbox,
            watched: None,
        }
    }

    pub(crate) fn watched(mut self, watched: Option<Watched>) -> Self {
        self.watched = watched;
        self
    }

    /// The promise was kept: everything answered once, in order, to the right person. A relay promises no order.
    pub fn is_exact(&self) -> bool {
        let ordered = self.reordered == 0 || self.mode == Mode::Relay;
        self.answered > 0
            && self.lost == 0
            && self.duplicated == 0
            && self.misdirected == 0
            && self.unknown == 0
            && ordered
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mode, arrangement) = match self.mode {
            Mode::Durable => ("durable", "router"),
            Mode::Postgres => ("postgres", "router"),
            Mode::Relay => ("relay", "relay (no storage, no order)"),
        };
        let pace = match (self.open_loop, self.target_rate) {
            (true, rate) => format!("open loop, {rate}/s"),
            (false, 0) => "closed loop, as fast as it goes".to_owned(),
            (false, rate) => format!("closed loop, at most {rate}/s"),
        };
        writeln!(
            f,
            "{mode}: {pace}, {} connections, {} contacts, {} statuses per reply",
            self.connections, self.contacts, self.statuses_per_reply
        )?;
        writeln!(
            f,
            "  throughput   {:.0} messages/s ({} answered in {:.2} s)",
            self.throughput, self.answered, self.seconds
        )?;
        writeln!(f, "  ack          {}", self.ack_ms)?;
        writeln!(f, "  end to end   {}", self.end_to_end_ms)?;
        writeln!(
            f,
            "  account      sent {}, accepted {}, lost {}, duplicated {}, reordered {}, misdirected {}, unknown {}",
            self.sent,
            self.accepted,
            self.lost,
            self.duplicated,
            self.reordered,
            self.misdirected,
            self.unknown
        )?;
        writeln!(f, "  statuses     {} accepted", self.statuses_accepted)?;
        writeln!(
            f,
            "  trouble      answers other than 200: {}, broken connections: {}",
            self.non_200, self.broken
        )?;
        writeln!(
            f,
            "  {arrangement}: ready after {} ms, {:.1} MiB resident before the first message",
            self.idle.ready_ms,
            self.idle.router_rss_kib as f64 / 1024.0
        )?;
        for (name, usage) in [(arrangement, self.router), ("server", self.server), ("sandbox", self.sandbox)]
        {
            writeln!(
                f,
                "  {name}: {:.1} MiB resident (peak {:.1}), {:.2} s of processor time",
                usage.rss_kib as f64 / 1024.0,
                usage.peak_rss_kib as f64 / 1024.0,
                usage.cpu_seconds
            )?;
        }
        if let Some(watched) = self.watched {
            writeln!(
                f,
                "  watched      traces of {} % of the messages: {} exports, {:.1} MiB; metrics scraped {} times",
                watched.share * 100.0,
                watched.exports,
                watched.export_bytes as f64 / 1024.0 / 1024.0,
                watched.scrapes
            )?;
        }
        Ok(())
    }
}
