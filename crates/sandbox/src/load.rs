//! Load with an exact account: numbered messages through webhook, router, server and Graph, and for every single one
//! whether it was answered, how fast, once, and in order.

mod client;
mod execute;
mod generator;
mod peak;
mod percentiles;
mod plan;
mod process;
mod report;
mod tally;
mod watched;

use std::time::Duration;

pub use execute::run;
pub use peak::{PeakOptions, PeakReport, run as run_peak};
pub use percentiles::Percentiles;
pub use process::Usage;
pub use report::Report;
pub use watched::Watched;

use crate::{postgres::PostgresError, stack::StackError};

/// What runs between the webhook and the Graph API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The router, which stores before it answers and keeps the order.
    Durable,
    /// The same on a private PostgreSQL.
    Postgres,
    /// `sandbox relay`: the same HTTP hops and nothing else. What a router without storage could reach.
    Relay,
}

/// How much, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOptions {
    pub mode: Mode,
    /// Messages a second; 0 is as fast as the connections go (closed loop only).
    pub rate: u32,
    pub duration: Duration,
    pub contacts: u32,
    /// Messages leave when they are due, and are timed from then, however slow the answers before were.
    pub open_loop: bool,
    pub connections: u32,
    /// Statuses for each reply: 0, 1 (sent), 2 (delivered too) or 3 (read too).
    pub statuses: u8,
    /// The share of the messages whose traces are sent to a collector; metrics are scraped then too.
    pub traces: Option<f64>,
}

/// Why a load run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error("an open loop needs a rate, give --rate")]
    OpenLoopWithoutRate,
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    #[error(
        "this run would be {0} messages, more than the {1} that fit into memory; lower the rate or the seconds"
    )]
    TooMany(u64, usize),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("--traces takes a share from 0 to 1")]
    NoShare,
    #[error("could not start a collector for traces: {0}")]
    Collector(std::io::Error),
    #[error("could not find the own program: {0}")]
    OwnProgram(std::io::Error),
}
