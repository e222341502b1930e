//! Delivers webhooks as Meta does: signed, concurrent, again and again until 200. What concerns one contact leaves in
//! order, each webhook after the one before was accepted, unless a fault says otherwise.

pub(crate) mod body;
pub(crate) mod handshake;
pub(crate) mod post;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use body::Item;
use bytes::Bytes;
use post::Poster;
use serde_json::Value;
use tokio::sync::{Semaphore, oneshot};

use super::{
    clock,
    credentials::Credentials,
    events::Event,
    options::{Recording, SimulatorOptions},
    phone::DeliveryStatus,
    records::WebhookRecord,
    shared::Shared,
};

/// Accepted items that the re-batching fault can repeat.
const RECENT: usize = 32;
/// How long the reordering fault holds back webhooks that too few others follow.
const HOLD: Duration = Duration::from_millis(300);
/// Meta ends "typing…" by itself after this long.
pub(crate) const TYPING: Duration = Duration::from_secs(25);

/// Items that travel in one POST.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) items: Vec<Item>,
    /// Deliveries of the same lane keep their order.
    pub(crate) lane: String,
    /// Told when the router has accepted it.
    pub(crate) accepted: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
pub(crate) struct Webhooks {
    pub(crate) poster: Poster,
    urls: RwLock<Vec<Arc<str>>>,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// A lane is here as long as a task works on it.
    lanes: Mutex<HashMap<String, VecDeque<Delivery>>>,
    permits: Semaphore,
    held: Mutex<Vec<Delivery>>,
    recent: Mutex<VecDeque<Item>>,
}

impl Webhooks {
    pub(crate) fn new(options: &SimulatorOptions, credentials: Credentials) -> Result<Self, reqwest::Error> {
        Ok(Self {
            poster: Poster::new(credentials, options.webhook_timeout)?,
            urls: RwLock::new(options.router_webhook_url.as_deref().map(Arc::from).into_iter().collect()),
            turn: AtomicUsize::new(0),
            lanes: Mutex::default(),
            permits: Semaphore::new(options.webhook_concurrency.max(1)),
            held: Mutex::default(),
            recent: Mutex::default(),
        })
    }

    /// The router whose turn it is.
    pub(crate) fn url(&self) -> Option<Arc<str>> {
        let urls = self.urls.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        urls.get(turn % urls.len().max(1)).cloned()
    }

    pub(crate) fn set_urls(&self, urls: Vec<Arc<str>>) {
        *self.urls.write().unwrap_or_else(PoisonError::into_inner) = urls;
    }
}

/// Puts a delivery on its way.
pub(crate) fn submit(shared: &Arc<Shared>, delivery: Delivery) {
    let window = shared.faults.reorder_window();
    if window < 2 {
        return enqueue(shared, delivery);
    }
    let held = {
        let mut held = lock(&shared.webhooks.held);
        held.push(delivery);
        if held.len() < window {
            if held.len() == 1 {
                tokio::spawn(release_later(Arc::clone(shared)));
            }
            return;
        }
        std::mem::take(&mut *held)
    };
    release(shared, held);
}

async fn release_later(shared: Arc<Shared>) {
    if shared.sleep(HOLD).await {
        let held = std::mem::take(&mut *lock(&shared.webhooks.held));
        release(&shared, held);
    }
}

/// One lane for all of them, backwards: nothing arrives in the order in which it was said.
fn release(shared: &Arc<Shared>, held: Vec<Delivery>) {
    let lane = format!("reordered {}", shared.records.next_id());
    for mut delivery in held.into_iter().rev() {
        delivery.lane.clone_from(&lane);
        enqueue(shared, delivery);
    }
}

fn enqueue(shared: &Arc<Shared>, delivery: Delivery) {
    let mut lanes = lock(&shared.webhooks.lanes);
    if let Some(waiting) = lanes.get_mut(&delivery.lane) {
        waiting.push_back(delivery);
        return;
    }
    lanes.insert(delivery.lane.clone(), VecDeque::new());
    drop(lanes);
    tokio::spawn(work_lane(Arc::clone(shared), delivery));
}

