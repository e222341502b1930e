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
    /// Where `make test` tries it, in small.
    pub(super) in_short: &'static [Store],
    pub(super) run: fn(Context) -> Running,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).finish_non_exhaustive()
    }
}

const BOTH: &[Store] = &[Store::Sqlite, Store::Postgres];
const NOWHERE: &[Store] = &[];
const SQLITE: &[Store] = &[Store::Sqlite];
const POSTGRES: &[Store] = &[Store::Postgres];

macro_rules! case {
    ($name:literal, $stores:expr, $in_short:expr, $function:path) => {
        Case {
            name: $name,
            stores: $stores,
            in_short: $in_short,
            run: |context| Box::pin($function(context)),
        }
    };
}

pub(super) const ALL: &[Case] = &[
    case!("kill-9", BOTH, BOTH, kills::at_random),
    case!("failpoints", BOTH, SQLITE, failpoints::all),
    case!("three-routers", POSTGRES, POSTGRES, kills::three_routers),
    case!("postgres-restarts", POSTGRES, NOWHERE, database::restarts),
    case!("postgres-cut-off", POSTGRES, NOWHERE, database::cut_off),
    case!("disk-full", SQLITE, NOWHERE, disk::full),
    case!("disk-read-only", SQLITE, NOWHERE, disk::read_only),
    case!("backend-down", BOTH, NOWHERE, backend::down),
    case!("backend-bad", BOTH, NOWHERE, backend::bad),
    case!("graph-lost-answers", BOTH, NOWHERE, graph::lost_answers),
    case!("graph-silent", BOTH, NOWHERE, graph::lost_answers_without_statuses),
    case!("graph-never-repeat", BOTH, NOWHERE, graph::never_repeat),
    case!("graph-limits", BOTH, NOWHERE, graph::limits),
    case!("graph-errors", BOTH, NOWHERE, graph::errors),
    case!("graph-token", BOTH, NOWHERE, graph::token),
    case!("webhooks-again", BOTH, BOTH, webhooks::again),
];

/// The names of all cases.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|case| case.name)
}
