//! Restarts, leases that expire, the sweep; and the comparison of everything that can be seen.

use std::{fmt::Write as _, sync::Arc};

use super::{
    super::{conformance, *},
    operations::{FAR, Held, Run, chat_of, queue_of},
    shadow::Hold,
};

impl Run {
    pub(super) async fn sweep(&mut self, log: &mut String) {
        let limit = 1 + self.dice.below(20);
        let _ = write!(log, "sweep {limit}");
        let old = Some(now() + FAR);
        let cutoffs = Cutoffs { messages: old, webhooks: old, events: old, ..Cutoffs::default() };
        self.store().sweep(cutoffs, limit).await.unwrap();
        let working: Vec<_> =
            self.shadow.lanes.values().flat_map(|lane| lane.items.values().map(|work| work.id)).collect();
        for (id, message) in &mut self.shadow.messages {
            message.swept |= !message.dead && !working.contains(id);
        }
    }

    /// The process ends without a word and another one goes on.
    pub(super) async fn restart<F>(&mut self, make_store: &F, log: &mut String)
    where
        F: AsyncFn() -> Arc<dyn Store>,
    {
        let _ = write!(log, "restart");
        self.store = None;
        self.store = Some(make_store().await);
        if self.store().lease_time().is_some() {
            return self.expire(log).await;
        }
        for held in self.all_held() {
            let due_at = if held.queue == Queue::Inbox { 0 } else { now() + FAR };
            self.shadow.in_doubt(held.queue, held.chat, due_at);
        }
        self.shadow.rest_in_doubt(now() + FAR);
    }

    pub(super) fn all_held(&self) -> Vec<Held> {
        let held = self.shadow.lanes.iter().filter_map(|((queue, chat), lane)| match lane.hold {
            Hold::Leased(lease, order) => Some(Held { queue: queue_of(*queue), chat: *chat, lease, order }),
            Hold::Due(_) => None,
        });
        held.collect()
    }

    /// All leases of the process that is gone come to their end: what was held can be claimed, in doubt.
    async fn expire(&mut self, log: &mut String) {
        let _ = write!(log, ", leases expire");
        for queue in [Queue::Inbox, Queue::Outbox] {
            // Lanes of the outbox rest first: the second look is long after that.
            for held in self.all_held().into_iter().filter(|held| held.queue == queue) {
                self.shadow.in_doubt(held.queue, held.chat, 0);
            }
            let at = now() + 6 * FAR;
            // The first look takes nothing: what it took would have expired by the second.
            for (limit, at) in [(0, at), (100, at + 6 * FAR)] {
                let claims = self.store().claim_as_of(queue, limit, Some(at)).await.unwrap().claims;
                self.take(queue, &claims, None);
            }
            assert!(self.shadow.due(queue, Micros::MAX).is_empty(), "all of them were claimed");
        }
    }

    /// What can be seen of the whole from outside.
    pub(super) async fn compare(&self) {
        conformance::depth_is(self.store(), |depth| *depth == self.shadow.depth()).await;
        let ledger = self.store().ledger().await.unwrap();
        assert_eq!(ledger, self.shadow.ledger());
        assert!(ledger.iter().all(|account| (account.inbox_gap(), account.outbox_gap()) == (0, 0)));
        let request = PageRequest { before: None, limit: 1_000 };
        let dead = self.store().dead_letters(DeadLetterFilter::default(), request).await.unwrap();
        let newest_first: Vec<_> = self.shadow.dead().into_iter().rev().collect();
        assert_eq!(dead.items.iter().map(|dead| dead.id).collect::<Vec<_>>(), newest_first);
    }

    /// And each message.
    pub(super) async fn compare_messages(&self) {
        let request = PageRequest { before: None, limit: 1_000 };
        let messages = self.store().messages(MessageFilter::default(), request).await.unwrap().items;
        let mut found = 0;
        for message in messages {
            let shadow = &self.shadow.messages[&message.id];
            assert_eq!(message.state, shadow.state, "of {}", message.id);
            found += usize::from(!shadow.swept);
        }
        assert_eq!(found, self.shadow.messages.values().filter(|message| !message.swept).count());
    }

    /// At the end all work can be done, in order, and nothing is left.
    pub(super) async fn work_through_everything(&mut self) {
        for queue in [Queue::Inbox, Queue::Outbox] {
            let held: Vec<_> = self.all_held().into_iter().filter(|held| held.queue == queue).collect();
            for held in held {
                self.store().release(held.lease, None).await.unwrap();
                self.shadow.lane(queue, held.chat).expect("held").hold = Hold::Due(0);
            }
            let due = self.shadow.due(queue, Micros::MAX);
            let claims = self.store().claim_as_of(queue, 100, Some(now() + 4 * FAR)).await.unwrap().claims;
            assert_eq!(claims.len(), due.len());
            for claim in claims {
                let chat = chat_of(&claim.channel, &claim.contact.key);
                let mut next = Some(claim.item);
                while let Some(item) = next {
                    let order = self.shadow.messages[&item.id].order;
                    self.lease(queue, chat, claim.lease, &item);
                    let outcome = match queue {
                        Queue::Inbox => Outcome::NotAnswered { reason: "test" },
                        Queue::Outbox => Outcome::Sent { wamid: None, doubt: None, watch_at: None },
                    };
                    self.shadow.end(queue, chat, order, &outcome);
                    let with = Finish::default();
                    next = self.store().finish(claim.lease, &item, outcome, with).await.unwrap().next;
                }
                assert!(self.shadow.lane(queue, chat).is_none());
            }
        }
        self.compare().await;
        self.compare_messages().await;
        let queues = self.store().queues().await.unwrap();
        assert_eq!((queues.inbox, queues.outbox), (QueueView::default(), QueueView::default()));
    }
}
