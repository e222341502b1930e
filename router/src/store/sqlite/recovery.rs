//! What is done with a file when it is opened: the work of a process that is gone is taken over and counted.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::store::{Depth, Micros};

/// No lane rests longer than this by our own choice; one that does was put there by a clock that was wrong.
const LONGEST_WAIT: Duration = Duration::from_secs(8 * 24 * 3600);

/// Nobody else can hold a lease on this file, so all that are left belong to a dead process. What it was sending at
/// that moment may have gone out: those lanes rest for `uncertain_wait`, so that a status webhook can tell. Returns
/// how many there were.
pub(super) fn take_over(sql: &Connection, now: Micros, uncertain_wait: Duration) -> rusqlite::Result<usize> {
    let outbox_due_at = now.saturating_add(micros(uncertain_wait));
    let left = sql.execute(
        "UPDATE lane SET due_at = CASE queue WHEN 1 THEN ?1 ELSE ?2 END, owner = NULL, token = 0, uncertain = 1
         WHERE due_at IS NULL",
        [now, outbox_due_at],
    )?;
    // While no router ran no status could arrive, so that time does not count.
    sql.execute(
        "UPDATE lane SET due_at = ?1 WHERE queue = 2 AND due_at < ?1 AND (uncertain = 1 OR EXISTS (
             SELECT 1 FROM work WHERE queue = 2 AND work.conversation = lane.conversation AND uncertain = 1))",
        [outbox_due_at],
    )?;
    for queue in [1, 2] {
        sql.execute(
            "UPDATE lane SET due_at = ?2 WHERE queue = ?1 AND due_at > ?3",
            params![queue, now, now.saturating_add(micros(LONGEST_WAIT))],
        )?;
    }
    Ok(left)
}

/// Counts what is unfinished.
pub(super) fn depth(sql: &Connection) -> rusqlite::Result<Depth> {
    let mut depth = Depth::default();
    let mut statement = sql.prepare("SELECT count(*), coalesce(sum(bytes), 0) FROM work WHERE queue = ?1")?;
    for (queue, items) in [(1, &mut depth.inbox), (2, &mut depth.outbox)] {
        let (count, bytes): (i64, i64) =
            statement.query_row([queue], |row| Ok((row.get(0)?, row.get(1)?)))?;
        *items = count;
        depth.bytes += bytes;
    }
    depth.dead_letters = sql.query_row("SELECT count(*) FROM dead_letter", [], |row| row.get(0))?;
    Ok(depth)
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}
