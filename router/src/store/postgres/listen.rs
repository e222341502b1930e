//! Tells other routers of work that nobody here has room for, and hears of theirs. Outside of transactions, where a
//! notification would take a lock that all commits share; what gets lost is found by asking.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, mpsc::unbounded_channel};

use super::{
    Shared,
    connect::{Connector, Purpose},
    session::Session,
};

/// For the first answer on a new connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// Several pieces of news in this time are one.
const GATHER: Duration = Duration::from_millis(20);
const RECONNECT: Duration = Duration::from_secs(1);
/// How often the depth is looked at, and the connection with it.
const LOOK: Duration = Duration::from_secs(1);

const NOTIFY: &str = "SELECT pg_notify('whatsapp_router', $1)";

/// Runs until the store is dropped.
pub(super) async fn run(connector: Arc<Connector>, shared: Arc<Shared>, closed: Arc<Notify>) {
    let work = async {
        loop {
            if let Err(error) = listen(&connector, &shared).await {
                tracing::debug!(error, "not listening for other routers");
            }
            tokio::time::sleep(RECONNECT).await;
            // Something may have been said while nobody listened.
            shared.ring();
        }
    };
    tokio::select! {
        () = closed.notified() => {}
        () = work => {}
    }
}

async fn listen(connector: &Connector, shared: &Shared) -> Result<(), String> {
    let (heard, mut news) = unbounded_channel();
    let session = connector.connect(Purpose::Asking, Some(heard)).await.map_err(|error| error.to_string())?;
    match tokio::time::timeout(PATIENCE, session.run("LISTEN whatsapp_router")).await {
        Ok(result) => result.map_err(|error| error.to_string())?,
        Err(_) => return Err("the database did not answer in time".to_owned()),
    }
    let mut last_look = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = news.recv() => match heard {
                Some(owner) => if owner != shared.owner { shared.ring() },
                None => return Err("the connection ended".to_owned()),
            },
            () = shared.news.notified() => {
                tokio::time::sleep(GATHER).await;
                in_time(session.query(NOTIFY, &[&shared.owner])).await?;
            }
            _ = look.tick() => in_time(look_at(&session, shared, &mut last_look)).await?,
        }
    }
}

async fn look_at(
    session: &Session,
    shared: &Shared,
    last: &mut Instant,
) -> Result<(), tokio_postgres::Error> {
    shared.gauges.look(session, last).await
}

async fn in_time<T>(asked: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, String> {
    match tokio::time::timeout(Duration::from_secs(10), asked).await {
        Ok(answer) => answer.map_err(|error| super::connect::describe(&error)),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
