//! The chats themselves, without locks and events.

use std::collections::{HashMap, VecDeque};

use serde::Deserialize;

use super::{ChatMessage, Contact, DeliveryStatus, Direction};
use crate::simulator::options::digits;

/// Older messages of a chat are forgotten; the records of the Graph side keep them.
const MESSAGES_KEPT: usize = 300;
const CONTACTS_KEPT: usize = 2_000;

#[derive(Debug, Default)]
pub(crate) struct Book {
    contacts: Vec<Contact>,
    by_id: HashMap<String, usize>,
    /// Which chat a message is in.
    chat_of: HashMap<String, usize>,
    typing_turn: HashMap<usize, u64>,
    open: Option<usize>,
}

/// Someone to add.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewContact {
    pub(crate) name: String,
    /// Left out, a free number from the range for fiction is taken.
    #[serde(default)]
    pub(crate) wa_id: Option<String>,
}

/// Messages that have been read just now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) wa_id: String,
    pub(crate) ids: Vec<String>,
}

impl Book {
    pub(crate) fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// By number or business-scoped user id.
    pub(crate) fn find(&self, id: &str) -> Option<&Contact> {
        self.by_id.get(id).map(|index| &self.contacts[*index])
    }

    pub(crate) fn add(&mut self, person: &NewContact) -> Result<Contact, String> {
        let name = person.name.trim();
        if name.is_empty() || name.chars().count() > 60 {
            return Err("a name has 1 to 60 characters".to_owned());
        }
        let wa_id = match person.wa_id.as_deref().map(str::trim).filter(|given| !given.is_empty()) {
            Some(given) => given_number(given)?,
            None => self.free_number().ok_or("all numbers for fiction are taken, give one in wa_id")?,
        };
        if self.by_id.contains_key(&wa_id) {
            return Err(format!("somebody with the number {wa_id} is there already, choose another one"));
        }
        if self.contacts.len() >= CONTACTS_KEPT {
            return Err(format!(
                "there are {CONTACTS_KEPT} contacts already, restart the sandbox to begin anew"
            ));
        }
        Ok(self.insert(name.to_owned(), wa_id, None))
    }

    /// Someone the business wrote to first. The oldest stranger is not forgotten: tests write to few people.
    pub(crate) fn add_stranger(&mut self, id: &str) -> Contact {
        if id.bytes().all(|byte| byte.is_ascii_digit()) {
            self.insert(format!("+{id}"), id.to_owned(), None)
        } else {
            let number = self.free_number().unwrap_or_else(|| id.to_owned());
            self.insert(id.to_owned(), number, Some(id.to_owned()))
        }
    }

    fn insert(&mut self, name: String, wa_id: String, user_id: Option<String>) -> Contact {
        let user_id = user_id.unwrap_or_else(|| user_id_of(&wa_id));
        let contact = Contact { wa_id, user_id, name, messages: VecDeque::new(), typing: false };
        let index = self.contacts.len();
        self.by_id.insert(contact.wa_id.clone(), index);
        self.by_id.insert(contact.user_id.clone(), index);
        self.contacts.push(contact.clone());
        contact
    }

    /// +1 202 555 0100 to 0199 belong to nobody.
    fn free_number(&self) -> Option<String> {
        (100..200).map(|n| format!("12025550{n}")).find(|number| !self.by_id.contains_key(number))
    }

    pub(crate) fn put(&mut self, wa_id: &str, message: ChatMessage) {
        let Some(&index) = self.by_id.get(wa_id) else { return };
        self.chat_of.insert(message.id.clone(), index);
        let messages = &mut self.contacts[index].messages;
        messages.push_back(message);
        if messages.len() > MESSAGES_KEPT
            && let Some(old) = messages.pop_front()
        {
            self.chat_of.remove(&old.id);
        }
    }

