//! Stores webhooks: each item once, the work it makes, and the leases on lanes that were idle.
//!
//! Order of locks: channels, keys, conversations by id, inbox lanes by conversation, messages by seq, tally. Numbers of
//! messages are taken while their conversations are locked, so that their order is the order of storing, whichever
//! router stores them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Reply, Shared,
    lanes::{OPEN_LANES, Tokens, opened},
    people::{People, Written},
    session::{Failure, Session, numbers},
    statuses::{ADOPT_ORPHANS, Advance, Asked},
    tally::Tallies,
    text::{Text, clean_contact},
    writer::Batch,
};
use crate::store::{
    Accepted, Claim, Contact, Delivery, Depth, Inbound, Item, Lease, Micros, NewEcho, NewInbound, Queue,
    Standing, StoreError,
};

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// A key that another router is just storing is waited for.
const SEEN: &str = "INSERT INTO seen (key, seen_at) SELECT * FROM UNNEST($1::bytea[], $2::bigint[])
    ON CONFLICT DO NOTHING RETURNING key";

/// The order of the answers to this is the order of storing in each conversation.
const TOUCH: &str = "UPDATE conversation c SET last_inbound_at = greatest(c.last_inbound_at, u.at),
         taken_over_until = greatest(c.taken_over_until, u.until)
     FROM UNNEST($1::bigint[], $2::bigint[], $3::bigint[]) u(id, at, until) WHERE c.id = u.id
     RETURNING c.id, c.last_inbound_at, c.taken_over_until, c.pair_free_at";

/// Nobody else makes inbox lanes of conversations that we have locked, but for a replay.
const BUSY: &str = "SELECT conversation FROM lane WHERE queue = 1 AND conversation = ANY($1)";

pub(super) const NEW_SEQS: &str = "SELECT nextval('message_seq') FROM generate_series(1, $1::bigint)";

const MESSAGES: &str = "INSERT INTO message (seq, id, conversation, direction, wamid, type, state, payload, correlation,
         created_at, sent_at)
     SELECT u.seq, u.id, u.c, u.direction, u.wamid, u.type, u.state, u.payload, u.id, u.at, u.sent_at
     FROM UNNEST($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
         $9::bigint[], $10::bigint[]) u(seq, id, c, direction, wamid, type, state, payload, at, sent_at)";

pub(super) const WORK: &str = "INSERT INTO work (queue, conversation, seq, bytes)
     SELECT $1, * FROM UNNEST($2::bigint[], $3::bigint[], $4::bigint[])";

const WEBHOOKS: &str =
    "INSERT INTO webhook (received_at, body) SELECT * FROM UNNEST($1::bigint[], $2::bytea[])";

