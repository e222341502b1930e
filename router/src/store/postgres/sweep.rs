//! Deletes what is older than it is kept for, a few rows at a time.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::{
    dead_letters,
    jobs::Scope,
    session::{Failure, numbers},
};
use crate::store::{Cutoffs, Micros, Swept};

/// Rows that one call looks at for each one it may delete.
const EXAMINED_FOR_EACH: i64 = 4;

/// Rows lie in the order in which they were received; the oldest are looked at.
const WEBHOOKS: &str = "DELETE FROM webhook WHERE id IN (SELECT id FROM
    (SELECT id, received_at FROM webhook ORDER BY id LIMIT $2) front WHERE received_at < $1)";
const EVENTS: &str = "DELETE FROM event WHERE id IN (SELECT id FROM
    (SELECT id, received_at FROM event ORDER BY id LIMIT $2) front WHERE received_at < $1)";
const DEAD: &str = "SELECT seq FROM dead_letter WHERE died_at < $1 ORDER BY died_at LIMIT $2";
const SEEN: &str =
    "DELETE FROM seen WHERE key IN (SELECT key FROM seen WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)";
const ORPHANS: &str = "DELETE FROM orphan_status WHERE (wamid, state) IN
    (SELECT wamid, state FROM orphan_status WHERE at < $1 ORDER BY at LIMIT $2)";
const KEYS: &str = "DELETE FROM idempotency WHERE key IN
    (SELECT key FROM idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)";

/// A conversation with work keeps all of its messages, and a dead letter keeps its own.
const MESSAGES: &str = "WITH looked AS (
        SELECT seq, conversation, created_at FROM message WHERE seq > $3 ORDER BY seq LIMIT $4),
    gone AS (
        DELETE FROM message m WHERE m.seq IN (SELECT l.seq FROM looked l WHERE l.created_at < $1
            AND NOT EXISTS (SELECT 1 FROM work w WHERE w.queue IN (1, 2) AND w.conversation = l.conversation)
            AND NOT EXISTS (SELECT 1 FROM dead_letter d WHERE d.seq = l.seq)
            ORDER BY l.seq LIMIT $2)
        RETURNING m.seq)
    SELECT (SELECT count(*) FROM gone), (SELECT max(seq) FROM gone), (SELECT count(*) FROM looked),
        (SELECT max(seq) FROM looked), (SELECT coalesce(bool_or(created_at >= $1), false) FROM looked)";

/// How far the last call got, where rows that stay lie among those that go.
#[derive(Debug, Default)]
pub(super) struct Place(AtomicI64);

pub(super) async fn sweep(
    scope: &mut Scope<'_>,
    place: &Place,
    cutoffs: Cutoffs,
    limit: usize,
) -> Result<Swept, Failure> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut swept = Swept::default();
    // Before the messages, which stay as long as their dead letters do.
    if let Some(before) = cutoffs.dead_letters {
        let old = numbers(&scope.session.query(DEAD, &[&before, &most]).await?)?;
        swept.dead_letters = dead_letters::discard(scope, &old).await?;
    }
    if let Some(before) = cutoffs.messages {
        swept.messages = sweep_messages(scope, place, before, most).await?;
    }
    for (cutoff, sql, count) in [
        (cutoffs.webhooks, WEBHOOKS, &mut swept.webhooks),
        (cutoffs.events, EVENTS, &mut swept.events),
        (cutoffs.seen, SEEN, &mut swept.seen),
        (cutoffs.orphan_statuses, ORPHANS, &mut swept.orphan_statuses),
        (cutoffs.idempotency_keys, KEYS, &mut swept.idempotency_keys),
    ] {
        if let Some(before) = cutoff {
            let gone = scope.session.execute(sql, &[&before, &most]).await?;
            *count = usize::try_from(gone).unwrap_or(usize::MAX);
        }
    }
    Ok(swept)
}

async fn sweep_messages(
    scope: &Scope<'_>,
    place: &Place,
    before: Micros,
    most: i64,
) -> Result<usize, Failure> {
    let examined = most.saturating_mul(EXAMINED_FOR_EACH);
    let from = place.0.load(Relaxed);
    let rows = scope.session.query(MESSAGES, &[&before, &most, &from, &examined]).await?;
    let Some(row) = rows.first() else { return Ok(0) };
    let (gone, looked): (i64, i64) = (row.try_get(0)?, row.try_get(2)?);
    let (last_gone, last_looked): (Option<i64>, Option<i64>) = (row.try_get(1)?, row.try_get(3)?);
    let met_newer: bool = row.try_get(4)?;
    let next = if gone == most {
        last_gone
    } else if met_newer || looked < examined {
        None
    } else {
        last_looked
    };
    place.0.store(next.unwrap_or(0), Relaxed);
    Ok(usize::try_from(gone).unwrap_or_default())
}
