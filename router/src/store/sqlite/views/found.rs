//! Finds the conversations of a contact by any identifier by which they were ever seen.

use rusqlite::Connection;

/// Conversations, newest first.
pub(super) fn conversations_of(sql: &Connection, identifier: &str) -> rusqlite::Result<Vec<i64>> {
    sql.prepare_cached(
        "SELECT conversation FROM contact_alias WHERE identifier = ?1
         UNION SELECT conversation FROM former_alias WHERE identifier = ?1
         ORDER BY conversation DESC",
    )?
    .query_map([identifier], |row| row.get(0))?
    .collect()
}

/// The conversations that a filter names: `None` when it names none and any will do.
pub(super) fn named(
    sql: &Connection,
    contact: Option<&str>,
    conversation: Option<i64>,
) -> rusqlite::Result<Option<Vec<i64>>> {
    let Some(contact) = contact else { return Ok(conversation.map(|id| vec![id])) };
    let mut found = conversations_of(sql, contact)?;
    if let Some(conversation) = conversation {
        found.retain(|id| *id == conversation);
    }
    Ok(Some(found))
}