const EVENTS: &str = "INSERT INTO event (received_at, channel, field, raw)
     SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[])";

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

    async fn apply(
        &mut self,
        session: &Session,
        calls: &[AcceptCall],
    ) -> Result<(Vec<Result<Accepted, StoreError>>, Depth), Failure> {
        let wanted = calls.iter().map(|call| call.claim_limit.min(call.delivery.messages.len())).sum();
        self.tokens.fill(session, wanted).await?;
        match self.attempt(session, calls, false).await? {
            Some(done) => Ok(done),
            // Somebody is new, or has changed: nobody else may look at the contacts of the channel meanwhile.
            None => {
                session.run("ROLLBACK").await?;
                let done = self.attempt(session, calls, true).await?;
                done.ok_or(Failure::Odd("a contact has no conversation"))
            }
        }
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

/// A message or echo that is new, and its conversation.
struct Stored<'a> {
    call: usize,
    what: What<'a>,
    at: Micros,
    conversation: i64,
    contact: Arc<Contact>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Message(&'a NewInbound),
    Echo(&'a NewEcho),
}

impl Accepts {
    /// `None` when contacts have to be changed and `alone` is false; the transaction is open then.
    async fn attempt(
        &mut self,
        session: &Session,
        calls: &[AcceptCall],
        alone: bool,
    ) -> Result<Option<(Vec<Result<Accepted, StoreError>>, Depth)>, Failure> {
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
        let made = opened(&answers.take(lanes_at))?;
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

/// The keys of everything, each once, in an order that is the same for all routers.
struct Keys {
    keys: Vec<Vec<u8>>,
    times: Vec<Micros>,
}

impl Keys {
    fn of(calls: &[AcceptCall]) -> Self {
        let mut keys = BTreeMap::new();
        for call in calls {
            let Delivery { messages, statuses, echoes, events, .. } = &call.delivery;
            let all =
                messages.iter().map(|item| item.seen_key).chain(statuses.iter().map(|item| item.seen_key));
            let all = all.chain(echoes.iter().map(|item| item.seen_key));
            for key in all.chain(events.iter().map(|item| item.seen_key)) {
                keys.entry(key.0).or_insert(call.delivery.received_at);
            }
        }
        let (keys, times) = keys.into_iter().map(|(key, at)| (key.to_vec(), at)).unzip();
        Self { keys, times }
    }

    /// Those that were not known; the first item with one takes it.
    fn fresh(&self, rows: &[Row]) -> Result<HashMap<[u8; 16], ()>, Failure> {
        let mut fresh = HashMap::with_capacity(rows.len());
        for row in rows {
            let key: &[u8] = row.try_get(0)?;
            fresh.insert(key.try_into().map_err(|_| Failure::Odd("a key has another length"))?, ());
        }
        Ok(fresh)
    }
}

impl<'a> Stored<'a> {
    fn new(call: usize, what: What<'a>, at: Micros, (conversation, contact): (i64, Arc<Contact>)) -> Self {
        Self { call, what, at, conversation, contact }
    }
}

/// What changes of the conversations themselves.
#[derive(Default)]
struct Touched {
    ids: Vec<i64>,
    at: Vec<Option<Micros>>,
    until: Vec<Option<Micros>>,
}

impl Touched {
    fn of(stored: &[Stored<'_>]) -> Self {
        let mut by_id: BTreeMap<i64, (Option<Micros>, Option<Micros>)> = BTreeMap::new();
        for stored in stored {
            let (at, until) = by_id.entry(stored.conversation).or_default();
            match stored.what {
                What::Message(_) => *at = (*at).max(Some(stored.at)),
                What::Echo(echo) => *until = (*until).max(echo.taken_over_until),
            }
        }
        let mut touched = Self::default();
        for (id, (at, until)) in by_id {
            touched.ids.push(id);
            touched.at.push(at);
            touched.until.push(until);
        }
        touched
    }
}

fn standings(rows: &[Row]) -> Result<HashMap<i64, Standing>, Failure> {
    let mut standings = HashMap::with_capacity(rows.len());
    for row in rows {
        standings.insert(row.try_get(0)?, super::lanes::read_standing(row, 1)?);
    }
    Ok(standings)
}

/// The new messages as columns.
#[derive(Default)]
struct Columns<'a> {
    seqs: Vec<i64>,
    ids: Vec<Uuid>,
    conversations: Vec<i64>,
    directions: Vec<&'static str>,
    wamids: Vec<Text<'a>>,
    types: Vec<&'static str>,
    states: Vec<&'static str>,
    payloads: Vec<Text<'a>>,
    at: Vec<Micros>,
    sent_at: Vec<Option<Micros>>,
    bytes: Vec<i64>,
    work_lanes: Vec<i64>,
    work_seqs: Vec<i64>,
    work_bytes: Vec<i64>,
    echo_seqs: Vec<i64>,
    echo_wamids: Vec<Text<'a>>,
}

impl<'a> Columns<'a> {
    fn of(stored: &[Stored<'a>], seqs: &[i64]) -> Self {
        let mut columns = Self::default();
        for (stored, seq) in stored.iter().zip(seqs) {
            columns.seqs.push(*seq);
            columns.conversations.push(stored.conversation);
            columns.at.push(stored.at);
            match stored.what {
                What::Message(message) => {
                    columns.ids.push(message.id.0);
                    columns.directions.push("in");
                    columns.wamids.push(Text(&message.wamid));
                    columns.types.push(message.message_type);
                    columns.states.push("received");
                    columns.payloads.push(Text(&message.raw));
                    columns.sent_at.push(message.sent_at);
                    columns.bytes.push(message.raw.len() as i64);
                    columns.work_lanes.push(stored.conversation);
                    columns.work_seqs.push(*seq);
                    columns.work_bytes.push(message.raw.len() as i64);
                }
                What::Echo(echo) => {
                    columns.ids.push(echo.id.0);
                    columns.directions.push("out");
                    columns.wamids.push(Text(&echo.wamid));
                    columns.types.push(echo.message_type);
                    columns.states.push("sent");
                    columns.payloads.push(Text(&echo.raw));
                    columns.sent_at.push(Some(echo.sent_at.unwrap_or(stored.at)));
                    columns.bytes.push(0);
                    columns.echo_seqs.push(*seq);
                    columns.echo_wamids.push(Text(&echo.wamid));
                }
            }
        }
        columns
    }

    async fn push<'s>(&'s self, pipe: &mut super::session::Pipe<'s>) {
        pipe.push(
            MESSAGES,
            vec![
                &self.seqs,
                &self.ids,
                &self.conversations,
                &self.directions,
                &self.wamids,
                &self.types,
                &self.states,
                &self.payloads,
                &self.at,
                &self.sent_at,
            ],
        )
        .await;
    }
}

/// What else a webhook brought.
#[derive(Default)]
struct Rest<'a> {
    webhook_at: Vec<Micros>,
    webhook_bodies: Vec<&'a [u8]>,
    event_at: Vec<Micros>,
    event_channels: Vec<Option<Text<'a>>>,
    event_fields: Vec<Text<'a>>,
    event_raw: Vec<Text<'a>>,
}

impl Rest<'_> {
    async fn push<'s>(&'s self, pipe: &mut super::session::Pipe<'s>) {
        if !self.webhook_at.is_empty() {
            pipe.push(WEBHOOKS, vec![&self.webhook_at, &self.webhook_bodies]).await;
        }
        if !self.event_at.is_empty() {
            let params: super::session::Params<'s> =
                vec![&self.event_at, &self.event_channels, &self.event_fields, &self.event_raw];
            pipe.push(EVENTS, params).await;
        }
    }
}

/// The inbox lanes that get work, in order of their conversations.
#[derive(Default)]
struct Lanes {
    ids: Vec<i64>,
    /// 0 where nobody has room.
    tokens: Vec<i64>,
    /// The call that gets the lease or hears that work is left, and the place of the first message.
    of: Vec<(usize, usize)>,
}

impl Lanes {
    fn of(stored: &[Stored<'_>], calls: &[AcceptCall], busy: &[i64], tokens: &mut Tokens) -> Self {
        let mut room: Vec<usize> = calls.iter().map(|call| call.claim_limit).collect();
        let mut by_id: BTreeMap<i64, (i64, usize, usize)> = BTreeMap::new();
        for (place, stored) in stored.iter().enumerate() {
            if !matches!(stored.what, What::Message(_)) {
                continue;
            }
            let lane = by_id.entry(stored.conversation).or_insert((0, stored.call, place));
            if lane.0 == 0 && room[stored.call] > 0 && !busy.contains(&stored.conversation) {
                room[stored.call] -= 1;
                *lane = (tokens.take(), stored.call, lane.2);
            }
        }
        let mut lanes = Self::default();
        for (id, (token, call, place)) in by_id {
            lanes.ids.push(id);
            lanes.tokens.push(token);
            lanes.of.push((call, place));
        }
        lanes
    }

    fn hand_out(
        &self,
        made: &HashMap<i64, (i64, bool)>,
        stored: &[Stored<'_>],
        seqs: &[i64],
        standings: &HashMap<i64, Standing>,
        accepted: &mut [Accepted],
    ) {
        let mut lanes: Vec<_> = self.ids.iter().zip(&self.tokens).zip(&self.of).collect();
        // As the messages came.
        lanes.sort_unstable_by_key(|(_, (_, place))| *place);
        for ((&conversation, &token), &(call, place)) in lanes {
            // A lane that was there before has its holder or its time.
            let Some(&(_, true)) = made.get(&conversation) else { continue };
            let (Some(stored), Some(&seq)) = (stored.get(place), seqs.get(place)) else { continue };
            let What::Message(message) = stored.what else { continue };
            if token == 0 {
                accepted[call].left_work = true;
                continue;
            }
            let item = Item {
                seq,
                id: message.id,
                correlation: message.id,
                payload: message.raw.clone(),
                attempts: 0,
                counted: 0,
                created_at: stored.at,
                inbound: Some(Inbound { wamid: message.wamid.clone(), sent_at: message.sent_at }),
                uncertain: false,
                already_sent: false,
                route: None,
                standing: standings.get(&conversation).copied().unwrap_or_default(),
            };
            let lease = Lease { queue: Queue::Inbox, conversation, token };
            let (channel, contact) = (message.channel.clone(), stored.contact.clone());
            accepted[call].claims.push(Claim { lease, channel, contact, item });
        }
    }
}
