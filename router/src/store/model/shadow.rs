//! What a store is supposed to hold, in a few maps.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::*;

/// (channel, contact).
pub(super) type Chat = (usize, usize);

pub(super) const CHANNELS: [&str; 2] = ["blue", "red"];
pub(super) const CONTACTS: usize = 3;

/// One message's place: later ones are greater.
pub(super) type Order = u64;

#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) id: MessageId,
    pub(super) attempts: u32,
    pub(super) counted: u32,
    /// `None`: the store may say either.
    pub(super) uncertain: Option<bool>,
    pub(super) bytes: i64,
}

#[derive(Debug, Clone)]
pub(super) enum Hold {
    Due(Micros),
    /// And which item its holder has.
    Leased(Lease, Order),
}

#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) items: BTreeMap<Order, Work>,
    pub(super) hold: Hold,
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) chat: Chat,
    pub(super) queue: Queue,
    pub(super) order: Order,
    pub(super) state: String,
    pub(super) bytes: i64,
    pub(super) dead: bool,
    pub(super) replayed: bool,
    /// Old and finished when the sweep came: it may be gone.
    pub(super) swept: bool,
}

impl Message {
    fn delivery(&self) -> Option<DeliveryState> {
        DeliveryState::from_name(&self.state)
    }
}

#[derive(Debug, Default)]
pub(super) struct Shadow {
    pub(super) lanes: HashMap<(usize, Chat), Lane>,
    pub(super) messages: HashMap<MessageId, Message>,
    pub(super) seen: HashSet<String>,
    pub(super) idempotency: HashMap<u8, (u8, MessageId)>,
    pub(super) accounts: BTreeMap<&'static str, ChannelLedger>,
    pub(super) standing: HashMap<Chat, Standing>,
    last_order: Order,
}

impl Shadow {
    pub(super) fn account(&mut self, chat: Chat) -> &mut ChannelLedger {
        let channel = CHANNELS[chat.0];
        self.accounts.entry(channel).or_insert_with(|| ChannelLedger::empty(channel.into()))
    }

    pub(super) fn lane(&mut self, queue: Queue, chat: Chat) -> Option<&mut Lane> {
        self.lanes.get_mut(&(queue as usize, chat))
    }

    /// Stores a message with its work; true when its lane had to be made.
    pub(super) fn add(&mut self, queue: Queue, chat: Chat, id: MessageId, bytes: usize) -> bool {
        self.last_order += 1;
        let bytes = i64::try_from(bytes).expect("small");
        let (state, order) = (if queue == Queue::Inbox { "received" } else { "queued" }, self.last_order);
        let message = Message {
            chat,
            queue,
            order,
            state: state.to_owned(),
            bytes,
            dead: false,
            replayed: false,
            swept: false,
        };
        self.messages.insert(id, message);
        let account = self.account(chat);
        match queue {
            Queue::Inbox => account.accepted += 1,
            Queue::Outbox => account.queued += 1,
        }
        self.put_to_work(id)
    }

    fn put_to_work(&mut self, id: MessageId) -> bool {
        let message = &self.messages[&id];
        let work = Work { id, attempts: 0, counted: 0, uncertain: Some(false), bytes: message.bytes };
        let key = (message.queue as usize, message.chat);
        let is_new = !self.lanes.contains_key(&key);
        let lane = self.lanes.entry(key).or_insert(Lane { items: BTreeMap::new(), hold: Hold::Due(0) });
        lane.items.insert(message.order, work);
        is_new
    }

    /// Ends one item of a lane, which goes when it is empty.
    pub(super) fn end(&mut self, queue: Queue, chat: Chat, order: Order, outcome: &Outcome) {
        let lane = self.lanes.get_mut(&(queue as usize, chat)).expect("a lane");
        let work = lane.items.remove(&order).expect("an item");
        if lane.items.is_empty() {
            self.lanes.remove(&(queue as usize, chat));
        }
        let message = self.messages.get_mut(&work.id).expect("a message");
        let proved = message.delivery().is_some_and(DeliveryState::proves_sent);
        match outcome {
            Outcome::Answered(_) => message.state = "answered".to_owned(),
            Outcome::NotAnswered { .. } => message.state = "not_answered".to_owned(),
            Outcome::Sent { .. } if !proved => message.state = "sent".to_owned(),
            Outcome::Dead(_) if !proved => {
                message.state = "dead".to_owned();
                message.dead = true;
            }
            Outcome::Sent { .. } | Outcome::Dead(_) => {}
        }
        let dead = message.dead;
        let account = self.account(chat);
        match outcome {
            Outcome::Answered(_) => account.answered += 1,
            Outcome::NotAnswered { .. } => account.not_to_be_answered += 1,
            Outcome::Sent { .. } => account.sent += 1,
            Outcome::Dead(_) if !dead => account.sent += 1,
            Outcome::Dead(_) => {}
        }
    }

