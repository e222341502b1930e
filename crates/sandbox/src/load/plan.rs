//! Which message is whose, what it says and when it is due. Pure, so that the account at the end is exact.

use std::{fmt, time::Duration};

/// Message `i` belongs to contact `i % contacts` and is that person's number `i / contacts`. Each contact is served by one
/// connection, which waits for the answer before it sends the person's next message: so the order in which the router
/// accepted them is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) contacts: u64,
    pub(crate) connections: u64,
    /// Messages a second; 0: no schedule.
    pub(crate) rate: u64,
}

/// One message of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) contact: u64,
    pub(crate) number: u64,
}

impl Plan {
    /// Rounds the contacts up to a multiple of the connections, so that every connection has its own.
    pub(crate) fn new(contacts: u32, connections: u32, rate: u32) -> Self {
        let connections = u64::from(connections.min(contacts).max(1));
        Self {
            contacts: u64::from(contacts.max(1)).next_multiple_of(connections),
            connections,
            rate: u64::from(rate),
        }
    }

    /// The `turn`th message of a connection.
    pub(crate) fn index(&self, connection: u64, turn: u64) -> u64 {
        connection + turn * self.connections
    }

    pub(crate) fn numbered(&self, index: u64) -> Numbered {
        Numbered { contact: index % self.contacts, number: index / self.contacts }
    }

    /// The place of a message in the account, or `None` for one that is not of this plan.
    pub(crate) fn index_of(&self, message: Numbered) -> Option<u64> {
        (message.contact < self.contacts)
            .then(|| message.number.checked_mul(self.contacts)?.checked_add(message.contact))?
    }

    /// When a message is due after the start.
    pub(crate) fn due(&self, index: u64) -> Duration {
        if self.rate == 0 {
            return Duration::ZERO;
        }
        let (seconds, rest) = (index / self.rate, index % self.rate);
        Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / self.rate)
    }
}

/// Eleven digits that no person has: +1 555 and the number of the contact.
pub(crate) fn wa_id(contact: u64) -> String {
    format!("1555{contact:07}")
}

/// The text that a message carries, and that its echo must contain.
impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load {} {}", self.contact, self.number)
    }
}

/// Finds the text of a message in an echo.
pub(crate) fn read_text(echo: &str) -> Option<Numbered> {
    let rest = &echo[echo.find("load ")? + "load ".len()..];
    let (contact, rest) = number(rest)?;
    let (number, _) = number(rest.strip_prefix(' ')?)?;
    Some(Numbered { contact, number })
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contact_has_one_connection_and_numbers_without_gaps() {
        let plan = Plan::new(10, 4, 0);
        assert_eq!(plan.contacts, 12);
        let mut next = [0; 12];
        let mut owner = [None; 12];
        for turn in 0..30 {
            for connection in 0..plan.connections {
                let index = plan.index(connection, turn);
                let message = plan.numbered(index);
                let contact = message.contact as usize;
                assert_eq!(message.number, next[contact]);
                next[contact] += 1;
                assert_eq!(*owner[contact].get_or_insert(connection), connection);
                assert_eq!(plan.index_of(message), Some(index));
            }
        }
        assert_eq!(plan.index_of(Numbered { contact: 12, number: 0 }), None);
        assert_eq!(plan.index_of(Numbered { contact: 1, number: u64::MAX }), None);
    }

    #[test]
    fn fewer_contacts_than_connections_use_fewer_connections() {
        assert_eq!(Plan::new(3, 64, 0), Plan { contacts: 3, connections: 3, rate: 0 });
    }

    #[test]
    fn messages_are_due_at_an_even_rate() {
        let plan = Plan::new(10, 1, 3000);
        assert_eq!(plan.due(0), Duration::ZERO);
        assert_eq!(plan.due(3), Duration::from_millis(1));
        assert_eq!(plan.due(9_000_000_000), Duration::from_secs(3_000_000));
    }

    #[test]
    fn echoes_are_read_back() {
        let message = Numbered { contact: 17, number: 34 };
        let echo = format!("I received your message: '{message}' and here is a random number: 4711");
        assert_eq!(read_text(&echo), Some(message));
        for other in ["", "load", "load x 1", "load 1", "load 1,2", "hello"] {
            assert_eq!(read_text(other), None, "{other}");
        }
    }
}
