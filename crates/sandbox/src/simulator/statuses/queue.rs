//! Statuses by the time at which they are due; those due at the same time stay in order.

use std::{cmp::Ordering, collections::BinaryHeap};

use tokio::time::Instant;

use super::Job;

#[derive(Debug, Default)]
pub(super) struct DueQueue {
    heap: BinaryHeap<Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    seq: u64,
    job: Job,
}

impl DueQueue {
    pub(super) fn push(&mut self, job: Job) {
        self.heap.push(Entry { seq: self.next, job });
        self.next += 1;
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.job.due)
    }

    pub(super) fn take_due(&mut self, now: Instant) -> impl Iterator<Item = Job> {
        std::iter::from_fn(move || {
            if self.next_due()? > now {
                return None;
            }
            self.heap.pop().map(|entry| entry.job)
        })
    }
}

// The heap gives the greatest first: the earliest is the greatest.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.job.due, other.seq).cmp(&(self.job.due, self.seq))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
