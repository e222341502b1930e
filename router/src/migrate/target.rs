//! The PostgreSQL database: nobody else uses it, it is empty, and it gets everything in one transaction or nothing.

use futures_util::TryStreamExt;
use tokio::sync::mpsc::Receiver;
use tokio_postgres::{Client, Error, Transaction, binary_copy::BinaryCopyInWriter, types::Type};

use super::{
    Digest,
    source::Row,
    tables::{TABLES, Table},
    value::Value,
};
use crate::store::postgres::{self, Address};

#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error(transparent)]
    Open(#[from] postgres::OpenError),
    #[error(
        "{table} in the new database is not empty: name an empty database after --to; a database that a router has \
         worked on can't be added to"
    )]
    NotEmpty { table: &'static str },
    #[error("{routers} connections of routers use the new database: stop those routers first")]
    InUse { routers: i64 },
    #[error("the new database refused {what}; it is as it was before: {}", postgres::describe(.source))]
    Sql { what: String, source: Error },
}

fn refused(what: impl Into<String>) -> impl FnOnce(Error) -> TargetError {
    let what = what.into();
    move |source| TargetError::Sql { what, source }
}

/// A connection that may take as long as it needs.
const PATIENT: &str = "SET statement_timeout = 0; SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = 0; SET synchronous_commit = on";

pub(super) struct Target {
    client: Client,
}

impl Target {
    /// Connects, and makes the tables where there are none.
    pub(super) async fn connect(to: &Address) -> Result<Self, TargetError> {
        let client = postgres::connect_alone(to).await?;
        client.batch_execute(PATIENT).await.map_err(refused("the settings of the session"))?;
        Ok(Self { client })
    }

    /// Makes sure that the database is ours alone and empty, and keeps it so.
    pub(super) async fn begin(&mut self) -> Result<Filling<'_>, TargetError> {
        let transaction = self.client.transaction().await.map_err(refused("a transaction"))?;
        let filling = Filling { transaction };
        filling.check().await?;
        Ok(filling)
    }
}

/// The one transaction. Dropped without a commit, it leaves nothing behind.
pub(super) struct Filling<'c> {
    transaction: Transaction<'c>,
}

impl Filling<'_> {
    async fn check(&self) -> Result<(), TargetError> {
        let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND application_name = 'whatsapp-router'";
        let row = self.transaction.query_one(others, &[]).await.map_err(refused("a look at its sessions"))?;
        let routers: i64 = row.try_get(0).map_err(refused("a look at its sessions"))?;
        if routers > 0 {
            return Err(TargetError::InUse { routers });
        }
        // A router that starts now waits, and finds everything or gives up.
        let names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "));
        self.transaction.batch_execute(&lock).await.map_err(refused("a lock on its tables"))?;
        for table in TABLES {
            let sql = format!("SELECT EXISTS (SELECT FROM {})", table.name);
            let what = || format!("a look at {}", table.name);
            let row = self.transaction.query_one(&sql, &[]).await.map_err(refused(what()))?;
            if row.try_get(0).map_err(refused(what()))? {
                return Err(TargetError::NotEmpty { table: table.name });
            }
        }
        Ok(())
    }

    /// Writes all rows of a table.
    pub(super) async fn write(
        &self,
        table: &Table,
        mut batches: Receiver<Vec<Row>>,
    ) -> Result<(), TargetError> {
        let what = || format!("the rows of {}", table.name);
        let columns = table.columns.join(", ");
        let types = self.types(table).await?;
        let copy = format!("COPY {} ({columns}) FROM STDIN BINARY", table.name);
        let sink = self.transaction.copy_in(&copy).await.map_err(refused(what()))?;
        let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
        while let Some(batch) = batches.recv().await {
            for row in &batch {
                writer.as_mut().write_raw(row).await.map_err(refused(what()))?;
            }
        }
        writer.finish().await.map_err(refused(what()))?;
        Ok(())
    }

    async fn types(&self, table: &Table) -> Result<Vec<Type>, TargetError> {
        let select = format!("SELECT {} FROM {}", table.columns.join(", "), table.name);
        let what = || format!("the columns of {}", table.name);
        let statement = self.transaction.prepare(&select).await.map_err(refused(what()))?;
        Ok(statement.columns().iter().map(|column| column.type_().clone()).collect())
    }

    /// Of the rows as they are in the database now.
    pub(super) async fn digest(&self, table: &Table) -> Result<Digest, TargetError> {
        let what = || format!("reading {} back", table.name);
        let select = format!("SELECT {} FROM {}", table.columns.join(", "), table.name);
        let none: [&Value; 0] = [];
        let rows = self.transaction.query_raw(&select, none).await.map_err(refused(what()))?;
        let mut rows = std::pin::pin!(rows);
        let mut digest = Digest::default();
        while let Some(row) = rows.try_next().await.map_err(refused(what()))? {
            let values: Result<Row, _> = (0..row.len()).map(|index| row.try_get(index)).collect();
            digest.add(&values.map_err(refused(what()))?);
        }
        Ok(digest)
    }

    /// The next number of each sequence is above all that were moved.
    pub(super) async fn set_sequences(&self) -> Result<(), TargetError> {
        for table in TABLES {
            if let Some((sequence, column)) = table.sequence {
                let sql = format!(
                    "SELECT setval({sequence}, max({column})) FROM {} HAVING max({column}) IS NOT NULL",
                    table.name
                );
                let what = format!("the sequence of {}", table.name);
                self.transaction.query(&sql, &[]).await.map_err(refused(what))?;
            }
        }
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), TargetError> {
        self.transaction.commit().await.map_err(refused("the commit"))
    }
}
