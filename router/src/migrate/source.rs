//! The SQLite file: held for us alone, read, and left as it is.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, ToSql};
use tokio::sync::mpsc::Sender;

use super::{Digest, tables::Table, value::Value};
use crate::{
    clock::micros,
    store::{
        Micros, now,
        sqlite::{Location, SCHEMA_VERSION, location},
    },
};

/// The time that it takes to start the router on the new database: no status can come before.
const UNTIL_STARTED: Duration = Duration::from_secs(30);

pub(super) type Row = Vec<Value>;

/// A batch is passed on when it has this many rows or bytes.
const ROWS: usize = 2_000;
const BYTES: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("there is no file {0}; write the DATABASE_URL that the router was started with after --from")]
    Missing(PathBuf),
    #[error(transparent)]
    Location(#[from] location::LocationError),
    #[error("{path} can't be read as an SQLite database: {source}; restore a backup, or name another file")]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error(
        "{path} has schema version {found} and this binary moves version {SCHEMA_VERSION}: start and stop the router of \
         this version on it first, or use the binary of the router that wrote it"
    )]
    Version { path: PathBuf, found: usize },
    #[error("{table} in {path} holds {what}, which the router never writes; restore a backup")]
    Odd { path: PathBuf, table: &'static str, what: String },
    #[error("reading the file was given up")]
    GivenUp,
}

/// See the module.
pub(super) struct Source {
    path: PathBuf,
    connection: Arc<Mutex<Connection>>,
    now: Micros,
    in_doubt: Micros,
    _exclusive: location::Exclusive,
}

impl Source {
    pub(super) fn open(from: &Location, uncertain_wait: Duration) -> Result<Self, SourceError> {
        if !from.0.is_file() {
            return Err(SourceError::Missing(from.0.clone()));
        }
        let (path, exclusive) = location::prepare(&from.0)?;
        let sqlite = |source| SourceError::Sqlite { path: path.clone(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(sqlite)?;
        let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
        let found = found as usize;
        if found != SCHEMA_VERSION {
            return Err(SourceError::Version { path, found });
        }
        // One state of the file for all tables, whoever else may write to it without asking for the lock.
        connection.execute_batch("BEGIN").map_err(sqlite)?;
        let now = now();
        let in_doubt = now.saturating_add(micros(uncertain_wait + UNTIL_STARTED));
        Ok(Self { path, connection: Arc::new(Mutex::new(connection)), now, in_doubt, _exclusive: exclusive })
    }

    /// Passes all rows on, from now on, and gives their digest.
    pub(super) fn read(
        &self,
        table: &'static Table,
        batches: Sender<Vec<Row>>,
    ) -> impl Future<Output = Result<Digest, SourceError>> + use<> {
        let connection = Arc::clone(&self.connection);
        let (path, now, in_doubt) = (self.path.clone(), self.now, self.in_doubt);
        let reading = tokio::task::spawn_blocking(move || {
            let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            read(&connection, table, now, in_doubt, &batches).map_err(|failure| match failure {
                Failure::Sqlite(source) => SourceError::Sqlite { path, source },
                Failure::Odd(what) => SourceError::Odd { path, table: table.name, what },
                Failure::GivenUp => SourceError::GivenUp,
            })
        });
        async { reading.await.unwrap_or(Err(SourceError::GivenUp)) }
    }
}

enum Failure {
    Sqlite(rusqlite::Error),
    Odd(String),
    GivenUp,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn read(
    connection: &Connection,
    table: &Table,
    now: Micros,
    in_doubt: Micros,
    batches: &Sender<Vec<Row>>,
) -> Result<Digest, Failure> {
    let mut statement = connection.prepare(table.select)?;
    let named: [(&str, &dyn ToSql); 2] = [(":now", &now), (":in_doubt", &in_doubt)];
    for (name, value) in named {
        if let Some(index) = statement.parameter_index(name)? {
            statement.raw_bind_parameter(index, value)?;
        }
    }
    let mut rows = statement.raw_query();
    let mut digest = Digest::default();
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(table.columns.len());
        for index in 0..table.columns.len() {
            values.push(Value::of_sqlite(row.get_ref(index)?).map_err(Failure::Odd)?);
        }
        digest.add(&values);
        bytes += values.iter().map(Value::length).sum::<usize>();
        batch.push(values);
        if batch.len() >= ROWS || bytes >= BYTES {
            bytes = 0;
            batches.blocking_send(std::mem::take(&mut batch)).map_err(|_| Failure::GivenUp)?;
        }
    }
    if !batch.is_empty() {
        batches.blocking_send(batch).map_err(|_| Failure::GivenUp)?;
    }
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        clock::Clock,
        migrate::tables::{NOT_MOVED, TABLES},
        store::sqlite::SqliteStore,
    };

    #[tokio::test]
    async fn every_column_of_the_file_is_moved_or_named_as_one_that_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location(folder.path().join("router.db"));
        drop(SqliteStore::open(&location, Duration::ZERO, Clock::default()).unwrap());
        let file = Connection::open(&location.0).unwrap();
        let mut statement = file
            .prepare(
                "SELECT t.name, c.name FROM pragma_table_list t JOIN pragma_table_info(t.name) c
                 WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite%'",
            )
            .unwrap();
        let there: BTreeSet<(String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let own = |table: &Table, column: &str| {
            // Columns that only PostgreSQL has.
            table.name == "tally" && ["slot", "inbox", "outbox", "dead_letters", "bytes"].contains(&column)
        };
        let moved = TABLES.iter().flat_map(|table| {
            table.columns.iter().filter(|column| !own(table, column)).map(|column| (table.name, *column))
        });
        let known: BTreeSet<(String, String)> = moved
            .chain(NOT_MOVED.iter().copied())
            .map(|(table, column)| (table.to_owned(), column.to_owned()))
            .collect();
        assert_eq!(there, known);
    }

    #[tokio::test]
    async fn a_file_in_use_an_older_one_and_none_at_all_are_refused_and_nothing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location(folder.path().join("router.db"));
        let open = || Source::open(&location, Duration::ZERO).map(drop);
        assert!(matches!(open(), Err(SourceError::Missing(_))));
        assert!(!location.0.exists());
        let store = SqliteStore::open(&location, Duration::ZERO, Clock::default()).unwrap();
        assert!(matches!(open(), Err(SourceError::Location(location::LocationError::InUse { .. }))));
        drop(store);
        assert!(open().is_ok());
        Connection::open(&location.0).unwrap().pragma_update(None, "user_version", 1).unwrap();
        assert!(matches!(open(), Err(SourceError::Version { found: 1, .. })));
    }
}
