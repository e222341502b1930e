//! The server's process behind a connection. It may go on when the connection is lost, and commit what we were told has
//! failed: whoever puts things right has to be sure that it is gone.

use std::time::Duration;

use super::session::{Failure, Session};
use crate::store::Micros;

/// One process of one server: its number alone may be given to another one later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backend {
    pid: i32,
    started_at: Micros,
}

const OURS: &str = "SELECT pid, (extract(epoch FROM backend_start) * 1000000)::bigint FROM pg_stat_activity
    WHERE pid = pg_backend_pid()";
const END: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = $1 AND (extract(epoch FROM backend_start) * 1000000)::bigint = $2";

const PAUSE: Duration = Duration::from_millis(10);

impl Backend {
    /// That of this session; `None` where the server does not tell.
    pub(super) async fn of(session: &Session) -> Result<Option<Self>, tokio_postgres::Error> {
        let rows = session.query(OURS, &[]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (pid, started_at) = (row.try_get(0)?, row.try_get::<_, Option<Micros>>(1)?);
        Ok(started_at.map(|started_at| Self { pid, started_at }))
    }

    /// Ends it and waits until it is gone: its transaction is then committed or rolled back, and that is final.
    pub(super) async fn end(self, session: &Session) -> Result<(), Failure> {
        while !session.query(END, &[&self.pid, &self.started_at]).await?.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}
