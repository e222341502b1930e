//! Which conversation a contact's message belongs to, decided in memory from what one look-up brought. The rules are
//! those of the SQLite store.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use crate::store::{
    Contact,
    contacts::{is_somebody_else, merged},
};

/// A conversation as the database or this transaction knows it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) channel: Arc<str>,
    pub(super) contact: Arc<Contact>,
}

/// What is to be written of contacts.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// In the order of the ids, which are new.
    pub(super) opened: Vec<i64>,
    pub(super) updated: HashSet<i64>,
    /// (channel, identifier) → conversation.
    pub(super) aliases: BTreeMap<(Arc<str>, String), i64>,
    pub(super) former: Vec<(Arc<str>, String, i64)>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    aliases: HashMap<Arc<str>, HashMap<String, i64>>,
    entries: HashMap<i64, Entry>,
    /// Conversations with unfinished work, in the database or in this transaction.
    busy: HashSet<i64>,
    /// For conversations that are opened.
    spare_ids: Vec<i64>,
    pub(super) changes: Changes,
}

/// In the order in which they are asked.
pub(super) fn identifiers(contact: &Contact) -> impl Iterator<Item = &str> {
    [contact.user_id.as_deref(), contact.wa_id.as_deref(), Some(contact.key.as_str())].into_iter().flatten()
}

impl Book {
    pub(super) fn learn(
        &mut self,
        channel: &Arc<str>,
        identifier: &str,
        id: i64,
        contact: impl FnOnce() -> Contact,
    ) {
        self.aliases.entry(channel.clone()).or_default().insert(identifier.to_owned(), id);
        self.entries
            .entry(id)
            .or_insert_with(|| Entry { channel: channel.clone(), contact: Arc::new(contact()) });
    }

    pub(super) fn set_busy(&mut self, ids: impl IntoIterator<Item = i64>) {
        self.busy.extend(ids);
    }

    pub(super) fn give_ids(&mut self, ids: Vec<i64>) {
        self.spare_ids = ids;
    }

    pub(super) fn known_ids(&self) -> Vec<i64> {
        self.entries.keys().copied().collect()
    }

