//! The operations, each done to the store and to its shadow.

use std::{fmt::Write as _, sync::Arc};

use super::{
    super::{conformance, *},
    Dice,
    shadow::{CHANNELS, CONTACTS, Chat, Hold, Order, Shadow},
};

/// Due, but not before the present is this much further.
pub(super) const FAR: Micros = 600_000_000;

pub(super) struct Run {
    /// Gone only while the process restarts.
    pub(super) store: Option<Arc<dyn Store>>,
    pub(super) shadow: Shadow,
    pub(super) dice: Dice,
}

/// A lane that the run holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) queue: Queue,
    pub(super) chat: Chat,
    pub(super) lease: Lease,
    pub(super) order: Order,
}

impl Run {
    pub(super) async fn step<F>(&mut self, make_store: &F, log: &mut String)
    where
        F: AsyncFn() -> Arc<dyn Store>,
    {
        match self.dice.below(24) {
            0..=4 => self.accept(log).await,
            5..=6 => self.statuses(log).await,
            7..=9 => self.claim(log).await,
            10..=14 => self.finish(log).await,
            15 => self.defer(log).await,
            16 => self.release(log).await,
            17..=18 => self.enqueue(log).await,
            19 => self.replay(log).await,
            20 => self.discard(log).await,
            21 => self.stale(log).await,
            22 => self.sweep(log).await,
            _ => self.restart(make_store, log).await,
        }
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.store.as_deref().expect("only a restart takes it away")
    }

    fn chat(&mut self) -> Chat {
        (self.dice.below(CHANNELS.len()), self.dice.below(CONTACTS))
    }

    fn held(&mut self) -> Option<Held> {
        let mut held = self.all_held();
        held.sort_by_key(|held| held.lease.token);
        self.dice.pick(&held)
    }

    /// What the store gave as the head of a lane has to be what the shadow says, which is then leased.
    pub(super) fn lease(&mut self, queue: Queue, chat: Chat, lease: Lease, item: &Item) {
        let standing = self.shadow.standing.get(&chat).copied().unwrap_or_default();
        let message = &self.shadow.messages[&item.id];
        let (state, replayed) = (message.state.clone(), message.replayed);
        let lane = self.shadow.lane(queue, chat).expect("the store leased a lane without work");
        let (order, work) = lane.items.iter().next().expect("a lane has work");
        assert_eq!(
            (item.id, item.attempts, item.counted),
            (work.id, work.attempts, work.counted),
            "the head of {chat:?}"
        );
        assert!(work.uncertain.is_none_or(|uncertain| uncertain == item.uncertain), "{work:?} {item:?}");
        assert_eq!(item.already_sent, queue == Queue::Outbox && state != "queued");
        assert_eq!(item.standing, standing);
        assert_eq!(item.trace, conformance::trace_of(item.id).filter(|_| !replayed));
        assert_eq!(i64::try_from(item.payload.len()).unwrap(), work.bytes);
        lane.hold = Hold::Leased(lease, *order);
    }

    async fn accept(&mut self, log: &mut String) {
        let mut messages = Vec::new();
        for _ in 0..=self.dice.below(4) {
            let chat = self.chat();
            messages.push((chat, format!("{}-{}-{}", chat.0, chat.1, self.dice.below(40))));
        }
        let limit = self.dice.below(3);
        let named: Vec<_> = messages.iter().map(|(chat, wamid)| (contact(*chat), wamid.as_str())).collect();
        let named: Vec<_> = named.iter().map(|(contact, wamid)| (contact.as_str(), *wamid)).collect();
        let mut delivery = conformance::batch(&named);
        for (message, (chat, _)) in delivery.messages.iter_mut().zip(&messages) {
            message.channel = Arc::from(CHANNELS[chat.0]);
        }
        let _ = write!(log, "accept {named:?}, claim {limit}");
        let accepted = self.store().accept(delivery.clone(), limit).await.unwrap();
        let (mut opened, mut left_work) = (Vec::new(), false);
        for (index, (chat, wamid)) in messages.iter().enumerate() {
            let is_new = self.shadow.seen.insert(wamid.clone());
            assert_eq!(accepted.new_messages[index], is_new);
            if !is_new {
                continue;
            }
            let message = &delivery.messages[index];
            let made = self.shadow.add(Queue::Inbox, *chat, message.id, message.raw.len());
            self.shadow.standing.entry(*chat).or_default().last_inbound_at = Some(delivery.received_at);
            if made && opened.len() < limit {
                opened.push(*chat);
            } else {
                left_work |= made;
            }
        }
        assert_eq!((accepted.claims.len(), accepted.left_work), (opened.len(), left_work));
        for (claim, chat) in accepted.claims.iter().zip(opened) {
            assert_eq!((&*claim.channel, &*claim.contact.key), (CHANNELS[chat.0], contact(chat).as_str()));
            self.lease(Queue::Inbox, chat, claim.lease, &claim.item);
        }
    }

