//! Where in the message store a time begins. Messages are stored in the order of time, but for clocks that differ and
//! transactions that cross; there is no index by time, which each message would have to pay for.

use std::ops::Range;

use super::super::session::{Failure, Session};
use crate::store::Micros;

/// Clocks of routers do not differ, and are not set back, by more than this.
const CLOCK_CORRECTION: Micros = 3600 * 1_000_000;

const ENDS: &str = "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) + 1 FROM message";
const AT_OR_AFTER: &str = "SELECT seq, created_at FROM message WHERE seq >= $1 ORDER BY seq LIMIT 1";

/// Holds everything stored in the time, and perhaps some more.
pub(super) async fn range(
    session: &Session,
    since: Option<Micros>,
    until: Option<Micros>,
) -> Result<Range<i64>, Failure> {
    let start = match since {
        Some(at) => first_since(session, at.saturating_sub(CLOCK_CORRECTION)).await?,
        None => i64::MIN,
    };
    let end = match until {
        Some(at) => first_since(session, at.saturating_add(CLOCK_CORRECTION)).await?,
        None => i64::MAX,
    };
    Ok(start..end)
}

/// Halves the range until the first message of `at` or later is found.
async fn first_since(session: &Session, at: Micros) -> Result<i64, Failure> {
    let rows = session.query(ENDS, &[]).await?;
    let Some(ends) = rows.first() else { return Ok(0) };
    let (mut low, mut high): (i64, i64) = (ends.try_get(0)?, ends.try_get(1)?);
    while low < high {
        let middle = low + (high - low) / 2;
        let found = session.query(AT_OR_AFTER, &[&middle]).await?;
        let (seq, created_at): (i64, Micros) = match found.first() {
            Some(row) => (row.try_get(0)?, row.try_get(1)?),
            None => (i64::MAX, i64::MAX),
        };
        if seq < high && created_at < at {
            low = seq + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
