//! Where in the message store a time begins. Messages are stored in the order of time, but for corrections of the
//! clock; there is no index by time, which each message would have to pay for.

use rusqlite::{Connection, OptionalExtension};

use crate::store::Micros;

/// Clocks are not set back by more than this while the router runs.
const CLOCK_CORRECTION: Micros = 3600 * 1_000_000;

/// A `seq` before which nothing was stored at or after `at`.
pub(in crate::store::sqlite) fn not_before(sql: &Connection, at: Micros) -> rusqlite::Result<i64> {
    first_since(sql, at.saturating_sub(CLOCK_CORRECTION))
}

/// A `seq` from which on nothing was stored before `at`.
pub(in crate::store::sqlite) fn not_after(sql: &Connection, at: Micros) -> rusqlite::Result<i64> {
    first_since(sql, at.saturating_add(CLOCK_CORRECTION))
}

/// Halves the range until the first message of `at` or later is found.
fn first_since(sql: &Connection, at: Micros) -> rusqlite::Result<i64> {
    let (mut low, mut high): (i64, i64) = sql
        .prepare_cached("SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) + 1 FROM message")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut at_or_after =
        sql.prepare_cached("SELECT seq, created_at FROM message WHERE seq >= ?1 ORDER BY seq LIMIT 1")?;
    while low < high {
        let middle = low + (high - low) / 2;
        let found: Option<(i64, Micros)> =
            at_or_after.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match found {
            Some((seq, created_at)) if seq < high && created_at < at => low = seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
