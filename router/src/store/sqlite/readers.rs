//! Connections that only read, so that looking at the store never keeps a webhook waiting. Each call is one short
//! transaction: it sees one state of the database, and the log can be shortened again soon after.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::{
    metrics::{OpenConnection, StoreMetrics},
    store::StoreError,
};

/// Calls that read at the same time; others wait for their turn.
const READERS: usize = 2;

/// KiB of pages each of them keeps.
const CACHE: i64 = 4_096;

#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Reader>>>,
    metrics: StoreMetrics,
}

#[derive(Debug)]
struct Reader {
    connection: Connection,
    _open: OpenConnection,
}

impl Readers {
    pub(super) fn new(path: &Path, metrics: &StoreMetrics) -> Self {
        Self {
            path: path.to_owned(),
            turns: Arc::new(Semaphore::new(READERS)),
            idle: Arc::new(Mutex::new(Vec::with_capacity(READERS))),
            metrics: metrics.clone(),
        }
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let asked = Instant::now();
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        self.metrics.may_read(asked.elapsed());
        let (path, idle, metrics) = (self.path.clone(), self.idle.clone(), self.metrics.clone());
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let waiting = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = match waiting {
                Some(reader) => reader,
                None => Reader { connection: open(&path)?, _open: metrics.connected("asking") },
            };
            let transaction = reader.connection.unchecked_transaction()?;
            let result = work(&transaction)?;
            transaction.finish()?;
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            Ok(result)
        });
        match done.await {
            Ok(result) => result.map_err(|error: rusqlite::Error| StoreError::Database(error.to_string())),
            Err(_) => Err(StoreError::Closed),
        }
    }

    /// Closes what is not in use, so that the file is free when the store is gone.
    pub(super) fn close(&self) {
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", "ON")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -CACHE)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}