    async fn statuses(&mut self, log: &mut String) {
        let mut sent: Vec<_> = self.shadow.messages.iter().collect();
        sent.retain(|(_, message)| message.queue == Queue::Outbox && !message.swept);
        sent.sort_by_key(|(_, message)| message.order);
        let sent: Vec<_> = sent.into_iter().map(|(id, _)| *id).collect();
        let Some(id) = self.dice.pick(&sent) else { return };
        use DeliveryState::*;
        let state = self.dice.pick(&[Sent, Delivered, Read, Failed]).unwrap_or(Sent);
        let _ = write!(log, "status {} of {id}", state.as_str());
        let mut delivery = conformance::batch(&[]);
        delivery.statuses = vec![NewStatus {
            seen_key: SeenKey::new(&["status", &self.dice.next().to_string()]),
            wamid: format!("wamid.{id}"),
            message: Some(id),
            state,
            at: now(),
            error: None,
            is_plain: self.dice.one_in(2),
        }];
        self.store().accept(delivery, 0).await.unwrap();
        self.shadow.status(id, state);
    }

    async fn claim(&mut self, log: &mut String) {
        let queue = if self.dice.one_in(2) { Queue::Inbox } else { Queue::Outbox };
        let limit = 1 + self.dice.below(4);
        // Where leases expire, a time far ahead would find them all expired.
        let ahead = self.dice.one_in(3) && self.store().lease_time().is_none();
        let _ = write!(log, "claim {limit} of {}, later: {ahead}", queue.as_str());
        let at = if ahead { now() + 4 * FAR } else { now() };
        let due = self.shadow.due(queue, at);
        let claims = self.store().claim_as_of(queue, limit, ahead.then_some(at)).await.unwrap();
        assert_eq!(claims.claims.len(), due.len().min(limit), "of {due:?}");
        self.take(queue, &claims.claims, Some(&due));
        let waits = self.shadow.due(queue, Micros::MAX);
        assert!(claims.next_due.is_some() || waits.is_empty(), "{waits:?} wait");
    }

    pub(super) fn take(&mut self, queue: Queue, claims: &[Claim], due: Option<&[Chat]>) {
        for claim in claims {
            let chat = chat_of(&claim.channel, &claim.contact.key);
            assert!(due.is_none_or(|due| due.contains(&chat)), "{chat:?} is not due");
            self.lease(queue, chat, claim.lease, &claim.item);
        }
    }

    /// The item that a lane's holder works on, and those behind it, as the store gives them.
    async fn items(&mut self, held: &Held) -> Vec<Item> {
        let pending = self.store().pending(held.lease, 100).await.unwrap();
        let lane = self.shadow.lane(held.queue, held.chat).expect("held");
        let ids: Vec<_> = lane.items.values().map(|work| work.id).collect();
        assert_eq!(pending.iter().map(|item| item.id).collect::<Vec<_>>(), ids);
        let before = lane.items.range(..held.order).count();
        pending.into_iter().skip(before).collect()
    }

