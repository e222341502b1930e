//! Finds the conversation of a contact by any identifier that is known of them, or opens a new one.

use std::sync::Arc;

use rusqlite::{OptionalExtension, params};

use super::session::{Conversation, Session};
use crate::store::{
    Contact, Micros,
    contacts::{is_somebody_else, merged},
};

impl Session<'_> {
    /// The conversation and its contact with what `seen` adds.
    ///
    /// The business-scoped user id is asked first. A message that brings both identifiers ties them together, so
    /// that later ones with only one of them land in the same conversation. A WhatsApp id that comes with another
    /// user id than it had has a new owner (Meta, business-scoped-user-ids): that is another conversation.
    ///
    /// When the identifiers had a conversation each until now, the one with unfinished work goes on, so that the new
    /// message does not overtake what waits there.
    pub(super) fn conversation(
        &mut self,
        channel: &Arc<str>,
        seen: &Arc<Contact>,
        now: Micros,
    ) -> rusqlite::Result<Conversation> {
        let identifiers = [seen.user_id.as_deref(), seen.wa_id.as_deref(), Some(seen.key.as_str())];
        self.release_number_of_others(channel, seen)?;
        let mut candidates: Vec<Conversation> = Vec::new();
        for identifier in identifiers.into_iter().flatten() {
            let found = self.find(channel, identifier)?.filter(|(_, known)| !is_somebody_else(known, seen));
            candidates.extend(found.filter(|(id, _)| candidates.iter().all(|(other, _)| other != id)));
        }
        let found = match &candidates[..] {
            [first, second, ..] if !self.has_work(first.0)? && self.has_work(second.0)? => Some(second),
            [first, ..] => Some(first),
            [] => None,
        };
        let (id, contact) = match found.cloned() {
            Some((id, known)) => match merged(&known, seen) {
                None if candidates.len() < 2 => return Ok((id, known)),
                None => (id, known),
                Some(contact) => {
                    self.update(id, &contact)?;
                    (id, Arc::new(contact))
                }
            },
            None => (self.open(channel, seen, now)?, seen.clone()),
        };
        for identifier in identifiers.into_iter().flatten() {
            self.sql
                .prepare_cached(
                    "INSERT OR IGNORE INTO former_alias (identifier, channel, conversation)
                     SELECT identifier, channel, conversation FROM contact_alias
                     WHERE channel = ?1 AND identifier = ?2 AND conversation <> ?3",
                )?
                .execute(params![channel, identifier, id])?;
            self.sql
                .prepare_cached(
                    "INSERT OR REPLACE INTO contact_alias (channel, identifier, conversation) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![channel, identifier, id])?;
            self.memory.cache(channel, identifier, id, &contact);
        }
        Ok((id, contact))
    }

    /// A number that comes with another user id than it had belongs to somebody else now: what is said to its former
    /// owner must not reach them.
    fn release_number_of_others(&mut self, channel: &Arc<str>, seen: &Contact) -> rusqlite::Result<()> {
        let (Some(wa_id), Some(_)) = (&seen.wa_id, &seen.user_id) else { return Ok(()) };
        let Some((id, known)) = self.find(channel, wa_id)? else { return Ok(()) };
        if !is_somebody_else(&known, seen) {
            return Ok(());
        }
        self.sql.prepare_cached("UPDATE conversation SET wa_id = NULL WHERE id = ?1")?.execute([id])?;
        self.memory.forget_conversations();
        Ok(())
    }

    /// When the person wrote last, in any conversation that one of their identifiers leads to.
    pub(super) fn last_inbound(
        &mut self,
        channel: &Arc<str>,
        contact: &Contact,
    ) -> rusqlite::Result<Option<Micros>> {
        let identifiers = [contact.user_id.as_deref(), contact.wa_id.as_deref(), Some(contact.key.as_str())];
        let mut last = None;
        for identifier in identifiers.into_iter().flatten() {
            if let Some((id, _)) = self.find(channel, identifier)? {
                last = last.max(self.standing(id)?.last_inbound_at);
            }
        }
        Ok(last)
    }

    fn has_work(&mut self, conversation: i64) -> rusqlite::Result<bool> {
        self.sql
            .prepare_cached("SELECT 1 FROM lane WHERE queue IN (1, 2) AND conversation = ?1")?
            .exists([conversation])
    }

    fn find(&mut self, channel: &Arc<str>, identifier: &str) -> rusqlite::Result<Option<Conversation>> {
        if let Some(cached) = self.memory.cached(channel, identifier) {
            return Ok(Some(cached.clone()));
        }
        let id: Option<i64> = self
            .sql
            .prepare_cached("SELECT conversation FROM contact_alias WHERE channel = ?1 AND identifier = ?2")?
            .query_row(params![channel, identifier], |row| row.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(None) };
        let (_, contact) = self.channel_and_contact(id)?;
        self.memory.cache(channel, identifier, id, &contact);
        Ok(Some((id, contact)))
    }

    pub(super) fn channel_and_contact(&mut self, id: i64) -> rusqlite::Result<(Arc<str>, Arc<Contact>)> {
        self.sql
            .prepare_cached(
                "SELECT channel, contact, wa_id, user_id, username, name FROM conversation WHERE id = ?1",
            )?
            .query_row([id], |row| {
                let contact = Contact {
                    key: row.get(1)?,
                    wa_id: row.get(2)?,
                    user_id: row.get(3)?,
                    username: row.get(4)?,
                    name: row.get(5)?,
                };
                Ok((row.get(0)?, Arc::new(contact)))
            })
    }

    fn open(&mut self, channel: &str, contact: &Contact, now: Micros) -> rusqlite::Result<i64> {
        self.sql
            .prepare_cached(
                "INSERT INTO conversation
                     (channel, contact, wa_id, user_id, username, name, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .insert(params![
                channel,
                contact.key,
                contact.wa_id,
                contact.user_id,
                contact.username,
                contact.name,
                now
            ])
    }

    fn update(&mut self, id: i64, contact: &Contact) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE conversation SET wa_id = ?2, user_id = ?3, username = ?4, name = ?5 WHERE id = ?1",
            )?
            .execute(params![id, contact.wa_id, contact.user_id, contact.username, contact.name])?;
        Ok(())
    }
}
