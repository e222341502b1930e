//! People who write, each in a chat of their own, as Meta hands it over: every webhook again and again until 200, and, where a
//! case wants it, twice, in another order, or together with what was delivered before.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::recorder::{self, Recorder};
use crate::simulator::Simulator;

/// Webhooks kept for whoever wants to deliver them again.
const KEPT: usize = 5_000;

/// How people write and how their webhooks travel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) people: u32,
    /// Between two messages of a person, at most; half of it on average.
    pub(super) gap: Duration,
    /// Probability that a webhook is posted twice at once.
    pub(super) twice: f64,
    /// Probability that messages which were delivered before travel along.
    pub(super) together: f64,
    /// Up to so many messages of a person are posted at once, in any order.
    pub(super) at_once: u32,
    /// How long a router may take to answer.
    pub(super) patience: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            people: 16,
            gap: Duration::from_millis(80),
            twice: 0.0,
            together: 0.0,
            at_once: 1,
            patience: Duration::from_secs(3),
        }
    }
}

#[derive(Debug)]
struct Shared {
    simulator: Arc<Simulator>,
    recorder: Arc<Recorder>,
    manner: Manner,
    stop: AtomicBool,
    delivered: Mutex<Vec<Told>>,
    sent: AtomicU32,
}

/// A message as it was told.
#[derive(Debug, Clone)]
struct Told {
    contact: u32,
    number: u32,
    message: Value,
}

/// People who write until they are told to stop.
#[derive(Debug)]
pub(super) struct Traffic {
    shared: Arc<Shared>,
    people: JoinSet<()>,
}

impl Traffic {
    pub(super) fn start(
        simulator: Arc<Simulator>,
        recorder: Arc<Recorder>,
        manner: Manner,
        seed: u64,
    ) -> Self {
        let shared = Arc::new(Shared {
            simulator,
            recorder,
            manner,
            stop: AtomicBool::new(false),
            delivered: Mutex::default(),
            sent: AtomicU32::new(0),
        });
        let mut people = JoinSet::new();
        for contact in 0..manner.people {
            let rng = StdRng::seed_from_u64(seed.wrapping_add(u64::from(contact)));
            people.spawn(person(Arc::clone(&shared), contact, rng));
        }
        Self { shared, people }
    }

    /// How many messages were begun so far.
    pub(super) fn sent(&self) -> u32 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Nobody begins a message any more; answers when all that was begun is accepted, or `patience` is over.
    pub(super) async fn stop(&mut self, patience: Duration) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let all = async { while self.people.join_next().await.is_some() {} };
        // What was not accepted by then is a violation that the account names.
        let _ = tokio::time::timeout(patience, all).await;
        self.people.abort_all();
    }

    /// Delivers what was delivered before again, in other batches; answers how many messages that were.
    pub(super) async fn redeliver(&self, seed: u64) -> usize {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut told = self.shared.delivered();
        for at in (1..told.len()).rev() {
            told.swap(at, rng.random_range(0..=at));
        }
        for batch in told.chunks(7) {
            post_until_accepted(&self.shared, batch).await;
        }
        told.len()
    }
}

impl Shared {
    fn delivered(&self) -> Vec<Told> {
        self.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, told: &[Told]) {
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        if delivered.len() < KEPT {
            delivered.extend_from_slice(told);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

async fn person(shared: Arc<Shared>, contact: u32, mut rng: StdRng) {
    let mut number = 0;
    let manner = shared.manner;
    while !shared.stopped() {
        let count = rng.random_range(1..=manner.at_once.max(1));
        let mut told: Vec<Told> = (number..number + count).map(|number| tell(contact, number)).collect();
        number += count;
        shared.sent.fetch_add(count, Ordering::Relaxed);
        for at in (1..told.len()).rev() {
            told.swap(at, rng.random_range(0..=at));
        }
        for one in &told {
            shared.recorder.says(one.contact, one.number);
        }
        let mut posts = Vec::new();
        for one in &told {
            let mut batch = vec![one.clone()];
            if rng.random_bool(manner.together) {
                batch.extend(some_of(&shared.delivered(), &mut rng));
            }
            let copies = if rng.random_bool(manner.twice) { 2 } else { 1 };
            posts.extend(std::iter::repeat_n(batch, copies));
        }
        futures_util::future::join_all(posts.iter().map(|batch| post_until_accepted(&shared, batch))).await;
        shared.remember(&told);
        let gap = manner.gap.as_millis() as u64;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..=gap))).await;
    }
}

fn some_of(delivered: &[Told], rng: &mut StdRng) -> Vec<Told> {
    if delivered.is_empty() {
        return Vec::new();
    }
    (0..3).map(|_| delivered[rng.random_range(0..delivered.len())].clone()).collect()
}

fn tell(contact: u32, number: u32) -> Told {
    let from = recorder::wa_id(contact);
    let message = json!({
        "from": from, "id": crate::simulator::fresh_person_wamid(&from),
        "timestamp": (recorder::unix_millis() / 1_000).to_string(),
        "type": "text", "text": {"body": recorder::text(contact, number)},
    });
    Told { contact, number, message }
}

/// As Meta does it; each try may reach another router.
async fn post_until_accepted(shared: &Shared, told: &[Told]) {
    let body = body(&shared.simulator, told);
    let mut wait = Duration::from_millis(20);
    loop {
        match shared.simulator.post_webhook(body.clone(), shared.manner.patience).await {
            Ok(answer) if answer.status == 200 => break,
            Ok(_) => shared.recorder.refused(),
            Err(_) => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(300));
    }
    for one in told {
        shared.recorder.accepted(one.contact, one.number);
    }
}

fn body(simulator: &Simulator, told: &[Told]) -> Bytes {
    let number = &simulator.options().numbers[0];
    let messages: Vec<&Value> = told.iter().map(|one| &one.message).collect();
    let value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": number.phone_number_id},
        "messages": messages,
    });
    let changes = [json!({"field": "messages", "value": value})];
    let waba = &simulator.options().waba_id;
    json!({"object": "whatsapp_business_account", "entry": [{"id": waba, "changes": changes}]})
        .to_string()
        .into()
}
