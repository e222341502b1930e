//! Stores a webhook: each item once, the work it makes, and the leases on lanes that were idle.

use rusqlite::params;

use super::{lanes::OpenedLane, session::Session};
use crate::store::{
    Accepted, Claim, Delivery, DeliveryState, Inbound, Item, Micros, NewEcho, NewEvent, NewInbound, Queue,
    SeenKey, Trace,
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
            if self.take_status(status, now)? {
                brought_news = true;
            } else {
                accepted.duplicates += 1;
            }
        }
        for echo in &delivery.echoes {
            if self.first_time(echo.seen_key, now)? {
                self.store_echo(echo, now)?;
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

    pub(super) fn first_time(&mut self, key: SeenKey, now: Micros) -> rusqlite::Result<bool> {
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
        let previous = self.known(conversation)?.last_seq;
        let seq = self
            .sql
            .prepare_cached(
                "INSERT INTO message
                     (id, conversation, direction, wamid, type, state, payload, correlation, created_at, sent_at,
                      previous, trace)
                 VALUES (?1, ?2, 'in', ?3, ?4, 'received', ?5, ?1, ?6, ?7, ?8, ?9)",
            )?
            .insert(params![
                message.id.0,
                conversation,
                &*message.wamid,
                message.message_type,
                &*message.raw,
                now,
                message.sent_at,
                previous,
                message.trace.map(Trace::to_bytes)
            ])?;
        self.append_inbound(conversation, seq, now)?;
        self.tallies.of(&message.channel).accepted += 1;
        self.add_work(Queue::Inbox, conversation, seq, message.raw.len())?;
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
                    standing: self.standing(conversation)?,
                    trace: message.trace,
                };
                accepted.claims.push(Claim { lease, channel: message.channel.clone(), contact, item });
            }
            OpenedLane::Waiting => accepted.left_work = true,
            OpenedLane::Existed => {}
        }
        Ok(())
    }

    /// A person of the business typed it on the phone: it is sent already, and the conversation is theirs for a while.
    fn store_echo(&mut self, echo: &NewEcho, now: Micros) -> rusqlite::Result<()> {
        let (conversation, _) = self.conversation(&echo.channel, &echo.contact, now)?;
        let previous = self.known(conversation)?.last_seq;
        let seq = self
            .sql
            .prepare_cached(
                "INSERT INTO message
                     (id, conversation, direction, wamid, type, state, payload, correlation, created_at, sent_at,
                      previous)
                 VALUES (?1, ?2, 'out', ?3, ?4, ?5, ?6, ?1, ?7, ?8, ?9)",
            )?
            .insert(params![
                echo.id.0,
                conversation,
                &*echo.wamid,
                echo.message_type,
                DeliveryState::Sent,
                &*echo.raw,
                now,
                echo.sent_at.unwrap_or(now),
                previous
            ])?;
        self.append(conversation, seq)?;
        let until = self.standing(conversation)?.taken_over_until.max(echo.taken_over_until);
        if echo.taken_over_until.is_some() {
            self.take_over(conversation, until)?;
        }
        self.adopt_orphans(seq, &echo.wamid)
    }

    fn store_event(&mut self, event: &NewEvent, now: Micros) -> rusqlite::Result<()> {
        self.sql
            .prepare_cached("INSERT INTO event (received_at, channel, field, raw) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![now, event.channel.as_deref(), event.field, event.raw])?;
        Ok(())
    }
}