    pub(super) fn status(&mut self, id: MessageId, news: DeliveryState) {
        let message = self.messages.get_mut(&id).expect("a message");
        let (chat, was_dead, was_discarded) = (message.chat, message.dead, message.state == "discarded");
        let known = message.delivery().unwrap_or(DeliveryState::Dead);
        message.state = known.advanced_by(news).as_str().to_owned();
        message.dead = false;
        let account = self.account(chat);
        account.sent += i64::from(was_dead || was_discarded);
        account.discarded -= i64::from(was_discarded);
    }

    /// The dead letters, oldest first.
    pub(super) fn dead(&self) -> Vec<MessageId> {
        let mut dead: Vec<_> = self.messages.iter().filter(|(_, message)| message.dead).collect();
        dead.sort_by_key(|(_, message)| message.order);
        dead.into_iter().map(|(id, _)| *id).collect()
    }

    pub(super) fn replay(&mut self, id: MessageId) {
        let message = self.messages.get_mut(&id).expect("a message");
        message.dead = false;
        message.replayed = true;
        message.state = if message.queue == Queue::Inbox { "received" } else { "queued" }.to_owned();
        let (queue, chat, order) = (message.queue, message.chat, message.order);
        // Whoever holds an item behind it may vanish: the store may call that one uncertain from now on.
        if let Some(lane) = self.lane(queue, chat)
            && let Hold::Leased(_, held) = lane.hold
            && held > order
            && let Some(work) = lane.items.get_mut(&held)
            && work.uncertain == Some(false)
        {
            work.uncertain = None;
        }
        self.put_to_work(id);
    }

    pub(super) fn discard(&mut self, id: MessageId) {
        let message = self.messages.get_mut(&id).expect("a message");
        message.dead = false;
        message.state = "discarded".to_owned();
        let (chat, queue) = (message.chat, message.queue);
        let account = self.account(chat);
        match queue {
            Queue::Inbox => account.not_to_be_answered += 1,
            Queue::Outbox => account.discarded += 1,
        }
    }

    /// The holder of a lane is gone, or does not know what became of its item.
    pub(super) fn in_doubt(&mut self, queue: Queue, chat: Chat, due_at: Micros) {
        let Some(lane) = self.lane(queue, chat) else { return };
        let Hold::Leased(_, held) = lane.hold else { return };
        lane.hold = Hold::Due(due_at);
        let head = *lane.items.keys().next().expect("work");
        if let Some(work) = lane.items.get_mut(&held) {
            work.uncertain = Some(true);
        }
        // Something was put in front of it meanwhile, which the store may hold for the item in doubt.
        if head != held
            && let Some(work) = lane.items.get_mut(&head)
            && work.uncertain == Some(false)
        {
            work.uncertain = None;
        }
    }

    /// No status could arrive while nobody was there: what is in doubt waits anew.
    pub(super) fn rest_in_doubt(&mut self, until: Micros) {
        let in_doubt = |lane: &Lane| lane.items.values().any(|work| work.uncertain != Some(false));
        let outbox = self.lanes.iter_mut().filter(|((queue, _), _)| *queue == Queue::Outbox as usize);
        for (_, lane) in outbox.filter(|(_, lane)| in_doubt(lane)) {
            if let Hold::Due(due_at) = lane.hold {
                lane.hold = Hold::Due(due_at.max(until));
            }
        }
    }

    /// Lanes of a queue that are due at `at`.
    pub(super) fn due(&self, queue: Queue, at: Micros) -> Vec<Chat> {
        let is_due = |lane: &Lane| matches!(lane.hold, Hold::Due(due_at) if due_at <= at);
        let of_queue = self.lanes.iter().filter(|((of, _), _)| *of == queue as usize);
        of_queue.filter(|(_, lane)| is_due(lane)).map(|((_, chat), _)| *chat).collect()
    }

    pub(super) fn depth(&self) -> Depth {
        let mut depth =
            Depth { dead_letters: i64::try_from(self.dead().len()).expect("few"), ..Depth::default() };
        for ((queue, _), lane) in &self.lanes {
            let items = i64::try_from(lane.items.len()).expect("few");
            if *queue == Queue::Inbox as usize {
                depth.inbox += items;
            } else {
                depth.outbox += items;
            }
            depth.bytes += lane.items.values().map(|work| work.bytes).sum::<i64>();
        }
        depth
    }

    /// With what is unfinished, counted in the queues.
    pub(super) fn ledger(&self) -> Vec<ChannelLedger> {
        let mut ledger: Vec<_> = self.accounts.values().cloned().collect();
        for account in &mut ledger {
            let of_channel = |chat: &Chat| CHANNELS[chat.0] == &*account.channel;
            let (mut in_flight, mut dead) = ([0; 3], [0; 3]);
            for ((queue, chat), lane) in &self.lanes {
                in_flight[*queue] += if of_channel(chat) { lane.items.len() } else { 0 };
            }
            for message in self.messages.values().filter(|message| message.dead && of_channel(&message.chat))
            {
                dead[message.queue as usize] += 1;
            }
            let [_, inbox, outbox] = in_flight.map(|items| i64::try_from(items).expect("few"));
            (account.inbox_in_flight, account.outbox_in_flight) = (inbox, outbox);
            [_, account.inbox_dead, account.outbox_dead] = dead;
        }
        ledger
    }
}
