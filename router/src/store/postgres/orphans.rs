//! A status and Graph's own answer can be stored at the same moment, each before the other can be seen. So statuses
//! whose message was not known are looked at once more after both must be there.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use super::{
    jobs::{self, Job},
    session::Session,
    statuses::ADOPT_ORPHANS,
};

/// Longer than a commit takes, unless something is very wrong.
const LATER: Duration = Duration::from_secs(1);
/// wamids in one look.
const AT_ONCE: usize = 1_000;

pub(super) const KNOWN: &str = "SELECT m.seq, m.wamid FROM UNNEST($1::text[]) u(w)
    CROSS JOIN LATERAL (SELECT seq, wamid FROM message
        WHERE wamid = u.w AND direction = 'out' AND wamid IS NOT NULL OFFSET 0) m ORDER BY m.seq";

/// Runs until the store is dropped.
pub(super) async fn run(mut orphans: UnboundedReceiver<Vec<String>>, upkeep: UnboundedSender<Job>) {
    while let Some(mut wamids) = orphans.recv().await {
        tokio::time::sleep(LATER).await;
        while let Ok(more) = orphans.try_recv() {
            wamids.extend(more);
        }
        let wamids: Arc<[String]> = wamids.into_iter().map(|wamid| wamid.replace('\0', "\u{fffd}")).collect();
        for start in (0..wamids.len()).step_by(AT_ONCE) {
            let wamids = wamids.clone();
            let adopted = jobs::call(&upkeep, 0, move |scope| {
                let wamids = wamids[start..].iter().take(AT_ONCE).cloned().collect();
                let session = scope.session;
                Box::pin(async move { adopt(session, wamids).await })
            });
            if let Err(error) = adopted.await {
                tracing::warn!(%error, "statuses that came early may not be shown");
            }
        }
    }
}

async fn adopt(session: &Session, wamids: Vec<String>) -> Result<(), super::session::Failure> {
    let rows = session.query(KNOWN, &[&wamids]).await?;
    let mut seqs: Vec<i64> = Vec::with_capacity(rows.len());
    let mut known: Vec<String> = Vec::with_capacity(rows.len());
    for row in &rows {
        seqs.push(row.try_get(0)?);
        known.push(row.try_get(1)?);
    }
    if !seqs.is_empty() {
        session.execute(ADOPT_ORPHANS, &[&seqs, &known]).await?;
    }
    Ok(())
}
