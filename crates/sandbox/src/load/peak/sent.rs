//! The messages that Graph took, and which status of each comes next.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{load::tally::Tally, simulator::Observer};

/// The three that there are. Further ones of the same message are repetitions, which Meta sends as well.
const KINDS: [&str; 3] = ["sent", "delivered", "read"];

struct Message {
    to: String,
    wamid: String,
    callback_data: Option<String>,
    /// Unix seconds; a repetition has the time of the first.
    at: u64,
    /// Statuses that were sent of it.
    done: u32,
}

/// Messages whose statuses are not all sent.
pub(super) struct Sent {
    waiting: Mutex<VecDeque<Message>>,
    each: u32,
}

impl Sent {
    /// `each`: statuses for every message.
    pub(super) fn new(each: u32) -> Self {
        Self { waiting: Mutex::default(), each: each.max(1) }
    }

    /// Writes up to `count` statuses, each of another message, separated by commas; says how many there were.
    pub(super) fn write(&self, out: &mut String, count: usize) -> usize {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = count.min(waiting.len());
        for index in 0..count {
            let Some(mut message) = waiting.pop_front() else { return index };
            if index > 0 {
                out.push(',');
            }
            message.write(out, self.each);
            message.done += 1;
            if message.done < self.each {
                waiting.push_back(message);
            }
        }
        count
    }
}

impl Message {
    fn write(&self, out: &mut String, each: u32) {
        let kind = KINDS[(self.done as usize * KINDS.len() / each as usize).min(KINDS.len() - 1)];
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            r#"{{"id":"{}","status":"{kind}","timestamp":"{}","recipient_id":"{}""#,
            self.wamid, self.at, self.to
        );
        if let Some(data) = &self.callback_data {
            // Ours: a UUID, nothing to escape.
            let _ = write!(out, r#","biz_opaque_callback_data":"{data}""#);
        }
        out.push_str(
            r#","pricing":{"billable":false,"pricing_model":"PMP","category":"service","type":"free_customer_service"}}"#,
        );
    }
}

/// Sees what Graph takes.
pub(super) struct Watch {
    pub(super) tally: Arc<Tally>,
    pub(super) sent: Arc<Sent>,
}

impl Observer for Watch {
    fn taken(&self, to: &str, text: &str) {
        self.tally.taken(to, text);
    }

    fn named(&self, to: &str, wamid: &str, callback_data: Option<&str>) {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let message = Message {
            to: to.to_owned(),
            wamid: wamid.to_owned(),
            callback_data: callback_data.map(str::to_owned),
            at: at.unwrap_or_default().as_secs(),
            done: 0,
        };
        self.sent.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(message);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::load::plan::Plan;

    #[test]
    fn every_message_gets_its_statuses_in_their_order_with_repetitions() {
        let sent = Arc::new(Sent::new(10));
        let tally = Arc::new(Tally::new(Plan::new(1, 1, 0), 1));
        let watch = Watch { tally, sent: Arc::clone(&sent) };
        watch.named("1", "wamid.1", Some("data"));
        watch.named("2", "wamid.2", None);
        let mut kinds = Vec::new();
        for _ in 0..10 {
            let mut items = "[".to_owned();
            assert_eq!(sent.write(&mut items, 9), 2, "each webhook has one status of a message at most");
            items.push(']');
            let items: Vec<Value> = serde_json::from_str(&items).unwrap();
            assert_eq!(items[0]["biz_opaque_callback_data"], "data");
            kinds.push(items[0]["status"].as_str().unwrap().to_owned());
        }
        assert_eq!(kinds, [&["sent"; 4][..], &["delivered"; 3], &["read"; 3]].concat());
        assert_eq!(sent.write(&mut String::new(), 9), 0);
    }
}
