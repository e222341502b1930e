//! Sends the webhooks: one task and one connection for each share of the contacts.

use std::{
    io::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    client::Reconnecting,
    plan::{self, Plan},
    tally::Tally,
};
use crate::simulator::{SimulatorOptions, fresh_person_wamid};

/// The pacemaker sleeps at least this long, and then releases everything that is due.
const FINEST: Duration = Duration::from_micros(250);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How long a message is offered to a router that does not take it, after the end of the run.
const GRACE: Duration = Duration::from_secs(20);

/// What every connection needs to know.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) secret: SecretString,
    pub(crate) waba_id: String,
    pub(crate) phone_number_id: String,
    pub(crate) display_phone_number: String,
}

impl Target {
    pub(crate) fn new(address: SocketAddr, options: &SimulatorOptions) -> Self {
        let number = options.numbers.first();
        Self {
            address,
            secret: options.app_secret.clone(),
            waba_id: options.waba_id.clone(),
            phone_number_id: number.map(|number| number.phone_number_id.clone()).unwrap_or_default(),
            display_phone_number: number
                .map(|number| number.display_phone_number.clone())
                .unwrap_or_default(),
        }
    }
}

/// Sends until the time is over and every message that was begun is accepted or given up.
pub(crate) async fn run(target: Target, plan: Plan, tally: &Arc<Tally>, duration: Duration, open_loop: bool) {
    let begin = Instant::now();
    let target = Arc::new(target);
    // Permits are messages that are due.
    let due: Option<Arc<[Semaphore]>> =
        (plan.rate > 0).then(|| (0..plan.connections).map(|_| Semaphore::new(0)).collect());
    let over = Arc::new(AtomicBool::new(false));
    let pacemaker = due.clone().map(|due| {
        let over = Arc::clone(&over);
        thread::spawn(move || release(plan, &due, begin, duration, &over))
    });
    let mut senders = JoinSet::new();
    for connection in 0..plan.connections {
        let sender = Sender {
            target: Arc::clone(&target),
            tally: Arc::clone(tally),
            connection: Reconnecting::to(target.address),
            request: Vec::with_capacity(2048),
            body: Vec::with_capacity(1024),
            give_up: begin + duration + GRACE,
        };
        senders.spawn(sender.work(plan, connection, due.clone(), begin, duration, open_loop));
    }
    while senders.join_next().await.is_some() {}
    over.store(true, Ordering::Relaxed);
    if let Some(pacemaker) = pacemaker {
        // It ends by itself after the duration; its panics would have been printed.
        let _ = pacemaker.join();
    }
}

/// Timers of the runtime are a millisecond coarse, which would be most of the latency that is measured.
fn release(plan: Plan, due: &[Semaphore], begin: Instant, duration: Duration, over: &AtomicBool) {
    let mut index = 0;
    loop {
        let now = begin.elapsed();
        while plan.due(index) <= now.min(duration) {
            if plan.due(index) >= duration {
                break;
            }
            due[(index % plan.connections) as usize].add_permits(1);
            index += 1;
        }
        if now >= duration || over.load(Ordering::Relaxed) {
            due.iter().for_each(Semaphore::close);
            return;
        }
        thread::sleep(plan.due(index).saturating_sub(begin.elapsed()).max(FINEST));
    }
}

struct Sender {
    target: Arc<Target>,
    tally: Arc<Tally>,
    connection: Reconnecting,
    request: Vec<u8>,
    body: Vec<u8>,
    give_up: Instant,
}

impl Sender {
    async fn work(
        mut self,
        plan: Plan,
        share: u64,
        due: Option<Arc<[Semaphore]>>,
        begin: Instant,
        duration: Duration,
        open_loop: bool,
    ) {
        for turn in 0.. {
            let index = plan.index(share, turn);
            if index >= self.tally.capacity() || begin.elapsed() >= duration && !open_loop {
                return;
            }
            if let Some(due) = &due {
                // Closed by the pacemaker when nothing more will be due; permits given before still count.
                match due[share as usize].acquire().await {
                    Ok(permit) => permit.forget(),
                    Err(_) => return,
                }
            }
            // In an open loop a message that leaves late has been waiting since it was due.
            let from = if open_loop { begin + plan.due(index) } else { Instant::now() };
            self.tally.sends(index, from);
            self.write_request(plan, index);
            if self.offer().await {
                self.tally.accepted(index, from);
            } else {
                return;
            }
        }
    }

    /// Offers the request until it is taken; `false` when the time is over first.
    async fn offer(&mut self) -> bool {
        let mut wait = FIRST_WAIT;
        loop {
            match self.connection.exchange(&self.request).await {
                Ok(200) => return true,
                Ok(_) => self.tally.refused(),
                Err(_) => self.tally.broken(),
            }
            if Instant::now() + wait > self.give_up {
                return false;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn write_request(&mut self, plan: Plan, index: u64) {
        let message = plan.numbered(index);
        let (target, wa_id) = (&self.target, plan::wa_id(message.contact));
        let contact = message.contact;
        let id = fresh_person_wamid(&wa_id);
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.body.clear();
        self.request.clear();
        // Writing to a vector cannot fail.
        let _ = write!(
            self.body,
            concat!(
                r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{}","changes":[{{"value":{{"#,
                r#""messaging_product":"whatsapp","metadata":{{"display_phone_number":"{}","phone_number_id":"{}"}},"#,
                r#""contacts":[{{"profile":{{"name":"Load {}"}},"wa_id":"{}","user_id":"US.{:020}"}}],"#,
                r#""messages":[{{"from":"{}","id":"{}","timestamp":"{}","text":{{"body":"{}"}},"type":"text"}}]"#,
                r#"}},"field":"messages"}}]}}]}}"#
            ),
            target.waba_id,
            target.display_phone_number,
            target.phone_number_id,
            contact,
            wa_id,
            contact,
            wa_id,
            id,
            now,
            message,
        );
        let signature = whatsapp::signature::sign(&target.secret, &self.body);
        let _ = write!(
            self.request,
            "POST /webhook HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nx-hub-signature-256: {signature}\r\n\
             content-length: {}\r\n\r\n",
            target.address,
            self.body.len(),
        );
        self.request.extend_from_slice(&self.body);
    }
}
