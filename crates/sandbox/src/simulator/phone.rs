//! The people's side: their contacts, chats and ticks, as the phone page shows them.

mod book;

use std::sync::{Mutex, MutexGuard, PoisonError};

use book::Book;
pub(crate) use book::{NewContact, Read};
use serde::Serialize;
use serde_json::Value;

use super::{
    events::{Event, Events},
    options::Person,
};

/// How far a message came; it only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    Pending,
    Sent,
    Delivered,
    Read,
    Failed,
}

/// Seen from the person's phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the person to the business.
    Out,
    /// From the business to the person.
    In,
}

/// One bubble in a chat.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChatMessage {
    pub id: String,
    pub direction: Direction,
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
    /// Unix milliseconds.
    pub at: u64,
    pub status: DeliveryStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The type's own object, for everything but text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

/// One person and the chat with the business.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contact {
    pub wa_id: String,
    pub user_id: String,
    pub name: String,
    pub messages: std::collections::VecDeque<ChatMessage>,
    pub typing: bool,
}

/// The book of all chats; every change is told to whoever watches.
#[derive(Debug)]
pub(crate) struct Phone {
    book: Mutex<Book>,
    events: Events,
}

impl Phone {
    pub(crate) fn new(people: &[Person], events: Events) -> Self {
        let mut book = Book::default();
        for person in people {
            let person = NewContact { name: person.name.clone(), wa_id: Some(person.wa_id.clone()) };
            // Two people with one number would be a mistake of the options; the first one stays.
            let _ = book.add(&person);
        }
        Self { book: Mutex::new(book), events }
    }

    pub(crate) fn contacts(&self) -> Vec<Contact> {
        self.book().contacts().to_vec()
    }

    pub(crate) fn contact(&self, id: &str) -> Option<Contact> {
        let book = self.book();
        book.find(id).cloned()
    }

    pub(crate) fn add(&self, person: &NewContact) -> Result<Contact, String> {
        let mut book = self.book();
        let contact = book.add(person)?;
        self.events.emit(&Event::Contact { contact: &contact });
        Ok(contact)
    }

    /// The contact with this number or user id, made on the spot when nobody has it yet.
    pub(crate) fn find_or_add(&self, id: &str) -> Contact {
        let mut book = self.book();
        if let Some(known) = book.find(id) {
            return known.clone();
        }
        let contact = book.add_stranger(id);
        self.events.emit(&Event::Contact { contact: &contact });
        contact
    }

    /// Puts a message into a chat. A message from the business ends "typing…".
    pub(crate) fn put(&self, wa_id: &str, message: ChatMessage) {
        let mut book = self.book();
        self.events.emit(&Event::Message { wa_id, message: &message });
        if message.direction == Direction::In && book.stop_typing(wa_id, None) {
            self.events.emit(&Event::Typing { wa_id, on: false });
        }
        book.put(wa_id, message);
    }

    /// Moves a message forward; going back is ignored.
    pub(crate) fn advance(&self, id: &str, status: DeliveryStatus, error: Option<&str>) {
        if let Some(wa_id) = self.book().advance(id, status, error) {
            self.events.emit(&Event::Status { wa_id: &wa_id, id, status, error });
        }
    }

    /// The business has read this message and all before it. `None` when nobody knows the message.
    pub(crate) fn business_read(&self, id: &str) -> Option<String> {
        let read = self.book().business_read(id)?;
        self.tell_read(&read);
        Some(read.wa_id)
    }

    /// The person looks at the chat, and at no other. Answers the messages that were not read before.
    pub(crate) fn open(&self, wa_id: Option<&str>) -> Option<Read> {
        let read = self.book().open(wa_id)?;
        self.tell_read(&read);
        Some(read)
    }

    pub(crate) fn is_open(&self, wa_id: &str) -> bool {
        self.book().is_open(wa_id)
    }

    /// Shows "typing…"; the answer is what [`Phone::stop_typing`] needs to end this one and no later one.
    pub(crate) fn start_typing(&self, wa_id: &str) -> Option<u64> {
        let (turn, changed) = self.book().start_typing(wa_id)?;
        if changed {
            self.events.emit(&Event::Typing { wa_id, on: true });
        }
        Some(turn)
    }

    pub(crate) fn stop_typing(&self, wa_id: &str, turn: u64) {
        if self.book().stop_typing(wa_id, Some(turn)) {
            self.events.emit(&Event::Typing { wa_id, on: false });
        }
    }

    /// Whether a reply came already, which is when "typing…" would be a lie.
    pub(crate) fn is_answered(&self, wa_id: &str, id: &str) -> bool {
        self.book().is_answered(wa_id, id)
    }

    fn tell_read(&self, read: &Read) {
        for id in &read.ids {
            let status = DeliveryStatus::Read;
            self.events.emit(&Event::Status { wa_id: &read.wa_id, id, status, error: None });
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
