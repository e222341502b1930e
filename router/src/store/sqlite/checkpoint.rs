//! Copies what was committed from the WAL back into the database, on a thread and a connection of its own, so that
//! no webhook waits for it. SQLite would do it inside whichever commit finds the WAL too long.
//!
//! Pages that are committed while it copies are left over; when the WAL has grown long all the same, the writer is
//! asked to copy that small rest itself, after which SQLite begins the WAL anew.

use std::{
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use rusqlite::Connection;

const INTERVAL: Duration = Duration::from_millis(250);

/// Pages of 4 KiB in the WAL from which on the writer is asked for the rest: 32 MiB.
const LONG_WAL: i64 = 8_000;

/// The state of the WAL after a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pass {
    pages: i64,
    copied: i64,
}

/// Runs until the sender of `stop` is dropped. `ask_for_the_rest` makes the writer call [`copy_rest`].
pub(super) fn run(path: &Path, ask_for_the_rest: impl Fn(), stop: &Receiver<()>) {
    let connection = match Connection::open(path) {
        Ok(connection) => connection,
        Err(error) => {
            // The writer still works; its WAL grows, which an operator sees on the disk.
            tracing::error!(%error, "the database's log can't be shortened in the background");
            return;
        }
    };
    let mut before = Pass { pages: 0, copied: 0 };
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(INTERVAL) {
        let pass = match pass(&connection) {
            Ok(pass) => pass,
            Err(error) => {
                tracing::warn!(%error, "a pass over the database's log failed, it will be made again");
                continue;
            }
        };
        if pass.pages >= LONG_WAL && pass != before {
            ask_for_the_rest();
        }
        before = pass;
    }
}

/// Copies what can be copied without keeping anybody waiting.
fn pass(connection: &Connection) -> rusqlite::Result<Pass> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(Pass { pages: row.get(1)?, copied: row.get(2)? })
    })
}

/// The same for the writer, between two of its transactions: the rest that was left over.
pub(super) fn copy_rest(connection: &Connection) {
    if let Err(error) = pass(connection) {
        tracing::warn!(%error, "the rest of the database's log can't be copied yet");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_pass_and_the_rest_the_log_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        writer.execute_batch("CREATE TABLE t (x)").unwrap();
        let fill = |rows: usize| {
            for _ in 0..rows {
                writer.execute("INSERT INTO t VALUES (randomblob(3000))", []).unwrap();
            }
        };
        fill(50);
        let other = Connection::open(&path).unwrap();
        let first = pass(&other).unwrap();
        assert!(first.pages >= 50 && first.copied == first.pages);
        fill(1);
        assert!(pass(&other).unwrap().pages < first.pages, "the log was begun anew");
    }
}
