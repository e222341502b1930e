//! Finds the conversations of a contact by any identifier by which they were ever seen.

use super::super::session::{Failure, Session, numbers};

const OF_CONTACT: &str = "SELECT conversation FROM contact_alias WHERE identifier = $1
    UNION SELECT conversation FROM former_alias WHERE identifier = $1 ORDER BY conversation DESC";

/// The conversations that a filter names: `None` when it names none and any will do.
pub(super) async fn named(
    session: &Session,
    contact: Option<&str>,
    conversation: Option<i64>,
) -> Result<Option<Vec<i64>>, Failure> {
    let Some(contact) = contact else { return Ok(conversation.map(|id| vec![id])) };
    let mut found = numbers(&session.query(OF_CONTACT, &[&super::super::text::Text(contact)]).await?)?;
    if let Some(conversation) = conversation {
        found.retain(|id| *id == conversation);
    }
    Ok(Some(found))
}
