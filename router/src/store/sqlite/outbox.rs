//! Puts messages to people into the outbox: replies, what the API was asked to send, and the watchdog's remedies.

use rusqlite::{OptionalExtension, params};

use super::{
    lanes::OpenedLane,
    session::{Failure, Session},
};
use crate::store::{
    Claim, DeliveryState, Enqueued, Idempotency, Item, Lease, MessageId, Micros, NewOutbound, NewSend,
    OpenedOutbox, Queue, Standing, Trace,
};

/// Why messages are sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cause {
    pub(super) conversation: i64,
    /// Each message's own id when nothing caused it.
    pub(super) correlation: Option<MessageId>,
    pub(super) now: Micros,
}

/// The first of the messages that were put into the outbox.
pub(super) struct First<'a> {
    seq: i64,
    message: &'a NewOutbound,
    cause: Cause,
}

impl First<'_> {
    pub(super) fn open(&self, lease: Lease, standing: Standing) -> OpenedOutbox {
        OpenedOutbox { lease, item: self.item(standing) }
    }

    fn item(&self, standing: Standing) -> Item {
        Item {
            seq: self.seq,
            id: self.message.id,
            correlation: self.cause.correlation.unwrap_or(self.message.id),
            payload: self.message.payload.clone(),
            attempts: 0,
            counted: 0,
            created_at: self.cause.now,
            inbound: None,
            uncertain: false,
            already_sent: false,
            route: self.message.route.clone(),
            standing,
            trace: self.message.trace,
        }
    }
}

impl Session<'_> {
    /// Stores the messages and their work; the lane is the caller's business. `None` when there are none.
    pub(super) fn put_into_outbox<'m>(
        &mut self,
        cause: Cause,
        messages: &'m [NewOutbound],
    ) -> rusqlite::Result<Option<First<'m>>> {
        let Some(first) = messages.first() else { return Ok(None) };
        let known = self.known(cause.conversation)?;
        let channel = known.channel.clone();
        let mut previous = known.last_seq;
        let mut first_seq = None;
        for message in messages {
            let seq = self
                .sql
                .prepare_cached(
                    "INSERT INTO message (id, conversation, direction, type, state, payload, correlation,
                         created_at, route, previous, trace)
                     VALUES (?1, ?2, 'out', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .insert(params![
                    message.id.0,
                    cause.conversation,
                    message.message_type,
                    DeliveryState::Queued,
                    &*message.payload,
                    cause.correlation.unwrap_or(message.id).0,
                    cause.now,
                    message.route,
                    previous,
                    message.trace.map(Trace::to_bytes)
                ])?;
            self.add_work(Queue::Outbox, cause.conversation, seq, message.payload.len())?;
            self.tallies.of(&channel).queued += 1;
            first_seq.get_or_insert(seq);
            previous = Some(seq);
        }
        if let Some(newest) = previous {
            self.append(cause.conversation, newest)?;
        }
        Ok(first_seq.map(|seq| First { seq, message: first, cause }))
    }

    pub(super) fn enqueue(&mut self, send: &NewSend, claim: bool, now: Micros) -> Result<Enqueued, Failure> {
        if let Some(idempotency) = &send.idempotency
            && let Some(known) = self.used_before(idempotency)?
        {
            return Ok(known);
        }
        if let Some(since) = send.inbound_since {
            // Before the conversation is opened: what is refused leaves nothing behind.
            let last = self.last_inbound(&send.channel, &send.contact)?;
            if last.is_none_or(|at| at < since) {
                return Ok(Enqueued::WindowClosed);
            }
        }
        let (conversation, contact) = self.conversation(&send.channel, &send.contact, now)?;
        let cause = Cause { conversation, correlation: None, now };
        let first = self.put_into_outbox(cause, std::slice::from_ref(&send.message))?;
        if let Some(idempotency) = &send.idempotency {
            self.sql
                .prepare_cached(
                    "INSERT INTO idempotency (key, fingerprint, message, created_at) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    &idempotency.key.0[..],
                    &idempotency.fingerprint[..],
                    send.message.id.0,
                    now
                ])?;
        }
        let opened = self.open_lane(Queue::Outbox, conversation, now, claim)?;
        let left_work = opened.left_work();
        let claim = match (first, opened) {
            (Some(first), OpenedLane::Leased(lease)) => {
                let item = first.item(self.standing(conversation)?);
                Some(Box::new(Claim { lease, channel: send.channel.clone(), contact, item }))
            }
            _ => None,
        };
        Ok(Enqueued::Stored { claim, left_work })
    }

    fn used_before(&mut self, idempotency: &Idempotency) -> rusqlite::Result<Option<Enqueued>> {
        let known: Option<([u8; 32], MessageId)> = self
            .sql
            .prepare_cached("SELECT fingerprint, message FROM idempotency WHERE key = ?1")?
            .query_row([&idempotency.key.0[..]], |row| Ok((row.get(0)?, MessageId(row.get(1)?))))
            .optional()?;
        Ok(known.map(|(fingerprint, message)| {
            if fingerprint == idempotency.fingerprint { Enqueued::Known(message) } else { Enqueued::Conflict }
        }))
    }
}
