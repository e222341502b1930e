//! `DATABASE_URL`: which database the router keeps everything in, and the way to open it.

use std::{str::FromStr, sync::Arc, time::Duration};

use super::{
    Store,
    postgres::{self, Address, PostgresStore},
    sqlite::{self, Location, SqliteStore},
};
use crate::{clock::Clock, metrics::StoreMetrics};

/// One of the databases that the router can live on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(Location),
    Postgres(Box<Address>),
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("sqlite", _)) => url.parse().map(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => url.parse().map(Box::new).map(Self::Postgres),
            Some((scheme, _)) if scheme.chars().all(|letter| letter.is_ascii_alphanumeric()) => {
                Err(format!("{scheme} is not supported; write sqlite://… or postgres://…"))
            }
            _ => Err("has no scheme; write sqlite://… or postgres://…".to_owned()),
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Sends that a vanished process may have made are not repeated before this is over.
    pub uncertain_wait: Duration,
    /// How long a conversation belongs to a router that says nothing, where several can be.
    pub lease_time: Duration,
    pub clock: Clock,
    pub metrics: StoreMetrics,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

/// Opens the database and brings its schema up to date.
pub async fn open(url: &DatabaseUrl, options: OpenOptions) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match url {
        DatabaseUrl::Sqlite(location) => Arc::new(SqliteStore::open_counted(
            location,
            options.uncertain_wait,
            options.clock,
            &options.metrics,
        )?),
        DatabaseUrl::Postgres(address) => Arc::new(PostgresStore::open(address, options).await?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides() {
        assert!(matches!("sqlite://a.db".parse(), Ok(DatabaseUrl::Sqlite(_))));
        assert!(matches!("postgres://u@h/d".parse(), Ok(DatabaseUrl::Postgres(_))));
        assert!(matches!("postgresql://u@h/d".parse(), Ok(DatabaseUrl::Postgres(_))));
        for wrong in ["mysql://u:hunter2@h/d", "router.db", "u:hunter2@h", ""] {
            let error = wrong.parse::<DatabaseUrl>().unwrap_err();
            assert!(error.contains("postgres://") && !error.contains("hunter2"), "{error}");
        }
    }
}
