//! Collects a history while it happens, from several tasks at once.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use super::history::{Cause, Excuse, Reply, Said};
use crate::simulator::{Answer, GraphMessage};

#[derive(Debug, Default)]
pub(super) struct Recorder {
    ticks: AtomicU64,
    accepted: AtomicUsize,
    said: Mutex<HashMap<(u32, u32), Said>>,
    excuses: Mutex<Vec<Excuse>>,
    refusals: AtomicUsize,
}

impl Recorder {
    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    /// Before a message's first post.
    pub(super) fn says(&self, contact: u32, number: u32) {
        let began = self.tick();
        lock(&self.said).entry((contact, number)).or_insert(Said { contact, number, began, accepted: None });
    }

    /// A router answered 200 to a webhook that held it.
    pub(super) fn accepted(&self, contact: u32, number: u32) {
        let tick = self.tick();
        if let Some(said) = lock(&self.said).get_mut(&(contact, number))
            && said.accepted.is_none()
        {
            said.accepted = Some(tick);
            self.accepted.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A router answered with an error.
    pub(super) fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refusals(&self) -> usize {
        self.refusals.load(Ordering::Relaxed)
    }

    pub(super) fn accepted_count(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Sends under way at this moment are forgotten.
    pub(super) fn excuse_now(&self, cause: Cause) {
        let now = unix_millis();
        self.excuse(cause, now, now);
    }

    /// Sends under way at any moment of this time may be forgotten. Unix milliseconds.
    pub(super) fn excuse(&self, cause: Cause, from: u64, to: u64) {
        lock(&self.excuses).push(Excuse { cause, from, to });
    }

    pub(super) fn excuses(&self) -> Vec<Excuse> {
        lock(&self.excuses).clone()
    }

    /// In the order of their posting.
    pub(super) fn said(&self) -> Vec<Said> {
        let mut said: Vec<Said> = lock(&self.said).values().cloned().collect();
        said.sort_by_key(|said| said.began);
        said
    }
}

/// The text by which a message is recognised in its echo.
pub(super) fn text(contact: u32, number: u32) -> String {
    format!("chaos {contact} {number}")
}

pub(super) fn wa_id(contact: u32) -> String {
    format!("1555020{contact:04}")
}

/// Which message this answers; `Err` with what it is instead.
pub(super) fn read_reply(message: &GraphMessage) -> Result<Reply, String> {
    let numbers = message.text.split_once("'chaos ").and_then(|(_, rest)| {
        let (numbers, _) = rest.split_once('\'')?;
        let (contact, number) = numbers.split_once(' ')?;
        Some((contact.parse().ok()?, number.parse().ok()?))
    });
    match numbers {
        Some((contact, number)) if wa_id(contact) == message.to => Ok(Reply {
            contact,
            number,
            id: message.callback_data.clone(),
            at: message.at,
            lost: message.answer == Answer::Lost,
        }),
        Some(_) => Err(format!("to {}: {}", message.to, message.text)),
        None => Err(message.text.clone()),
    }
}

pub(super) fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn message(to: &str, text: &str) -> GraphMessage {
        GraphMessage {
            seq: 1,
            at: 5,
            wamid: "wamid.1".to_owned(),
            to: to.to_owned(),
            kind: "text".to_owned(),
            text: text.to_owned(),
            callback_data: Some("id".to_owned()),
            phone_number_id: "1".to_owned(),
            answer: Answer::Lost,
            raw: Value::Null,
        }
    }

    #[test]
    fn replies_are_recognised_by_their_echo() {
        let echo = "I received your message: 'chaos 3 17' and here is a random number: 1234";
        let reply = read_reply(&message(&wa_id(3), echo)).unwrap();
        assert_eq!((reply.contact, reply.number, reply.lost), (3, 17, true));
        assert!(read_reply(&message(&wa_id(4), echo)).is_err(), "somebody else's");
        assert!(read_reply(&message(&wa_id(3), "hello")).is_err());
    }

    #[test]
    fn only_the_first_acceptance_counts() {
        let recorder = Recorder::default();
        recorder.says(0, 0);
        recorder.says(0, 1);
        recorder.accepted(0, 0);
        recorder.accepted(0, 0);
        recorder.accepted(0, 9);
        assert_eq!(recorder.accepted_count(), 1);
        let said = recorder.said();
        assert_eq!((said[0].accepted, said[1].accepted), (Some(2), None));
    }
}
