//! A connection for looking: what the API is shown never waits behind what is written.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::{
    connect::{Connector, Purpose, describe},
    session::{Failure, Session},
};
use crate::store::StoreError;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Reader {
    connector: Arc<Connector>,
    session: Mutex<Option<Arc<Session>>>,
}

impl Reader {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, session: Mutex::new(None) }
    }

    /// Asks, and once more on a new connection if the old one turns out to be dead.
    pub(super) async fn read<T, F>(&self, ask: F) -> Result<T, StoreError>
    where
        F: for<'s> Fn(&'s Session) -> BoxFuture<'s, Result<T, Failure>> + Send + Sync,
    {
        for last in [false, true] {
            let began = Instant::now();
            let session = self.session().await?;
            self.connector.metrics().may_read(began.elapsed());
            let asked = tokio::time::timeout(PATIENCE, ask(&session)).await;
            let error = match asked {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(Failure::Refused(error))) => return Err(error),
                Ok(Err(Failure::Odd(what))) => return Err(StoreError::Database(what.to_owned())),
                Ok(Err(Failure::Again)) => continue,
                Ok(Err(Failure::Sql(error))) => describe(&error),
                Err(_) => "the database did not answer in time".to_owned(),
            };
            if !session.client().is_closed() || last {
                return Err(StoreError::Database(error));
            }
        }
        Err(StoreError::Closed)
    }

    async fn session(&self) -> Result<Arc<Session>, StoreError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref().filter(|session| !session.client().is_closed()) {
            return Ok(session.clone());
        }
        let made = self.connector.connect(Purpose::Asking, None).await;
        let session = Arc::new(made.map_err(|error| StoreError::Database(error.to_string()))?);
        *held = Some(session.clone());
        Ok(session)
    }
}
