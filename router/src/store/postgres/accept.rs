//! Stores webhooks: each item once, the work it makes, and the leases on lanes that were idle.
//!
//! Order of locks: channels, keys, conversations by id, inbox lanes by conversation, messages by seq, tally. Numbers of
//! messages are taken while their conversations are locked, so that their order is the order of storing, whichever
//! router stores them.

mod columns;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::Row;

use self::columns::{Columns, Keys, Lanes, Rest, Stored, Touched, What};
use super::{
    Reply, Shared,
    lanes::{OPEN_LANES, Tokens, opened},
    people::{People, Written},
    session::{Failure, Session, numbers},
    statuses::{ADOPT_ORPHANS, Advance, Asked},
    tally::Tallies,
    text::{Text, clean_contact},
    writer::{Answers, Batch, OfPeople, with_people},
};
use crate::store::{Accepted, Contact, Delivery, Queue, Standing, StoreError};

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// A key that another router is just storing is waited for.
const SEEN: &str = "INSERT INTO seen (key, seen_at) SELECT * FROM UNNEST($1::bytea[], $2::bigint[])
    ON CONFLICT DO NOTHING RETURNING key";

/// The order of the answers to this is the order of storing in each conversation.
pub(super) const TOUCH: &str =
    "UPDATE conversation c SET last_inbound_at = greatest(c.last_inbound_at, u.at),
         taken_over_until = greatest(c.taken_over_until, u.until)
     FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[]) u(id, at, until) WHERE c.id = u.id
     RETURNING c.id, c.last_inbound_at, c.taken_over_until, c.pair_free_at";

/// Nobody else makes inbox lanes of conversations that we have locked, but for a replay.
pub(super) const BUSY: &str = "SELECT conversation FROM lane WHERE queue = 1 AND conversation = ANY($1)
     AND (token <> 0 OR due_at IS NOT NULL)";

pub(super) const NEW_SEQS: &str = "SELECT nextval('message_seq') FROM generate_series(1, $1::bigint)";

pub(super) const WORK: &str = "INSERT INTO work (queue, conversation, seq, bytes)
     SELECT $1, * FROM UNNEST($2::bigint[], $3::bigint[], $4::bigint[])";

#[derive(Debug)]
pub(super) struct AcceptCall {
    pub(super) delivery: Delivery,
    pub(super) claim_limit: usize,
    pub(super) reply: Reply<Accepted>,
}

pub(super) struct Accepts {
    pub(super) shared: Arc<Shared>,
    pub(super) tokens: Tokens,
    /// Told of statuses whose message was not known, for another look.
    pub(super) orphans: UnboundedSender<Vec<String>>,
}

#[async_trait]
impl Batch for Accepts {
    type Call = AcceptCall;
    type Done = Accepted;

    fn items(call: &AcceptCall) -> usize {
        let Delivery { messages, statuses, echoes, events, .. } = &call.delivery;
        messages.len() + statuses.len() + echoes.len() + events.len()
    }

    async fn apply(&mut self, session: &Session, calls: &[AcceptCall]) -> Result<Answers<Accepted>, Failure> {
        let wanted = calls.iter().map(|call| call.claim_limit.min(call.delivery.messages.len())).sum();
        self.tokens.fill(session, wanted).await?;
        with_people(self, session, calls).await
    }

    fn answer(&self, call: AcceptCall, result: Result<Accepted, StoreError>) {
        self.shared.gauges.waiting_accepts.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        if let Ok(accepted) = &result
            && accepted.left_work
        {
            self.shared.tell_others();
        }
        let _ = call.reply.send(result);
    }

    async fn put_right(&mut self, session: &Session) -> Result<(), Failure> {
        self.tokens.give_back(session, &self.shared).await
    }
}

