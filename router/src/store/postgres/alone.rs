//! One connection for a job that has the database to itself, such as filling it.

use tokio_postgres::Client;

use super::{
    Address, OpenError,
    connect::{Connector, Purpose},
    schema,
};
use crate::{clock::Clock, metrics::StoreMetrics};

/// Connects and brings the schema up to date.
pub async fn connect_alone(address: &Address) -> Result<Client, OpenError> {
    let connector = Connector::new(address.clone(), Clock::default(), StoreMetrics::unseen())?;
    let session = connector.connect(Purpose::Asking, None).await?;
    schema::migrate(&session)
        .await
        .map_err(|source| OpenError::Schema { place: connector.place(), source })?;
    Ok(session.into_client())
}