    pub(super) fn entry(&self, id: i64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    fn find(&self, channel: &str, identifier: &str) -> Option<(i64, &Arc<Contact>)> {
        let id = *self.aliases.get(channel)?.get(identifier)?;
        Some((id, &self.entries.get(&id)?.contact))
    }

    /// The conversations that the contact's identifiers lead to, in their order, but for those of somebody else.
    pub(super) fn candidates(&self, channel: &str, seen: &Contact) -> Vec<(i64, Arc<Contact>)> {
        let mut candidates: Vec<(i64, Arc<Contact>)> = Vec::new();
        for identifier in identifiers(seen) {
            if let Some((id, known)) = self.find(channel, identifier)
                && !is_somebody_else(known, seen)
                && candidates.iter().all(|(other, _)| *other != id)
            {
                candidates.push((id, known.clone()));
            }
        }
        candidates
    }

    /// The conversation if nothing has to be written for it.
    pub(super) fn settled(&self, channel: &str, seen: &Contact) -> Option<(i64, Arc<Contact>)> {
        let mut only: Option<(i64, &Arc<Contact>)> = None;
        for identifier in identifiers(seen) {
            let Some((id, known)) = self.find(channel, identifier) else { continue };
            if is_somebody_else(known, seen) || only.is_some_and(|(other, _)| other != id) {
                return None;
            }
            only = Some((id, known));
        }
        let (id, known) = only?;
        merged(known, seen).is_none().then(|| (id, known.clone()))
    }

    /// The conversation, with what that changes noted in [`Changes`]; `None` when there was no id left for a new one.
    ///
    /// The business-scoped user id is asked first. A message that brings both identifiers ties them together. A
    /// WhatsApp id that comes with another user id than it had has a new owner: that is another conversation, and what
    /// is said to the former owner must not reach the new one. When the identifiers had a conversation each until now,
    /// the one with unfinished work goes on, so that the new message does not overtake what waits there.
    pub(super) fn resolve(&mut self, channel: &Arc<str>, seen: &Arc<Contact>) -> Option<(i64, Arc<Contact>)> {
        if let Some(settled) = self.settled(channel, seen) {
            return Some(settled);
        }
        self.release_number_of_others(channel, seen);
        let candidates = self.candidates(channel, seen);
        let found = match &candidates[..] {
            [first, second, ..] if !self.busy.contains(&first.0) && self.busy.contains(&second.0) => {
                Some(second)
            }
            [first, ..] => Some(first),
            [] => None,
        };
        let (id, contact) = match found.cloned() {
            Some((id, known)) => match merged(&known, seen) {
                None if candidates.len() < 2 => return Some((id, known)),
                None => (id, known),
                Some(contact) => {
                    self.changes.updated.insert(id);
                    (id, Arc::new(contact))
                }
            },
            None => {
                let id = self.spare_ids.pop()?;
                self.changes.opened.push(id);
                (id, seen.clone())
            }
        };
        self.entries.insert(id, Entry { channel: channel.clone(), contact: contact.clone() });
        for identifier in identifiers(seen) {
            let before = self.aliases.entry(channel.clone()).or_default().insert(identifier.to_owned(), id);
            if before == Some(id) {
                continue;
            }
            self.changes.former.extend(before.map(|former| (channel.clone(), identifier.to_owned(), former)));
            self.changes.aliases.insert((channel.clone(), identifier.to_owned()), id);
        }
        Some((id, contact))
    }

    fn release_number_of_others(&mut self, channel: &str, seen: &Contact) {
        let (Some(wa_id), Some(_)) = (&seen.wa_id, &seen.user_id) else { return };
        let Some((id, known)) = self.find(channel, wa_id) else { return };
        if !is_somebody_else(known, seen) {
            return;
        }
        let contact = Contact { wa_id: None, ..(**known).clone() };
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.contact = Arc::new(contact);
            self.changes.updated.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(wa_id: Option<&str>, user_id: Option<&str>) -> Arc<Contact> {
        let key = user_id.or(wa_id).unwrap().to_owned();
        let (wa_id, user_id) = (wa_id.map(str::to_owned), user_id.map(str::to_owned));
        Arc::new(Contact { key, wa_id, user_id, username: None, name: None })
    }

    #[test]
    fn both_identifiers_lead_to_one_conversation_until_the_number_has_a_new_owner() {
        let channel: Arc<str> = Arc::from("default");
        let mut book = Book::default();
        book.give_ids(vec![2, 1]);
        let mut of = |wa_id, user_id| book.resolve(&channel, &contact(wa_id, user_id)).unwrap().0;
        assert_eq!(of(Some("71"), None), 1);
        assert_eq!(of(Some("71"), Some("US.71")), 1);
        assert_eq!(of(None, Some("US.71")), 1);
        assert_eq!(of(Some("71"), Some("US.new")), 2);
        assert_eq!(of(None, Some("US.71")), 1);
        assert_eq!(book.entry(1).unwrap().contact.wa_id, None);
        assert_eq!(book.changes.opened, [1, 2]);
        assert_eq!(book.changes.former, [(channel.clone(), "71".to_owned(), 1)]);
        assert!(book.resolve(&channel, &contact(Some("99"), None)).is_none(), "no id is left");
    }

    #[test]
    fn of_two_conversations_the_busy_one_goes_on() {
        let channel: Arc<str> = Arc::from("default");
        let mut book = Book::default();
        book.learn(&channel, "US.75", 1, || (*contact(None, Some("US.75"))).clone());
        book.learn(&channel, "75", 2, || (*contact(Some("75"), None)).clone());
        book.set_busy([2]);
        assert!(book.settled(&channel, &contact(Some("75"), Some("US.75"))).is_none());
        assert_eq!(book.resolve(&channel, &contact(Some("75"), Some("US.75"))).unwrap().0, 2);
        assert_eq!(
            book.settled(&channel, &contact(None, Some("US.75"))).unwrap().0,
            2,
            "from now on both lead there"
        );
    }
}
