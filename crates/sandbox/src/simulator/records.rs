//! What the simulator has seen and sent. Logs are rings; the messages it took are kept whole, so that tests can count them.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

const RING: usize = 2_000;

/// How the caller learned of a message that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// The answer with the id was sent.
    Sent,
    /// The connection was broken instead: the caller cannot know.
    Lost,
}

/// A message that the Graph side took, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphMessage {
    pub seq: u64,
    /// Unix milliseconds.
    pub at: u64,
    pub wamid: String,
    /// Digits, or a business-scoped user id.
    pub to: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
    pub callback_data: Option<String>,
    pub phone_number_id: String,
    pub answer: Answer,
    /// The body as it came.
    pub raw: Value,
}

/// One call of the Graph API, taken or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GraphCall {
    pub id: u64,
    pub at: u64,
    pub method: String,
    pub path: String,
    pub request: Value,
    /// `None` when the connection was broken on purpose.
    pub status: Option<u16>,
    pub response: Value,
    pub duration_ms: u64,
}

/// One webhook and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WebhookRecord {
    pub id: u64,
    /// Unix milliseconds of the first attempt.
    pub at: u64,
    pub body: Value,
    /// The last answer; `None` when nobody answered yet.
    pub status: Option<u16>,
    pub attempts: u32,
    pub accepted: bool,
    /// Of the last attempt.
    pub duration_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Records {
    messages: Mutex<Vec<GraphMessage>>,
    calls: Mutex<VecDeque<GraphCall>>,
    webhooks: Mutex<VecDeque<WebhookRecord>>,
    injected: Mutex<Vec<Bytes>>,
    next_id: AtomicU64,
    next_seq: AtomicU64,
    statuses_accepted: AtomicU64,
    /// How many messages there are, for whoever waits for them.
    taken: watch::Sender<usize>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Self {
            messages: Mutex::default(),
            calls: Mutex::default(),
            webhooks: Mutex::default(),
            injected: Mutex::default(),
            next_id: AtomicU64::new(1),
            next_seq: AtomicU64::new(1),
            statuses_accepted: AtomicU64::new(0),
            taken: watch::Sender::new(0),
        }
    }

    /// An id for a call or a webhook.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn statuses_accepted(&self, count: usize) {
        self.statuses_accepted.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn statuses_accepted_so_far(&self) -> u64 {
        self.statuses_accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self, mut message: GraphMessage) {
        let mut messages = lock(&self.messages);
        // Numbered under the lock, so that the list is in the order of the numbers.
        message.seq = self.next_seq.fetch_add(1, Ordering::Relaxed);
        messages.push(message);
        self.taken.send_replace(messages.len());
    }

    pub(crate) fn messages(&self) -> Vec<GraphMessage> {
        lock(&self.messages).clone()
    }

    pub(crate) fn messages_where(&self, wanted: impl Fn(&GraphMessage) -> bool) -> Vec<GraphMessage> {
        lock(&self.messages).iter().filter(|message| wanted(message)).cloned().collect()
    }

    pub(crate) fn watch_taken(&self) -> watch::Receiver<usize> {
        self.taken.subscribe()
    }

    pub(crate) fn forget_messages(&self) {
        let mut messages = lock(&self.messages);
        messages.clear();
        self.taken.send_replace(0);
    }

    pub(crate) fn log_call(&self, call: GraphCall) {
        push(&mut lock(&self.calls), call);
    }

    pub(crate) fn calls(&self) -> Vec<GraphCall> {
        lock(&self.calls).iter().cloned().collect()
    }

    pub(crate) fn log_webhook(&self, record: WebhookRecord) {
        push(&mut lock(&self.webhooks), record);
    }

    pub(crate) fn webhook_answered(&self, id: u64, attempt: u32, status: Option<u16>, duration_ms: u64) {
        let mut webhooks = lock(&self.webhooks);
        if let Some(record) = webhooks.iter_mut().rev().find(|record| record.id == id) {
            record.attempts = attempt;
            record.status = status;
            record.accepted |= status == Some(200);
            record.duration_ms = duration_ms;
        }
    }

    pub(crate) fn keep_injected(&self, body: Bytes) {
        lock(&self.injected).push(body);
    }

    pub(crate) fn injected(&self) -> Vec<Bytes> {
        lock(&self.injected).clone()
    }

    pub(crate) fn webhooks(&self) -> Vec<WebhookRecord> {
        lock(&self.webhooks).iter().cloned().collect()
    }
}

fn push<T>(ring: &mut VecDeque<T>, item: T) {
    if ring.len() == RING {
        ring.pop_front();
    }
    ring.push_back(item);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
