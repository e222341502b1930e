//! Who wrote: one person under up to three identifiers, of which any may be missing.

use serde::Serialize;

/// The person at the other end, as the message and `value.contacts` tell together.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// The phone number in digits; absent for people who hide it behind a username.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wa_id: Option<String>,
    /// The business-scoped user id: survives a username, changes with the phone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The profile's name, which the person chose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Contact {
    /// The key of the conversation: the business-scoped user id, else the phone number.
    pub fn key(&self) -> Option<&str> {
        self.identifiers().next()
    }

    /// All that identifies the person, the most stable first. A username is no identifier: it can change hands.
    pub fn identifiers(&self) -> impl Iterator<Item = &str> {
        [&self.user_id, &self.wa_id].into_iter().filter_map(Option::as_deref)
    }

    /// Whether both may be the same person: no identifier that both know differs.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let agree = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        agree(&self.user_id, &other.user_id) && agree(&self.wa_id, &other.wa_id)
    }

    /// Takes over from `other` what is not known yet.
    pub(crate) fn fill(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.wa_id, &other.wa_id),
            (&mut self.user_id, &other.user_id),
            (&mut self.username, &other.username),
            (&mut self.name, &other.name),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
    }
}
