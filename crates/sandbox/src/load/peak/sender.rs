//! Sends webhooks of several items and notes how long each took to be acknowledged, from the time when it was due.

use std::{
    fmt::Write as _,
    io::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{StatusSchedule, sent::Sent};
use crate::{
    load::{
        client::Reconnecting,
        generator::Target,
        plan::{self, Plan},
        tally::Tally,
    },
    simulator::fresh_person_wamid,
};

/// Meta does not give up; a run has to end.
const GRACE: Duration = Duration::from_secs(20);
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What one kind of webhooks came to.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// Nanoseconds from when it was due to the 200.
    pub(super) acknowledged: Vec<u64>,
    pub(super) items: u64,
    /// Due, but with nothing to say: no message had a status left.
    pub(super) empty: u64,
    pub(super) refused: u64,
    pub(super) broken: u64,
    pub(super) given_up: u64,
}

impl Samples {
    pub(super) fn add(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.items += other.items;
        self.empty += other.empty;
        self.refused += other.refused;
        self.broken += other.broken;
        self.given_up += other.given_up;
    }
}

struct Line {
    target: Arc<Target>,
    connection: Reconnecting,
    request: Vec<u8>,
    body: String,
    samples: Samples,
}

impl Line {
    fn new(target: Arc<Target>) -> Self {
        Self {
            connection: Reconnecting::to(target.address),
            target,
            request: Vec::new(),
            body: String::new(),
            samples: Samples::default(),
        }
    }

    fn begin_body(&mut self) {
        let target = &self.target;
        self.body.clear();
        let _ = write!(
            self.body,
            concat!(
                r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{}","changes":[{{"field":"messages","value":{{"#,
                r#""messaging_product":"whatsapp","metadata":{{"display_phone_number":"{}","phone_number_id":"{}"}},"#,
            ),
            target.waba_id, target.display_phone_number, target.phone_number_id,
        );
    }

    /// `false` when it was not taken until long after it was due.
    async fn send(&mut self, due: Instant, items: u64) -> bool {
        self.body.push_str("}}]}]}");
        let signature = whatsapp::signature::sign(&self.target.secret, self.body.as_bytes());
        self.request.clear();
        let _ = write!(
            self.request,
            "POST /webhook HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nx-hub-signature-256: {signature}\r\n\
             content-length: {}\r\n\r\n{}",
            self.target.address,
            self.body.len(),
            self.body,
        );
        let mut wait = FIRST_WAIT;
        loop {
            match self.connection.exchange(&self.request).await {
                Ok(200) => {
                    self.samples.acknowledged.push(due.elapsed().as_nanos() as u64);
                    self.samples.items += items;
                    return true;
                }
                Ok(_) => self.samples.refused += 1,
                Err(_) => self.samples.broken += 1,
            }
            if due.elapsed() > GRACE {
                self.samples.given_up += 1;
                return false;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// Messages of a share of the contacts, in their order.
pub(super) struct MessageSender {
    line: Line,
    tally: Arc<Tally>,
    plan: Plan,
    share: u64,
    per_webhook: u64,
}

impl MessageSender {
    pub(super) fn new(
        target: Arc<Target>,
        tally: Arc<Tally>,
        plan: Plan,
        share: u64,
        per_webhook: u64,
    ) -> Self {
        Self { line: Line::new(target), tally, plan, share, per_webhook }
    }

    pub(super) async fn work(mut self, begin: Instant, duration: Duration) -> Samples {
        for webhook in 0.. {
            let turns = webhook * self.per_webhook..(webhook + 1) * self.per_webhook;
            let due = self.plan.due(self.plan.index(self.share, turns.end - 1));
            if due >= duration || self.plan.index(self.share, turns.end - 1) >= self.tally.capacity() {
                break;
            }
            tokio::time::sleep_until((begin + due).into()).await;
            let indices: Vec<u64> = turns.map(|turn| self.plan.index(self.share, turn)).collect();
            self.write(&indices);
            let due = begin + due;
            indices.iter().for_each(|index| self.tally.sends(*index, due));
            if !self.line.send(due, self.per_webhook).await {
                break;
            }
            indices.iter().for_each(|index| self.tally.accepted(*index, due));
        }
        self.line.samples
    }

    fn write(&mut self, indices: &[u64]) {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let at = at.unwrap_or_default().as_secs();
        self.line.begin_body();
        let body = &mut self.line.body;
        body.push_str(r#""contacts":["#);
        for (place, index) in indices.iter().enumerate() {
            let contact = self.plan.numbered(*index).contact;
            let comma = if place == 0 { "" } else { "," };
            let wa_id = plan::wa_id(contact);
            let _ = write!(
                body,
                r#"{comma}{{"profile":{{"name":"Load {contact}"}},"wa_id":"{wa_id}","user_id":"US.{contact:020}"}}"#
            );
        }
        body.push_str(r#"],"messages":["#);
        for (place, index) in indices.iter().enumerate() {
            let message = self.plan.numbered(*index);
            let comma = if place == 0 { "" } else { "," };
            let wa_id = plan::wa_id(message.contact);
            let id = fresh_person_wamid(&wa_id);
            let _ = write!(
                body,
                r#"{comma}{{"from":"{wa_id}","id":"{id}","timestamp":"{at}","text":{{"body":"{message}"}},"type":"text"}}"#
            );
        }
        body.push(']');
    }
}

/// Statuses of whatever has some left.
pub(super) struct StatusSender {
    line: Line,
    sent: Arc<Sent>,
    per_webhook: usize,
}

impl StatusSender {
    pub(super) fn new(target: Arc<Target>, sent: Arc<Sent>, per_webhook: usize) -> Self {
        Self { line: Line::new(target), sent, per_webhook }
    }

    pub(super) async fn work(mut self, schedule: &StatusSchedule) -> Samples {
        while let Some(due) = schedule.next().await {
            self.line.begin_body();
            self.line.body.push_str(r#""statuses":["#);
            let items = self.sent.write(&mut self.line.body, self.per_webhook);
            self.line.body.push(']');
            if items == 0 {
                self.line.samples.empty += 1;
            } else if !self.line.send(due, items as u64).await {
                break;
            }
        }
        self.line.samples
    }
}
