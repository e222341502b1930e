//! What is done to the routers. Each case opens a scene, does its worst, and hands the scene over for the verdict.

mod backend;
mod database;
mod disk;
mod failpoints;
mod graph;
mod kills;
mod webhooks;

use std::{fmt, pin::Pin};

use super::{ChaosError, Context, Row, Store};

type Running = Pin<Box<dyn Future<Output = Result<Row, ChaosError>> + Send>>;

/// A case, and where it makes sense.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) stores: &'static [Store],
    /// Whether `make test` tries it, in small.
    pub(super) in_short: bool,
    pub(super) run: fn(Context) -> Running,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

const BOTH: &[Store] = &[Store::Sqlite, Store::Postgres];
const SQLITE: &[Store] = &[Store::Sqlite];
const POSTGRES: &[Store] = &[Store::Postgres];

macro_rules! case {
    ($name:literal, $stores:expr, $in_short:literal, $function:path) => {
        Case {
            name: $name,
            stores: $stores,
            in_short: $in_short,
            run: |context| Box::pin($function(context)),
        }
    };
}

pub(super) const ALL: &[Case] = &[
    case!("kill-9", BOTH, true, kills::at_random),
    case!("failpoints", BOTH, false, failpoints::all),
    case!("three-routers", POSTGRES, true, kills::three_routers),
    case!("postgres-restarts", POSTGRES, false, database::restarts),
    case!("postgres-cut-off", POSTGRES, false, database::cut_off),
    case!("disk-full", SQLITE, false, disk::full),
    case!("disk-read-only", SQLITE, false, disk::read_only),
    case!("backend-down", BOTH, false, backend::down),
    case!("backend-bad", BOTH, false, backend::bad),
    case!("graph-lost-answers", BOTH, false, graph::lost_answers),
    case!("graph-silent", BOTH, false, graph::lost_answers_without_statuses),
    case!("graph-limits", BOTH, false, graph::limits),
    case!("graph-errors", BOTH, false, graph::errors),
    case!("graph-token", BOTH, false, graph::token),
    case!("webhooks-again", BOTH, true, webhooks::again),
];

/// The names of all cases.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|case| case.name)
}
