//! Tells the business what became of its messages: `sent`, `delivered` and `read`, each after a while, one by one or
//! gathered into batches as Meta gathers them under load.

mod queue;

use std::{sync::Arc, time::Duration};

use queue::DueQueue;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    clock,
    phone::DeliveryStatus,
    shared::Shared,
    webhooks::{
        self, Delivery,
        body::{Item, StatusItem, StatusKind},
    },
};

/// Batches are spread over this many lanes, so that one slow answer does not hold up all of them.
const BATCH_LANES: u64 = 4;

/// Which statuses are sent, and when after the message was taken. `None` leaves one out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusOptions {
    pub sent: Option<Duration>,
    pub delivered: Option<Duration>,
    /// When a person reads by herself; `None`: only when the chat is opened.
    pub read: Option<Duration>,
    /// Statuses that fall due within this time travel together; zero sends each alone.
    pub window: Duration,
    /// At most so many in one webhook; Meta's limit is 1000.
    pub max_items: usize,
}

impl Default for StatusOptions {
    fn default() -> Self {
        Self {
            sent: Some(Duration::from_millis(20)),
            delivered: Some(Duration::from_millis(80)),
            read: None,
            window: Duration::ZERO,
            max_items: 1000,
        }
    }
}

/// A status that will be due.
#[derive(Debug)]
pub(crate) struct Job {
    due: Instant,
    item: StatusItem,
    accepted: Option<oneshot::Sender<()>>,
}

/// A message that the business has sent.
#[derive(Debug, Clone)]
pub(crate) struct SentMessage {
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) recipient_id: String,
    pub(crate) recipient_user_id: Option<String>,
    pub(crate) callback_data: Option<String>,
}

impl SentMessage {
    fn job(&self, status: StatusKind, after: Duration) -> Job {
        let item = StatusItem {
            number: self.number,
            id: self.id.clone(),
            status,
            timestamp: 0,
            recipient_id: self.recipient_id.clone(),
            recipient_user_id: self.recipient_user_id.clone(),
            callback_data: self.callback_data.clone(),
            error: None,
        };
        Job { due: Instant::now() + after, item, accepted: None }
    }
}

/// Plans the whole life of a message.
pub(crate) fn plan(shared: &Shared, message: &SentMessage) {
    plan_first(shared, message);
    plan_rest(shared, message);
}

fn plan_first(shared: &Shared, message: &SentMessage) {
    if let Some(after) = shared.options.statuses.sent {
        shared.schedule(message.job(StatusKind::Sent, after));
    }
}

/// Everything after `sent`.
pub(crate) fn plan_rest(shared: &Shared, message: &SentMessage) {
    let options = &shared.options.statuses;
    for (after, kind) in [(options.delivered, StatusKind::Delivered), (options.read, StatusKind::Read)] {
        if let Some(after) = after {
            shared.schedule(message.job(kind, after));
        }
    }
}

/// Sends `sent` at once; the receiver is told when the router has accepted it.
pub(crate) fn send_first_now(shared: &Shared, message: &SentMessage) -> oneshot::Receiver<()> {
    let (accepted, told) = oneshot::channel();
    shared.schedule(Job { accepted: Some(accepted), ..message.job(StatusKind::Sent, Duration::ZERO) });
    told
}

/// The message will not arrive.
pub(crate) fn plan_failure(shared: &Shared, message: &SentMessage, code: i64, title: &'static str) {
    let after = shared.options.statuses.sent.unwrap_or_default();
    let mut job = message.job(StatusKind::Failed, after);
    job.item.error = Some((code, title));
    shared.schedule(job);
}

/// The person has just seen it.
pub(crate) fn send_read(shared: &Shared, message: &SentMessage) {
    shared.schedule(message.job(StatusKind::Read, Duration::ZERO));
}

/// Runs until the simulator stops.
pub(crate) async fn run(shared: Arc<Shared>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut queue = DueQueue::default();
    let mut stopped = shared.stopped();
    let mut batch = 0;
    let mut arrived = Vec::with_capacity(256);
    loop {
        let wake = queue.next_due().map(|due| round_up(due, shared.started, shared.options.statuses.window));
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            _ = jobs.recv_many(&mut arrived, 256) => arrived.drain(..).for_each(|job| queue.push(job)),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {
                let due: Vec<Job> = queue.take_due(Instant::now()).collect();
                send(&shared, due, &mut batch);
            }
        }
    }
}

/// The end of the window that `due` falls into.
fn round_up(due: Instant, start: Instant, window: Duration) -> Instant {
    if window.is_zero() {
        return due;
    }
    let windows = due.saturating_duration_since(start).as_nanos() / window.as_nanos() + 1;
    start + window * u32::try_from(windows).unwrap_or(u32::MAX)
}

fn send(shared: &Arc<Shared>, due: Vec<Job>, batch: &mut u64) {
    let omit_callback_data = shared.faults.omit_callback_data();
    let mut deliveries = Vec::new();
    let now = clock::unix_seconds();
    for mut job in due {
        advance_phone(shared, &job.item);
        if shared.faults.status_is_dropped() {
            continue;
        }
        job.item.timestamp = now;
        if omit_callback_data {
            job.item.callback_data = None;
        }
        deliveries.push(job);
    }
    let options = &shared.options.statuses;
    if options.window.is_zero() {
        for job in deliveries {
            let lane = job.item.recipient_id.clone();
            webhooks::submit(
                shared,
                Delivery { items: vec![Item::Status(job.item)], lane, accepted: job.accepted },
            );
        }
        return;
    }
    let mut items: Vec<Item> = deliveries.into_iter().map(|job| Item::Status(job.item)).collect();
    while !items.is_empty() {
        let rest = items.split_off(items.len().min(options.max_items.max(1)));
        *batch += 1;
        let lane = format!("statuses {}", *batch % BATCH_LANES);
        webhooks::submit(shared, Delivery { items, lane, accepted: None });
        items = rest;
    }
}

/// The person's phone shows it, whether or not the business is told.
fn advance_phone(shared: &Shared, item: &StatusItem) {
    let (status, error) = match item.status {
        StatusKind::Sent => (DeliveryStatus::Sent, None),
        StatusKind::Delivered => (DeliveryStatus::Delivered, None),
        StatusKind::Read => (DeliveryStatus::Read, None),
        StatusKind::Failed => (DeliveryStatus::Failed, item.error),
    };
    let error = error.map(|(code, title)| format!("{code}: {title}"));
    shared.phone.advance(&item.id, status, error.as_deref());
    if item.status == StatusKind::Delivered && shared.phone.is_open(&item.recipient_id) {
        let message = SentMessage {
            number: item.number,
            id: item.id.clone(),
            recipient_id: item.recipient_id.clone(),
            recipient_user_id: item.recipient_user_id.clone(),
            callback_data: item.callback_data.clone(),
        };
        send_read(shared, &message);
    }
}
