//! What a peak came to.

use std::fmt;

use serde::Serialize;

use super::{PeakOptions, sender::Samples};
use crate::load::{Mode, Usage, percentiles::Percentiles, tally};

/// One kind of webhooks. Latencies are milliseconds from when a webhook was due to its 200.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Kind {
    pub webhooks: u64,
    pub items: u64,
    /// Due, but nothing was left to say.
    pub empty: u64,
    pub ack_ms: Percentiles,
    /// Of the webhooks, in percent.
    pub over_one_second: f64,
    /// Answers other than 200; the webhook was sent again.
    pub non_200: u64,
    pub broken: u64,
    /// Not taken within 20 s.
    pub given_up: u64,
}

impl Kind {
    fn new(samples: Samples) -> Self {
        let webhooks = samples.acknowledged.len();
        let slow = samples.acknowledged.iter().filter(|nanos| **nanos > 1_000_000_000).count();
        let late = slow as u64 + samples.given_up;
        Self {
            webhooks: webhooks as u64,
            items: samples.items,
            empty: samples.empty,
            over_one_second: 100.0 * late as f64 / (webhooks as u64 + samples.given_up).max(1) as f64,
            ack_ms: Percentiles::of(samples.acknowledged),
            non_200: samples.refused,
            broken: samples.broken,
            given_up: samples.given_up,
        }
    }
}

/// All of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeakReport {
    pub mode: Mode,
    pub seconds: u64,
    pub messages: Kind,
    pub statuses: Kind,
    pub answered: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub misdirected: u64,
    /// From when a message was due to its reply at the Graph API.
    pub end_to_end_ms: Percentiles,
    pub router_cpu_seconds: f64,
    pub router_peak_rss_kib: u64,
}

/// What Meta asks for: the median of all webhooks, and how many may take more than a second.
const MEDIAN_MS: f64 = 250.0;
const OVER_ONE_SECOND_PERCENT: f64 = 1.0;

impl PeakReport {
    pub(super) fn new(
        options: &PeakOptions,
        [messages, statuses]: [Samples; 2],
        result: &tally::Result,
        router: Usage,
    ) -> Self {
        Self {
            mode: options.mode,
            seconds: options.duration.as_secs(),
            messages: Kind::new(messages),
            statuses: Kind::new(statuses),
            answered: result.answered,
            lost: result.lost,
            duplicated: result.duplicated,
            reordered: result.reordered,
            misdirected: result.misdirected,
            end_to_end_ms: result.end_to_end,
            router_cpu_seconds: router.cpu_seconds,
            router_peak_rss_kib: router.peak_rss_kib,
        }
    }

    /// Everything answered once, in order, to the right person.
    pub fn is_exact(&self) -> bool {
        self.answered > 0
            && [self.lost, self.duplicated, self.reordered, self.misdirected].iter().all(|count| *count == 0)
    }

    /// Whether both kinds were acknowledged as fast as Meta asks.
    pub fn is_fast_enough(&self) -> bool {
        [&self.messages, &self.statuses].iter().all(|kind| {
            kind.webhooks > 0
                && kind.ack_ms.p50 <= MEDIAN_MS
                && kind.over_one_second < OVER_ONE_SECOND_PERCENT
        })
    }
}

impl fmt::Display for PeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = if self.mode == Mode::Postgres { "postgresql" } else { "sqlite" };
        writeln!(f, "peak on {store}, {} s", self.seconds)?;
        for (name, kind) in [("messages", &self.messages), ("statuses", &self.statuses)] {
            let seconds = self.seconds.max(1);
            writeln!(
                f,
                "  {name}     {}/s in {} webhooks/s ({} with nothing to say)",
                kind.items / seconds,
                kind.webhooks / seconds,
                kind.empty
            )?;
            writeln!(f, "    ack        {}", kind.ack_ms)?;
            writeln!(
                f,
                "    over 1 s   {:.2} %; answers other than 200: {}, broken connections: {}, given up: {}",
                kind.over_one_second, kind.non_200, kind.broken, kind.given_up
            )?;
        }
        writeln!(f, "  end to end   {}", self.end_to_end_ms)?;
        writeln!(
            f,
            "  account      answered {}, lost {}, duplicated {}, reordered {}, misdirected {}",
            self.answered, self.lost, self.duplicated, self.reordered, self.misdirected
        )?;
        writeln!(
            f,
            "  router       {:.1} s of processor time, {:.1} MiB at most",
            self.router_cpu_seconds,
            self.router_peak_rss_kib as f64 / 1024.0
        )?;
        let verdict = if self.is_fast_enough() { "reached" } else { "missed" };
        writeln!(f, "  aim          p50 at most 250 ms and under 1 % over 1 s, for both: {verdict}")
    }
}