#[async_trait]
impl OfPeople for Accepts {
    async fn attempt(
        &mut self,
        session: &Session,
        calls: &[AcceptCall],
        alone: bool,
    ) -> Result<Option<Answers<Accepted>>, Failure> {
        let keys = Keys::of(calls);
        let people = People::of(contacts(calls));
        let asked = Asked::of(calls.iter().flat_map(|call| &call.delivery.statuses));
        let mut pipe = session.pipe();
        pipe.push(BEGIN, vec![]).await;
        people.push_lock(&mut pipe, alone).await;
        let seen = if keys.keys.is_empty() {
            None
        } else {
            Some(pipe.push(SEEN, vec![&keys.keys, &keys.times]).await)
        };
        let known = people.push_look_up(&mut pipe).await;
        let (by_id, by_wamid) = asked.push(&mut pipe).await;
        let mut answers = pipe.answers().await?;
        let mut fresh = keys.fresh(&answers.take(seen))?;
        let mut book = people.book(&answers.take(known))?;
        let found = asked.found(&answers.take(by_id), &answers.take(by_wamid))?;
        if alone {
            people.prepare(session, &mut book).await?;
        }

        let mut accepted: Vec<Accepted> = calls.iter().map(|_| Accepted::default()).collect();
        let mut stored = Vec::new();
        let mut advance = Advance::default();
        let mut rest = Rest::default();
        for (index, call) in calls.iter().enumerate() {
            let (delivery, answer) = (&call.delivery, &mut accepted[index]);
            let mut brought_news = false;
            let mut is_new = |key: [u8; 16], answer: &mut Accepted| {
                let is_new = fresh.remove(&key).is_some();
                answer.duplicates += usize::from(!is_new);
                brought_news |= is_new;
                is_new
            };
            for message in &delivery.messages {
                let new = is_new(message.seen_key.0, answer);
                answer.new_messages.push(new);
                if new {
                    let place = (&message.channel, &message.contact);
                    let Some(found) = find(&mut book, place, alone) else { return Ok(None) };
                    stored.push(Stored::new(index, What::Message(message), delivery.received_at, found));
                }
            }
            for status in &delivery.statuses {
                if is_new(status.seen_key.0, answer) {
                    advance.add(&found, status);
                }
            }
            for echo in &delivery.echoes {
                if is_new(echo.seen_key.0, answer) {
                    let place = (&echo.channel, &echo.contact);
                    let Some(found) = find(&mut book, place, alone) else { return Ok(None) };
                    stored.push(Stored::new(index, What::Echo(echo), delivery.received_at, found));
                }
            }
            for event in &delivery.events {
                if is_new(event.seen_key.0, answer) {
                    rest.event_at.push(delivery.received_at);
                    rest.event_channels.push(event.channel.as_deref().map(Text));
                    rest.event_fields.push(Text(&event.field));
                    rest.event_raw.push(Text(&event.raw));
                }
            }
            if brought_news {
                rest.webhook_at.push(delivery.received_at);
                rest.webhook_bodies.push(&delivery.body[..]);
            }
        }

        // The second step: what was found is locked, and the messages are numbered.
        let now = calls.first().map_or(0, |call| call.delivery.received_at);
        let written = Written::of(&book, now);
        let touched = Touched::of(&stored);
        let count = stored.len() as i64;
        let mut pipe = session.pipe();
        written.push(&mut pipe).await;
        let mut places = (None, None, None);
        if count > 0 {
            places.0 = Some(pipe.push(TOUCH, vec![&touched.ids, &touched.at, &touched.until]).await);
            places.1 = Some(pipe.push(NEW_SEQS, vec![&count]).await);
            places.2 = Some(pipe.push(BUSY, vec![&touched.ids]).await);
        }
        let mut answers = pipe.answers().await?;
        let standings = standings(&answers.take(places.0))?;
        let seqs = numbers(&answers.take(places.1))?;
        let busy = numbers(&answers.take(places.2))?;
        let mut tallies = Tallies::default();
        advance.seal();
        advance.unbury(session, &mut tallies).await?;

        // The third: everything else, and the commit.
        let columns = Columns::of(&stored, &seqs);
        for (stored, bytes) in stored.iter().zip(&columns.bytes) {
            if let What::Message(message) = stored.what {
                let tally = tallies.of(&message.channel);
                tally.accepted += 1;
                tally.count(Queue::Inbox, 1, *bytes);
            }
        }
        let lanes = Lanes::of(&stored, calls, &busy, &mut self.tokens);
        let depth = tallies.depth();
        let tally = tallies.columns(self.shared.slot("accept"));
        let inbox = Queue::Inbox as i16;
        let lease = self.shared.lease_micros();
        let mut pipe = session.pipe();
        if count > 0 {
            columns.push(&mut pipe).await;
        }
        let mut lanes_at = None;
        if !lanes.ids.is_empty() {
            pipe.push(WORK, vec![&inbox, &columns.work_lanes, &columns.work_seqs, &columns.work_bytes]).await;
            let params: super::session::Params<'_> =
                vec![&inbox, &lanes.ids, &lanes.tokens, &lease, &self.shared.owner];
            lanes_at = Some(pipe.push(OPEN_LANES, params).await);
        }
        advance.push(&mut pipe).await;
        if !columns.echo_seqs.is_empty() {
            pipe.push(ADOPT_ORPHANS, vec![&columns.echo_seqs, &columns.echo_wamids]).await;
        }
        rest.push(&mut pipe).await;
        if let Some(tally) = &tally {
            tally.push(&mut pipe).await;
        }
        pipe.push(COMMIT, vec![]).await;
        let mut answers = pipe.answers().await?;
        let made = opened(&answers.take(lanes_at), &lanes.ids, &lanes.tokens)?;
        self.tokens.settle();
        lanes.hand_out(&made, &stored, &seqs, &standings, &mut accepted);
        let orphans = advance.orphans();
        if !orphans.is_empty() {
            // Nobody listens while the store is being closed.
            let _ = self.orphans.send(orphans);
        }
        Ok(Some((accepted.into_iter().map(Ok).collect(), depth)))
    }
}

fn find(
    book: &mut super::book::Book,
    (channel, contact): (&Arc<str>, &Arc<Contact>),
    alone: bool,
) -> Option<(i64, Arc<Contact>)> {
    let contact = clean_contact(contact);
    let found = if alone { book.resolve(channel, &contact) } else { book.settled(channel, &contact) }?;
    book.set_busy([found.0]);
    Some(found)
}

fn contacts(calls: &[AcceptCall]) -> impl Iterator<Item = (&Arc<str>, &Contact)> {
    calls.iter().flat_map(|call| {
        let messages = call.delivery.messages.iter().map(|message| (&message.channel, &*message.contact));
        messages.chain(call.delivery.echoes.iter().map(|echo| (&echo.channel, &*echo.contact)))
    })
}

fn standings(rows: &[Row]) -> Result<HashMap<i64, Standing>, Failure> {
    let mut standings = HashMap::with_capacity(rows.len());
    for row in rows {
        standings.insert(row.try_get(0)?, super::lanes::read_standing(row, 1)?);
    }
    Ok(standings)
}