async fn work_lane(shared: Arc<Shared>, first: Delivery) {
    let lane = first.lane.clone();
    let mut next = Some(first);
    while let Some(delivery) = next {
        deliver(&shared, delivery).await;
        let mut lanes = lock(&shared.webhooks.lanes);
        next = lanes.get_mut(&lane).and_then(VecDeque::pop_front);
        if next.is_none() {
            lanes.remove(&lane);
        }
    }
}

async fn deliver(shared: &Arc<Shared>, mut delivery: Delivery) {
    let fate = shared.faults.webhook_fate();
    if fate.rebatch {
        let recent = lock(&shared.webhooks.recent);
        let earlier: Vec<Item> = recent.iter().rev().take(3).cloned().collect();
        delivery.items.extend(earlier);
    }
    let options = &shared.options;
    let body = Bytes::from(body::render(&options.waba_id, &options.numbers, &delivery.items));
    if !fate.delay.is_zero() && !shared.sleep(fate.delay).await {
        return;
    }
    for item in &delivery.items {
        if let Item::Message(message) = item {
            shared.phone.advance(&message.id, DeliveryStatus::Sent, None);
        }
    }
    if fate.duplicate {
        let (shared, body) = (Arc::clone(shared), body.clone());
        tokio::spawn(async move { post_until_accepted(&shared, body).await });
    }
    if !post_until_accepted(shared, body).await {
        return;
    }
    if let Some(accepted) = delivery.accepted {
        // Nobody waits any more: the caller gave up, which is its right.
        let _ = accepted.send(());
    }
    note_accepted(shared, delivery.items);
}

/// Answers `false` when the simulator stopped first.
async fn post_until_accepted(shared: &Arc<Shared>, body: Bytes) -> bool {
    let recorded = shared.options.recording == Recording::Full;
    let id = shared.records.next_id();
    let parsed = if recorded { serde_json::from_slice(&body).unwrap_or_default() } else { Value::Null };
    let signature = shared.webhooks.poster.sign(&body);
    let at = clock::unix_millis();
    if recorded {
        shared.records.log_webhook(WebhookRecord {
            id,
            at,
            body: parsed.clone(),
            status: None,
            attempts: 0,
            accepted: false,
            duration_ms: 0,
        });
    }
    let mut wait = shared.options.retry.first;
    for attempt in 1.. {
        let Ok(permit) = shared.webhooks.permits.acquire().await else { return false };
        let begin = Instant::now();
        let status = match shared.webhooks.url() {
            Some(url) => {
                let post = shared.webhooks.poster.post(&url, body.clone(), Some(&signature));
                match shared.until_stopped(post).await {
                    Some(answer) => answer.ok().map(|answer| answer.status),
                    None => return false,
                }
            }
            None => None,
        };
        drop(permit);
        if recorded {
            let duration_ms = begin.elapsed().as_millis() as u64;
            shared.records.webhook_answered(id, attempt, status, duration_ms);
            shared.events.emit(&Event::Webhook { id, at, body: &parsed, status, attempt, duration_ms });
        }
        if status == Some(200) {
            return true;
        }
        if !shared.sleep(wait).await {
            return false;
        }
        wait = (wait * 2).min(shared.options.retry.max);
    }
    false
}

fn note_accepted(shared: &Arc<Shared>, items: Vec<Item>) {
    let statuses = items.iter().filter(|item| matches!(item, Item::Status(_))).count();
    shared.records.statuses_accepted(statuses);
    if shared.options.recording == Recording::Counters {
        return;
    }
    for item in &items {
        if let Item::Message(message) = item {
            shared.phone.advance(&message.id, DeliveryStatus::Delivered, None);
            if !shared.phone.is_answered(&message.wa_id, &message.id) {
                show_typing(shared, &message.wa_id);
            }
        }
    }
    let mut recent = lock(&shared.webhooks.recent);
    recent.extend(items);
    let surplus = recent.len().saturating_sub(RECENT);
    recent.drain(..surplus);
}

/// Shows "typing…" until the business answers, or for as long as Meta does.
pub(crate) fn show_typing(shared: &Arc<Shared>, wa_id: &str) {
    if let Some(turn) = shared.phone.start_typing(wa_id) {
        let (shared, wa_id) = (Arc::clone(shared), wa_id.to_owned());
        tokio::spawn(async move {
            if shared.sleep(TYPING).await {
                shared.phone.stop_typing(&wa_id, turn);
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