    async fn finish(&mut self, log: &mut String) {
        let Some(held) = self.held() else { return };
        let items = self.items(&held).await;
        let kind = self.dice.below(4);
        let outcome = match (held.queue, kind) {
            (_, 0) => Outcome::Dead(conformance::refusal(false)),
            (Queue::Inbox, 1) => Outcome::NotAnswered { reason: "test" },
            (Queue::Inbox, _) => {
                Outcome::Answered((0..self.dice.below(3)).map(|_| conformance::reply()).collect())
            }
            (Queue::Outbox, _) => {
                Outcome::Sent { wamid: Some(format!("wamid.{}", items[0].id)), doubt: None, watch_at: None }
            }
        };
        let joined = if self.dice.one_in(4) { self.dice.below(items.len()) } else { 0 };
        let pair_free_at = self.dice.one_in(3).then(now);
        let with = Finish {
            joined: items[1..].iter().take(joined).map(|item| item.seq).collect(),
            pair_free_at,
            claim_outbox: self.dice.one_in(2),
        };
        let claims = with.claim_outbox;
        let _ = write!(log, "finish {held:?} and {joined} more: {outcome:?}, claim: {claims}");
        let finished = self.store().finish(held.lease, &items[0], outcome.clone(), with).await.unwrap();
        if let Some(at) = pair_free_at {
            self.shadow.standing.entry(held.chat).or_default().pair_free_at = at;
        }
        let lane = self.shadow.lane(held.queue, held.chat).expect("held");
        let ended: Vec<_> =
            lane.items.range(held.order..).take(1 + joined).map(|(order, _)| *order).collect();
        for order in ended {
            self.shadow.end(held.queue, held.chat, order, &outcome);
        }
        let mut made = false;
        if let Outcome::Answered(replies) = &outcome {
            for reply in replies {
                made |= self.shadow.add(Queue::Outbox, held.chat, reply.id, reply.payload.len());
            }
        }
        assert_eq!((finished.opened.is_some(), finished.left_work), (made && claims, made && !claims));
        if let Some(opened) = finished.opened {
            self.lease(Queue::Outbox, held.chat, opened.lease, &opened.item);
        }
        match finished.next {
            Some(next) => self.lease(held.queue, held.chat, held.lease, &next),
            None => assert!(self.shadow.lane(held.queue, held.chat).is_none(), "there is more"),
        }
    }

    async fn defer(&mut self, log: &mut String) {
        let Some(held) = self.held() else { return };
        let item = self.items(&held).await.remove(0);
        let attempt = self.dice.pick(&[Attempt::None, Attempt::Free, Attempt::Counted]).expect("three");
        let uncertain = self.dice.one_in(2);
        let due_at = if self.dice.one_in(2) { now() - 1 } else { now() + FAR };
        let _ = write!(log, "defer {held:?}: {attempt:?}, uncertain: {uncertain}, due at {due_at}");
        let refusal = Refusal { attempt, ..conformance::refusal(uncertain) };
        self.store().defer(held.lease, &item, refusal, due_at).await.unwrap();
        let lane = self.shadow.lane(held.queue, held.chat).expect("held");
        lane.hold = Hold::Due(due_at);
        let work = lane.items.get_mut(&held.order).expect("held");
        work.attempts += u32::from(attempt != Attempt::None);
        work.counted += u32::from(attempt == Attempt::Counted);
        work.uncertain = Some(uncertain);
    }

    async fn release(&mut self, log: &mut String) {
        let Some(held) = self.held() else { return };
        let until = self.dice.pick(&[None, Some(now() - 1), Some(now() + FAR)]).expect("three");
        let _ = write!(log, "release {held:?} in doubt until {until:?}");
        self.store().release(held.lease, until).await.unwrap();
        match until {
            Some(until) => self.shadow.in_doubt(held.queue, held.chat, until),
            None => self.shadow.lane(held.queue, held.chat).expect("held").hold = Hold::Due(0),
        }
    }

