//! What the API is shown, with a bound on how many rows one page may look at.

pub(super) mod conversations;
pub(super) mod dead_letters;
mod found;
pub(super) mod ledger;
pub(super) mod messages;
mod position;

use super::session::{Failure, Session};
use crate::store::{Cursor, Page, PageRequest};

/// Rows that one page looks at, at most; a filter that matches rarely goes on in the next page.
const MOST_EXAMINED: i64 = 20_000;

/// One more than asked for, so that the last page is known as such.
fn fetched(request: PageRequest) -> i64 {
    i64::try_from(request.limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// `items` come newest first, one more than asked for if there are so many. `examined`: how many rows were looked at
/// and the last of them; it is asked for only if all of what matched fits into the page.
async fn page<T>(
    request: PageRequest,
    mut items: Vec<(i64, T)>,
    examined: impl Future<Output = Result<(i64, Option<i64>), Failure>>,
) -> Result<Page<T>, Failure> {
    let next = if items.len() > request.limit {
        items.truncate(request.limit);
        items.last().map(|(position, _)| *position)
    } else {
        let (count, last) = examined.await?;
        last.filter(|_| count >= MOST_EXAMINED)
    };
    Ok(Page { items: items.into_iter().map(|(_, item)| item).collect(), next: next.map(Cursor) })
}

/// A statement of one row with a count and a position.
async fn examined(
    session: &Session,
    sql: &'static str,
    params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<(i64, Option<i64>), Failure> {
    let rows = session.query(sql, params).await?;
    match rows.first() {
        Some(row) => Ok((row.try_get(0)?, row.try_get(1)?)),
        None => Ok((0, None)),
    }
}
