//! Kills, starves and disconnects the real programs at every step, and proves from outside that nothing was lost, put out of
//! order or answered twice: by comparing what the simulator's people said with what Graph was given.

mod cases;
mod check;
mod explain;
mod history;
mod ledger;
mod recorder;
mod report;
mod scene;
mod traffic;

use std::{
    fmt, io,
    path::PathBuf,
    time::{Duration, Instant},
};

pub use cases::names;
pub use check::{Account, Violation, judge};
pub use history::{Cause, Excuse, History, Ledger, Policy, Reply, Said};
pub use report::{Report, Row, Verdict};
use serde::Serialize;

use crate::{
    postgres::{Cluster, HOW_TO_INSTALL, PostgresError},
    stack::StackError,
};

/// No case takes longer by itself, times the rounds; one that does hangs.
const LONGEST: Duration = Duration::from_secs(300);

/// Where the router keeps its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    Sqlite,
    Postgres,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

/// What is to be tried.
#[derive(Debug, Clone)]
pub struct ChaosOptions {
    pub stores: Vec<Store>,
    /// Only cases whose name contains this.
    pub filter: String,
    /// Multiplies what each case does.
    pub rounds: usize,
    /// A fraction of everything, for `make test`.
    pub short: bool,
    /// The same seed makes the same choices; timing stays what it is.
    pub seed: u64,
    /// Gets the report, and the logs and histories of cases that fail.
    pub folder: PathBuf,
    /// Whether logs and histories are kept of cases that pass, too.
    pub keep: bool,
    /// Whether each case is announced on standard error.
    pub progress: bool,
}

/// Why a case could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("could not prepare the files of a case: {0}")]
    Files(#[source] io::Error),
    #[error("these faults are not understood: {0}")]
    Faults(String),
    #[error("a task ended too early: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// What should have happened did not.
    #[error("{0}")]
    Nothing(String),
    /// The machine does not allow it.
    #[error("{0}")]
    NotHere(String),
    #[error("it was not over after {} s", .0.as_secs())]
    Hangs(Duration),
}

/// What a case knows of the run that it is part of.
#[derive(Debug, Clone)]
struct Context {
    case: &'static str,
    store: Store,
    rounds: usize,
    short: bool,
    keep: bool,
    seed: u64,
    folder: PathBuf,
}

impl Context {
    /// How often something is done: in full once for each round, in short a fraction, once at least.
    fn times(&self, full: usize, short: usize) -> usize {
        if self.short { short.max(1) } else { full * self.rounds }
    }

    fn seconds(&self, full: f64, short: f64) -> Duration {
        Duration::from_secs_f64(if self.short { short } else { full })
    }

    fn logs(&self) -> PathBuf {
        self.folder.join(format!("{}-{}", self.case, self.store))
    }
}

/// Runs the cases one after the other.
pub async fn run(options: &ChaosOptions) -> Report {
    let mut rows = Vec::new();
    for store in &options.stores {
        for case in cases::ALL {
            if !case.name.contains(&options.filter) || !case.stores.contains(store) {
                continue;
            }
            if options.short && !case.in_short.contains(store) && options.filter.is_empty() {
                continue;
            }
            let context = Context {
                case: case.name,
                store: *store,
                rounds: options.rounds.max(1),
                short: options.short,
                keep: options.keep,
                seed: options.seed,
                folder: options.folder.clone(),
            };
            rows.push(one(&context, case, options.progress).await);
        }
    }
    Report { seed: options.seed, rounds: options.rounds, rows }
}

async fn one(context: &Context, case: &cases::Case, progress: bool) -> Row {
    if progress {
        eprintln!("{} on {} ...", context.case, context.store);
    }
    let failed = |verdict| Row::without_account(context.case, context.store, context.seed, verdict);
    if context.store == Store::Postgres
        && let Err(reason) = Cluster::available()
    {
        return failed(Verdict::NotRun(format!("{reason}; {HOW_TO_INSTALL}")));
    }
    let begin = Instant::now();
    let longest = LONGEST * u32::try_from(context.rounds).unwrap_or(1);
    // Leftovers of a run that failed would be taken for this one's.
    let _ = std::fs::remove_dir_all(context.logs());
    let result = tokio::time::timeout(longest, (case.run)(context.clone())).await;
    let mut row = match result {
        Ok(Ok(row)) => row,
        Ok(Err(ChaosError::NotHere(why))) => failed(Verdict::NotRun(why)),
        Ok(Err(error)) => failed(Verdict::Broken(error.to_string())),
        Err(_) => failed(Verdict::Broken(ChaosError::Hangs(longest).to_string())),
    };
    row.seconds = begin.elapsed().as_secs_f64();
    if progress {
        eprintln!("    {:?} after {:.1} s", row.verdict, row.seconds);
    }
    row
}
