//! Stores a webhook: each item once, the work it makes, and the leases on lanes that were idle.

use rusqlite::params;

use super::session::Session;
use crate::store::{
    Accepted, Claim, Delivery, Inbound, Item, Lease, Micros, NewEvent, NewInbound, Queue, SeenKey, Standing,
};

impl Session<'_> {
    pub(super) fn accept(&mut self, delivery: &Delivery, claim_limit: usize) -> rusqlite::Result<Accepted> {
        let now = delivery.received_at;
        let mut accepted = Accepted::default();
        let mut brought_news = false;
        for message in &delivery.messages {
            let is_new = self.first_time(message.seen_key, now)?;
            if is_new {
                self.store_inbound(message, now, claim_limit, &mut accepted)?;
            } else {
                accepted.duplicates += 1;
            }
            brought_news |= is_new;
            accepted.new_messages.push(is_new);
        }
        for status in &delivery.statuses {
            if self.first_time(status.seen_key, now)? {
                self.apply_status(status)?;
                brought_news = true;
            } else {
                accepted.duplicates += 1;
            }
        }
        for event in &delivery.events {
            if self.first_time(event.seen_key, now)? {
                self.store_event(event, now)?;
                brought_news = true;
            } else {
                accepted.duplicates += 1;
            }
        }
        if brought_news {
            self.sql
                .prepare_cached("INSERT INTO webhook (received_at, body) VALUES (?1, ?2)")?
                .execute(params![now, &delivery.body[..]])?;
        }
        Ok(accepted)
    }

    fn first_time(&mut self, key: SeenKey, now: Micros) -> rusqlite::Result<bool> {
        let inserted = self
            .sql
            .prepare_cached("INSERT OR IGNORE INTO seen (key, seen_at) VALUES (?1, ?2)")?
            .execute(params![&key.0[..], now])?;
        Ok(inserted == 1)
    }

    fn store_inbound(
        &mut self,
        message: &NewInbound,
        now: Micros,
        claim_limit: usize,
        accepted: &mut Accepted,
    ) -> rusqlite::Result<()> {
        let (conversation, contact) = self.conversation(&message.channel, &message.contact, now)?;
        let seq = self
            .sql
            .prepare_cached(
                "INSERT INTO message
                     (id, conversation, direction, wamid, type, state, payload, correlation, created_at, sent_at)
                 VALUES (?1, ?2, 'in', ?3, ?4, 'received', ?5, ?1, ?6, ?7)",
            )?
            .insert(params![
                message.id.0,
                conversation,
                &*message.wamid,
                message.message_type,
                &*message.raw,
                now,
                message.sent_at
            ])?;
        self.add_work(Queue::Inbox, conversation, seq)?;
        let may_claim = accepted.claims.len() < claim_limit;
        match self.open_lane(Queue::Inbox, conversation, now, may_claim)? {
            OpenedLane::Leased(lease) => {
                let item = Item {
                    seq,
                    id: message.id,
                    correlation: message.id,
                    payload: message.raw.clone(),
                    attempts: 0,
                    counted: 0,
                    created_at: now,
                    inbound: Some(Inbound { wamid: message.wamid.clone(), sent_at: message.sent_at }),
                    uncertain: false,
                    already_sent: false,
                    route: None,
                    standing: Standing::default(),
                };
                accepted.claims.push(Claim { lease, channel: message.channel.clone(), contact, item });
            }
            OpenedLane::Waiting => accepted.left_work = true,
            OpenedLane::Existed => {}
        }
        Ok(())
    }

    pub(super) fn add_work(&mut self, queue: Queue, conversation: i64, seq: i64) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT INTO work (queue, conversation, seq) VALUES (?1, ?2, ?3)")?
            .execute(params![queue as i64, conversation, seq])?;
        self.count(queue, 1);
        Ok(())
    }

    /// Makes the lane if the conversation has none in this queue: leased to us, or due now for whoever claims.
    pub(super) fn open_lane(
        &mut self,
        queue: Queue,
        conversation: i64,
        now: Micros,
        claim: bool,
    ) -> rusqlite::Result<OpenedLane> {
        let mut statement = self.sql.prepare_cached(
            "INSERT OR IGNORE INTO lane (queue, conversation, due_at, owner, token) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        if claim {
            let token = self.memory.next_token();
            let made = statement.execute(params![
                queue as i64,
                conversation,
                None::<Micros>,
                self.memory.owner,
                token
            ])?;
            return Ok(match made {
                1 => OpenedLane::Leased(Lease { queue, conversation, token }),
                _ => OpenedLane::Existed,
            });
        }
        let made = statement.execute(params![queue as i64, conversation, now, None::<&str>, 0])?;
        Ok(if made == 1 { OpenedLane::Waiting } else { OpenedLane::Existed })
    }

    fn store_event(&mut self, event: &NewEvent, now: Micros) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT INTO event (received_at, channel, field, raw) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![now, event.channel.as_deref(), event.field, event.raw])?;
        Ok(())
    }
}

/// What became of the wish to have a lane.
pub(super) enum OpenedLane {
    Leased(Lease),
    /// New, and due for whoever claims next.
    Waiting,
    /// There before: its holder, or its due time, will get to the new work.
    Existed,
}
