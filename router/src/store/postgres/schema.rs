//! Brings a database to the schema this binary knows, or says why that can't be.

use tokio_postgres::Error;

use super::session::Session;

/// In order; the position plus one is the schema version.
const MIGRATIONS: &[&str] =
    &[include_str!("0001_initial.sql"), include_str!("0002_trace.sql"), include_str!("0003_idle_lanes.sql")];

/// Held while the schema is looked at and changed, so that routers that start together do it one after the other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1467118930, 1)";

#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error(
        "its schema has version {found}, this binary knows versions up to {known}: \
         start the newer router again, or restore a backup from before the upgrade"
    )]
    TooNew { found: usize, known: usize },
    #[error("the schema can't be made: {}", super::connect::describe(.0))]
    Sql(#[from] Error),
}

/// Applies what is missing, all of it or nothing.
pub(super) async fn migrate(session: &Session) -> Result<(), SchemaError> {
    session.run("BEGIN; SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '10min'").await?;
    match apply(session).await {
        Ok(()) => Ok(session.run("COMMIT").await?),
        Err(error) => {
            // The session is given up by the caller; this only frees the lock at once.
            let _ = session.run("ROLLBACK").await;
            Err(error)
        }
    }
}

async fn apply(session: &Session) -> Result<(), SchemaError> {
    session.query(LOCK, &[]).await?;
    let exists: bool = session
        .client()
        .query_one("SELECT to_regclass('schema_version') IS NOT NULL", &[])
        .await?
        .try_get(0)?;
    let found = if exists {
        let version: i32 =
            session.client().query_one("SELECT version FROM schema_version", &[]).await?.try_get(0)?;
        usize::try_from(version).unwrap_or_default()
    } else {
        0
    };
    if found > MIGRATIONS.len() {
        return Err(SchemaError::TooNew { found, known: MIGRATIONS.len() });
    }
    for sql in &MIGRATIONS[found..] {
        session.run(sql).await?;
    }
    if found < MIGRATIONS.len() {
        session
            .run(&format!(
                "INSERT INTO schema_version (id, version) VALUES (1, {0}) ON CONFLICT (id) DO UPDATE SET version = {0}",
                MIGRATIONS.len()
            ))
            .await?;
    }
    Ok(())
}