    /// The chat whose message moved, or `None` when it did not.
    pub(crate) fn advance(
        &mut self,
        id: &str,
        status: DeliveryStatus,
        error: Option<&str>,
    ) -> Option<String> {
        let contact = &mut self.contacts[*self.chat_of.get(id)?];
        let message = contact.messages.iter_mut().rev().find(|message| message.id == id)?;
        if message.status >= status {
            return None;
        }
        message.status = status;
        message.error = error.map(str::to_owned);
        Some(contact.wa_id.clone())
    }

    pub(crate) fn business_read(&mut self, id: &str) -> Option<Read> {
        let contact = &mut self.contacts[*self.chat_of.get(id)?];
        let last = contact.messages.iter().rposition(|message| message.id == id)?;
        let ids = mark_read(contact.messages.iter_mut().take(last + 1), Direction::Out);
        Some(Read { wa_id: contact.wa_id.clone(), ids })
    }

    pub(crate) fn open(&mut self, wa_id: Option<&str>) -> Option<Read> {
        self.open = wa_id.and_then(|wa_id| self.by_id.get(wa_id).copied());
        let contact = &mut self.contacts[self.open?];
        // What is not delivered yet becomes read when it arrives, because the chat is open.
        let arrived =
            contact.messages.iter_mut().filter(|message| message.status >= DeliveryStatus::Delivered);
        let ids = mark_read(arrived, Direction::In);
        Some(Read { wa_id: contact.wa_id.clone(), ids })
    }

    pub(crate) fn is_open(&self, wa_id: &str) -> bool {
        self.open.is_some() && self.by_id.get(wa_id).copied() == self.open
    }

    /// The turn that ends this "typing…", and whether it was not shown before.
    pub(crate) fn start_typing(&mut self, wa_id: &str) -> Option<(u64, bool)> {
        let index = *self.by_id.get(wa_id)?;
        let turn = self.typing_turn.entry(index).or_default();
        *turn += 1;
        let changed = !std::mem::replace(&mut self.contacts[index].typing, true);
        Some((*turn, changed))
    }

    /// `turn` limits it to one start; `None` ends whichever is shown. Answers whether anything changed.
    pub(crate) fn stop_typing(&mut self, wa_id: &str, turn: Option<u64>) -> bool {
        let Some(&index) = self.by_id.get(wa_id) else { return false };
        if turn.is_some_and(|turn| self.typing_turn.get(&index) != Some(&turn)) {
            return false;
        }
        std::mem::replace(&mut self.contacts[index].typing, false)
    }

    pub(crate) fn is_answered(&self, wa_id: &str, id: &str) -> bool {
        self.find(wa_id).is_some_and(|contact| {
            let after = contact.messages.iter().rev().take_while(|message| message.id != id);
            after.into_iter().any(|message| message.direction == Direction::In)
        })
    }
}

fn mark_read<'a>(messages: impl Iterator<Item = &'a mut ChatMessage>, direction: Direction) -> Vec<String> {
    messages
        .filter(|message| message.direction == direction && message.status < DeliveryStatus::Read)
        .map(|message| {
            message.status = DeliveryStatus::Read;
            message.id.clone()
        })
        .collect()
}

fn given_number(given: &str) -> Result<String, String> {
    let number = digits(given);
    let only_number = given.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c));
    if only_number && (7..=15).contains(&number.len()) {
        Ok(number)
    } else {
        Err("a number has 7 to 15 digits with country code, as in +1 202 555 0143".to_owned())
    }
}

/// A business-scoped user id as Meta forms them: country, full stop, a long number. The same for the same person.
fn user_id_of(wa_id: &str) -> String {
    let country = match wa_id {
        number if number.starts_with('1') => "US",
        number if number.starts_with("44") => "GB",
        number if number.starts_with("55") => "BR",
        number if number.starts_with("91") => "IN",
        _ => "DE",
    };
    // FNV-1a: spreads well and needs no key.
    let hash = wa_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{country}.{hash:020}")
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
