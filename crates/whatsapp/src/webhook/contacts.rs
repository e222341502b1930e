//! `value.contacts`: names and identifiers that stand beside the messages, not in them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{lenient, message::Contact, raw};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire {
    #[serde(deserialize_with = "lenient::object")]
    profile: Option<Profile>,
    #[serde(deserialize_with = "lenient::given")]
    wa_id: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    user_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Profile {
    #[serde(deserialize_with = "lenient::given")]
    name: Option<String>,
    #[serde(deserialize_with = "lenient::given")]
    username: Option<String>,
}

/// The contacts of one value, found by identifier.
pub(super) struct Contacts {
    list: Vec<Contact>,
    /// Only when there are so many that searching the list for each message would be slow.
    index: HashMap<String, usize>,
}

const INDEXED_FROM: usize = 8;

impl Contacts {
    pub(super) fn read(raw: Option<&RawValue>) -> Self {
        let list: Vec<Contact> = raw::objects(raw).into_iter().map(contact).collect();
        let mut index = HashMap::new();
        if list.len() >= INDEXED_FROM {
            for (position, contact) in list.iter().enumerate() {
                for identifier in contact.identifiers() {
                    index.entry(identifier.to_owned()).or_insert(position);
                }
            }
        }
        Self { list, index }
    }

    /// Adds what is known of the person who wrote one of `messages` messages.
    pub(super) fn complete(&self, sender: &mut Contact, messages: usize) {
        let found = match self.find(sender) {
            Some(found) => found,
            // Nobody else can be meant: the only contact beside the only message, or beside one that names nobody.
            None => match self.list.as_slice() {
                [only] if messages == 1 && only.agrees(sender) => only,
                [only] if sender.key().is_none() => only,
                _ => return,
            },
        };
        sender.fill(found);
    }

    fn find(&self, sender: &Contact) -> Option<&Contact> {
        sender.identifiers().find_map(|identifier| {
            if self.index.is_empty() {
                self.list.iter().find(|contact| contact.identifiers().any(|known| known == identifier))
            } else {
                self.index.get(identifier).map(|&position| &self.list[position])
            }
        })
    }
}

fn contact(wire: Wire) -> Contact {
    let Profile { name, username } = wire.profile.unwrap_or_default();
    Contact { wa_id: wire.wa_id, user_id: wire.user_id, username, name }
}