    async fn enqueue(&mut self, log: &mut String) {
        let chat = self.chat();
        let claim = self.dice.one_in(2);
        let key = self.dice.one_in(2).then(|| {
            (
                u8::try_from(self.dice.below(5)).expect("small"),
                u8::try_from(self.dice.below(2)).expect("small"),
            )
        });
        let _ = write!(log, "enqueue to {chat:?} with key {key:?}, claim: {claim}");
        let mut inbound = conformance::batch(&[(&contact(chat), "")]);
        let send = NewSend {
            message: conformance::reply(),
            channel: Arc::from(CHANNELS[chat.0]),
            contact: inbound.messages.remove(0).contact,
            inbound_since: None,
            idempotency: key.map(|(key, body)| Idempotency {
                key: SeenKey::new(&["call", &key.to_string()]),
                fingerprint: [body; 32],
            }),
        };
        let message = send.message.clone();
        let enqueued = self.store().enqueue(send, claim).await.unwrap();
        if let Some((key, body)) = key
            && let Some((known, id)) = self.shadow.idempotency.get(&key)
        {
            match enqueued {
                Enqueued::Known(same) => assert_eq!((body, same), (*known, *id)),
                Enqueued::Conflict => assert_ne!(body, *known),
                Enqueued::Stored { .. } => panic!("the same call was stored twice"),
                Enqueued::WindowClosed => panic!("it needs no window"),
            }
            return;
        }
        self.shadow.idempotency.extend(key.map(|(key, body)| (key, (body, message.id))));
        let made = self.shadow.add(Queue::Outbox, chat, message.id, message.payload.len());
        let Enqueued::Stored { claim: leased, left_work } = enqueued else { panic!("{enqueued:?}") };
        assert_eq!((leased.is_some(), left_work), (made && claim, made && !claim));
        if let Some(claim) = leased {
            self.lease(Queue::Outbox, chat, claim.lease, &claim.item);
        }
    }

    async fn replay(&mut self, log: &mut String) {
        let dead = self.shadow.dead();
        let Some(one) = self.dice.pick(&dead) else { return };
        let (which, expected) = if self.dice.one_in(2) {
            (Replay::One(one), vec![one])
        } else {
            let limit = 1 + self.dice.below(3);
            let all = Replay::Matching { filter: DeadLetterFilter::default(), limit };
            (all, dead.into_iter().take(limit).collect())
        };
        let _ = write!(log, "replay {which:?}");
        let replayed = self.store().replay(which).await.unwrap();
        assert_eq!(replayed.inbox + replayed.outbox, expected.len());
        expected.into_iter().for_each(|id| self.shadow.replay(id));
    }

    async fn discard(&mut self, log: &mut String) {
        let dead = self.shadow.dead();
        let Some(id) = self.dice.pick(&dead) else { return };
        let _ = write!(log, "discard {id}");
        assert!(self.store().discard(id).await.unwrap());
        self.shadow.discard(id);
    }

    /// A lease that was never given, or not for long: nothing may come of it.
    async fn stale(&mut self, log: &mut String) {
        let Some(held) = self.held() else { return };
        let item = self.items(&held).await.remove(0);
        let stale = Lease { token: held.lease.token - 1, ..held.lease };
        let _ = write!(log, "a stale lease of {held:?}");
        let outcome = match held.queue {
            Queue::Inbox => Outcome::Answered(vec![conformance::reply()]),
            Queue::Outbox => Outcome::Dead(conformance::refusal(false)),
        };
        let finished = self.store().finish(stale, &item, outcome, Finish::default()).await;
        assert!(matches!(finished, Err(StoreError::LeaseLost)));
        let deferred = self.store().defer(stale, &item, conformance::refusal(true), 0).await;
        assert!(matches!(deferred, Err(StoreError::LeaseLost)));
        self.store().release(stale, Some(0)).await.unwrap();
    }
}

pub(super) fn queue_of(number: usize) -> Queue {
    if number == Queue::Inbox as usize { Queue::Inbox } else { Queue::Outbox }
}

fn contact(chat: Chat) -> String {
    format!("{}0{}", chat.0, chat.1)
}

pub(super) fn chat_of(channel: &str, contact: &str) -> Chat {
    let channel = CHANNELS.iter().position(|known| *known == channel).expect("a channel");
    (channel, contact[2..].parse().expect("a number"))
}
