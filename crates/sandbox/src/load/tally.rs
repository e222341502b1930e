//! The account of a run: when each message was sent and answered, and whatever is not as it should be. Updated on the hot
//! path by several threads, hence the atomics and the fixed places.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use super::{
    percentiles::Percentiles,
    plan::{self, Plan},
};
use crate::simulator::Observer;

pub(crate) struct Tally {
    plan: Plan,
    begin: Instant,
    /// Nanoseconds after `begin`, plus one; 0: not yet.
    sent: Vec<AtomicU64>,
    arrived: Vec<AtomicU64>,
    /// Nanoseconds from send to acknowledgement.
    acknowledged: Vec<AtomicU64>,
    /// The number after the highest that arrived, per contact.
    next: Vec<AtomicU64>,
    accepted_count: AtomicU64,
    arrived_count: AtomicU64,
    duplicated: AtomicU64,
    reordered: AtomicU64,
    misdirected: AtomicU64,
    unknown: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    last_arrival: AtomicU64,
}

/// The counts at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Result {
    pub(crate) sent: u64,
    pub(crate) accepted: u64,
    pub(crate) answered: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) misdirected: u64,
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    pub(crate) broken: u64,
    /// From the first send to the last arrival.
    pub(crate) seconds: f64,
    pub(crate) ack: Percentiles,
    pub(crate) end_to_end: Percentiles,
}

impl Tally {
    pub(crate) fn new(plan: Plan, capacity: usize) -> Self {
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            plan,
            begin: Instant::now(),
            sent: zeros(capacity),
            arrived: zeros(capacity),
            acknowledged: zeros(capacity),
            next: zeros(plan.contacts as usize),
            accepted_count: AtomicU64::new(0),
            arrived_count: AtomicU64::new(0),
            duplicated: AtomicU64::new(0),
            reordered: AtomicU64::new(0),
            misdirected: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            last_arrival: AtomicU64::new(0),
        }
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.sent.len() as u64
    }

    pub(crate) fn sends(&self, index: u64, at: Instant) {
        self.sent[index as usize].store(self.offset(at), Relaxed);
    }

    /// The router took it; `from` is the time that the latency counts from.
    pub(crate) fn accepted(&self, index: u64, from: Instant) {
        self.acknowledged[index as usize].store(from.elapsed().as_nanos() as u64 + 1, Relaxed);
        self.accepted_count.fetch_add(1, Relaxed);
    }

    /// The router answered something else than 200.
    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The connection broke.
    pub(crate) fn broken(&self) {
        self.broken.fetch_add(1, Relaxed);
    }

    pub(crate) fn accepted_count(&self) -> u64 {
        self.accepted_count.load(Relaxed)
    }

    pub(crate) fn arrived_count(&self) -> u64 {
        self.arrived_count.load(Relaxed)
    }

    fn offset(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.begin).as_nanos() as u64 + 1
    }

    fn arrives(&self, to: &str, text: &str) {
        let now = self.offset(Instant::now());
        let Some(message) = plan::read_text(text) else {
            self.unknown.fetch_add(1, Relaxed);
            return;
        };
        let place = self.plan.index_of(message).filter(|index| *index < self.capacity());
        let Some(index) = place else {
            self.unknown.fetch_add(1, Relaxed);
            return;
        };
        if plan::wa_id(message.contact) != to {
            self.misdirected.fetch_add(1, Relaxed);
        }
        if self.arrived[index as usize].compare_exchange(0, now, Relaxed, Relaxed).is_err() {
            self.duplicated.fetch_add(1, Relaxed);
            return;
        }
        let before = self.next[message.contact as usize].fetch_max(message.number + 1, Relaxed);
        if before > message.number {
            self.reordered.fetch_add(1, Relaxed);
        }
        self.last_arrival.fetch_max(now, Relaxed);
        self.arrived_count.fetch_add(1, Relaxed);
    }

    pub(crate) fn result(&self) -> Result {
        let load = |counter: &AtomicU64| counter.load(Relaxed);
        let (mut ack, mut end_to_end) = (Vec::new(), Vec::new());
        let (mut sent, mut lost, mut first) = (0, 0, u64::MAX);
        for ((sent_at, arrived_at), acknowledged) in
            self.sent.iter().zip(&self.arrived).zip(&self.acknowledged)
        {
            let (sent_at, arrived_at, acknowledged) = (load(sent_at), load(arrived_at), load(acknowledged));
            if sent_at == 0 {
                continue;
            }
            sent += 1;
            first = first.min(sent_at);
            if acknowledged > 0 {
                ack.push(acknowledged - 1);
                lost += u64::from(arrived_at == 0);
            }
            if arrived_at > 0 {
                end_to_end.push(arrived_at.saturating_sub(sent_at));
            }
        }
        Result {
            sent,
            accepted: self.accepted_count(),
            answered: self.arrived_count(),
            lost,
            duplicated: load(&self.duplicated),
            reordered: load(&self.reordered),
            misdirected: load(&self.misdirected),
            unknown: load(&self.unknown),
            refused: load(&self.refused),
            broken: load(&self.broken),
            seconds: load(&self.last_arrival).saturating_sub(first) as f64 / 1e9,
            ack: Percentiles::of(ack),
            end_to_end: Percentiles::of(end_to_end),
        }
    }
}

impl Observer for Tally {
    fn taken(&self, to: &str, text: &str) {
        self.arrives(to, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Numbered;

    fn tally() -> Tally {
        let tally = Tally::new(Plan::new(2, 1, 0), 8);
        for index in 0..8 {
            let now = Instant::now();
            tally.sends(index, now);
            tally.accepted(index, now);
        }
        tally
    }

    fn echo(tally: &Tally, contact: u64, number: u64) {
        tally.taken(&plan::wa_id(contact), &Numbered { contact, number }.to_string());
    }

    #[test]
    fn everything_in_order_is_nothing_to_complain_about() {
        let tally = tally();
        for number in 0..4 {
            echo(&tally, 0, number);
            echo(&tally, 1, number);
        }
        let result = tally.result();
        assert_eq!((result.sent, result.accepted, result.answered), (8, 8, 8));
        assert_eq!((result.lost, result.duplicated, result.reordered), (0, 0, 0));
        assert_eq!((result.ack.count, result.end_to_end.count), (8, 8));
    }

    #[test]
    fn what_is_wrong_is_counted() {
        let tally = tally();
        echo(&tally, 0, 1);
        echo(&tally, 0, 0);
        echo(&tally, 0, 1);
        echo(&tally, 0, 99);
        tally.taken("15550000001", "load 0 2");
        tally.taken("15550000001", "hello");
        let result = tally.result();
        assert_eq!((result.reordered, result.duplicated, result.lost), (1, 1, 5));
        assert_eq!((result.misdirected, result.unknown), (1, 2));
    }

    #[test]
    fn a_message_that_was_never_accepted_is_not_lost() {
        let tally = Tally::new(Plan::new(1, 1, 0), 2);
        tally.sends(0, Instant::now());
        tally.refused();
        assert_eq!((tally.result().lost, tally.result().refused), (0, 1));
    }
}
