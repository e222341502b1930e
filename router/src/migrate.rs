//! `router migrate`: moves everything that a router knows from an SQLite file to a PostgreSQL database, pending work
//! included. All of it or nothing: one transaction, which is committed only after what it wrote was read back and found equal.

mod digest;
mod report;
mod source;
mod tables;
mod target;
#[cfg(test)]
mod tests;
mod value;

use std::time::Duration;

pub use self::{
    digest::Digest,
    report::{Moved, Report},
    source::SourceError,
    target::TargetError,
};
use self::{source::Source, tables::TABLES, target::Target};
use crate::store::{postgres::Address, sqlite::Location};

/// Rows on their way from one database to the other.
const BATCHES_UNDER_WAY: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(
        "{0} is not the same in both databases; nothing was kept in the new one: start again, and report this if \
         it happens twice"
    )]
    Differs(&'static str),
}

/// Moves everything. The file is read and not changed. Sends that the last router on it may have made are due after
/// `uncertain_wait`, as if that router had been started again.
pub async fn run(from: &Location, to: &Address, uncertain_wait: Duration) -> Result<Report, MigrateError> {
    let source = Source::open(from, uncertain_wait)?;
    let mut target = Target::connect(to).await?;
    let transaction = target.begin().await?;
    let mut report = Report::default();
    for table in TABLES {
        let (sender, batches) = tokio::sync::mpsc::channel(BATCHES_UNDER_WAY);
        let reading = source.read(table, sender);
        transaction.write(table, batches).await?;
        let read = reading.await?;
        let written = transaction.digest(table).await?;
        if read != written {
            return Err(MigrateError::Differs(table.name));
        }
        report.moved.push(Moved { table: table.name, digest: written });
    }
    transaction.set_sequences().await?;
    transaction.commit().await?;
    Ok(report)
}
