//! The state of the queues and the account, looked up now and then rather than counted: a restart changes nothing of
//! them. Routers on one database all show the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus::{GaugeVec, IntGaugeVec};
use service::metrics::Metrics;

use crate::store::{ChannelLedger, Micros, QueueView, QueuesView, Store, StoreError, now};

/// Between two looks, at least.
const INTERVAL: Duration = Duration::from_secs(5);

/// A look at a long queue takes time in the database: it has this many times as long a rest then.
const REST: u32 = 20;

/// Nothing waits.
const NONE: Micros = -1;

/// Handles to it all. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueueMetrics {
    depth: IntGaugeVec,
    items: IntGaugeVec,
    oldest: GaugeVec,
    ledger: IntGaugeVec,
    gap: IntGaugeVec,
    age: GaugeVec,
}

impl QueueMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            depth: metrics.gauge_vec(
                "queue_depth",
                "Items waiting or being worked on, by queue (inbox, outbox); for dead_letter, those kept",
                &["queue"],
            ),
            items: metrics.gauge_vec(
                "queue_items",
                "Unfinished items by what they wait for: ready (for a worker), in_progress, delayed (for a retry or a limit)",
                &["queue", "state"],
            ),
            oldest: metrics.float_gauge_vec(
                "queue_oldest_age_seconds",
                "Age of the oldest unfinished item; 0 when there is none",
                &["queue"],
            ),
            ledger: metrics.gauge_vec(
                "ledger_messages",
                "The account by channel and term: accepted = answered + not_to_be_answered + inbox_in_flight + inbox_dead, and queued = sent + outbox_in_flight + outbox_dead + discarded",
                &["channel", "term"],
            ),
            gap: metrics.gauge_vec(
                "ledger_gap",
                "What the account lacks, by channel and queue: anything but 0 that lasts is a lost message",
                &["channel", "queue"],
            ),
            age: metrics.float_gauge_vec(
                "queue_look_age_seconds",
                "Time since the store was last asked for the state of the queues and the account",
                &[],
            ),
        }
    }

    /// Looks the depth up before every scrape, and the rest every few seconds in a task that ends with the store.
    pub fn watch(&self, metrics: &Metrics, store: Arc<dyn Store>) {
        let [inbox, outbox, dead] =
            ["inbox", "outbox", "dead_letter"].map(|queue| self.depth.with_label_values(&[queue]));
        let oldest = ["inbox", "outbox"].map(|queue| self.oldest.with_label_values(&[queue]));
        let oldest_at = Arc::new([AtomicI64::new(NONE), AtomicI64::new(NONE)]);
        let looked_at = Arc::new(AtomicI64::new(now()));
        let age = self.age.with_label_values::<&str>(&[]);
        let (seen, seen_at, watched) = (oldest_at.clone(), looked_at.clone(), store.clone());
        metrics.before_scrape(move || {
            let depth = watched.depth();
            inbox.set(depth.inbox);
            outbox.set(depth.outbox);
            dead.set(depth.dead_letters);
            let now = now();
            for (gauge, at) in oldest.iter().zip(&*seen) {
                gauge.set(age_of(at.load(Ordering::Relaxed), now));
            }
            age.set(age_of(seen_at.load(Ordering::Relaxed), now));
        });
        let shown = self.clone();
        tokio::spawn(async move {
            loop {
                let started = Instant::now();
                match shown.look(&*store, &oldest_at).await {
                    Ok(()) => looked_at.store(now(), Ordering::Relaxed),
                    Err(StoreError::Closed) => return,
                    Err(error) => {
                        tracing::debug!(%error, "the queues can't be looked at for the metrics now");
                    }
                }
                tokio::time::sleep(INTERVAL.max(started.elapsed() * REST)).await;
            }
        });
    }

    async fn look(&self, store: &dyn Store, oldest_at: &[AtomicI64; 2]) -> Result<(), StoreError> {
        let QueuesView { inbox, outbox, .. } = store.queues().await?;
        for ((queue, view), at) in [("inbox", inbox), ("outbox", outbox)].into_iter().zip(oldest_at) {
            self.show_queue(queue, view);
            at.store(view.oldest_at.unwrap_or(NONE), Ordering::Relaxed);
        }
        for account in store.ledger().await? {
            self.show_account(&account);
        }
        Ok(())
    }

    fn show_queue(&self, queue: &str, view: QueueView) {
        let QueueView { ready, in_progress, delayed, .. } = view;
        for (state, items) in [("ready", ready), ("in_progress", in_progress), ("delayed", delayed)] {
            self.items.with_label_values(&[queue, state]).set(items);
        }
    }

    fn show_account(&self, account: &ChannelLedger) {
        let channel = &*account.channel;
        for (term, count) in [
            ("accepted", account.accepted),
            ("answered", account.answered),
            ("not_to_be_answered", account.not_to_be_answered),
            ("inbox_in_flight", account.inbox_in_flight),
            ("inbox_dead", account.inbox_dead),
            ("queued", account.queued),
            ("sent", account.sent),
            ("outbox_in_flight", account.outbox_in_flight),
            ("outbox_dead", account.outbox_dead),
            ("discarded", account.discarded),
        ] {
            self.ledger.with_label_values(&[channel, term]).set(count);
        }
        for (queue, gap) in [("inbox", account.inbox_gap()), ("outbox", account.outbox_gap())] {
            self.gap.with_label_values(&[channel, queue]).set(gap);
        }
    }
}

fn age_of(at: Micros, now: Micros) -> f64 {
    if at == NONE { 0.0 } else { (now - at).max(0) as f64 / 1e6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_age_and_clocks_that_differ_make_none() {
        assert_eq!(age_of(NONE, 7_000_000), 0.0);
        assert_eq!(age_of(5_000_000, 7_500_000), 2.5);
        assert_eq!(age_of(7_000_001, 7_000_000), 0.0);
    }

    #[test]
    fn an_account_that_does_not_add_up_shows_what_it_lacks() {
        let metrics = Metrics::new("whatsapp_router", "1", "r");
        let queues = QueueMetrics::new(&metrics);
        let account = ChannelLedger {
            accepted: 5,
            answered: 3,
            sent: 3,
            queued: 3,
            ..ChannelLedger::empty("a".into())
        };
        queues.show_account(&account);
        let text = metrics.encode();
        assert!(text.contains("whatsapp_router_ledger_gap{channel=\"a\",queue=\"inbox\"} 2\n"), "{text}");
        assert!(text.contains("whatsapp_router_ledger_gap{channel=\"a\",queue=\"outbox\"} 0\n"), "{text}");
        assert!(
            text.contains("whatsapp_router_ledger_messages{channel=\"a\",term=\"accepted\"} 5\n"),
            "{text}"
        );
    }
}
