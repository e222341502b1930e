//! Stores what the API wants sent: all calls that have queued up in one transaction, and each is answered for itself.
//!
//! Order of locks: channels, keys of calls, conversations by id, outbox lanes by conversation, tally.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Reply, Shared,
    book::Book,
    finish::first_item,
    lanes::{Tokens, opened, read_standing},
    outbox::{Lanes, Numbered, Outgoing},
    people::{People, Written},
    session::{Failure, Session, numbers},
    tally::Tallies,
    text::clean_contact,
    writer::{Answers, Batch, OfPeople, with_people},
};
use crate::store::{
    Claim, Contact, Enqueued, Idempotency, Lease, MessageId, NewSend, Queue, Standing, StoreError,
};

/// A key that another router is just using is waited for.
const REMEMBER: &str = "INSERT INTO idempotency (key, fingerprint, message, created_at)
    SELECT u.*, $4::bigint FROM UNNEST($1::bytea[], $2::bytea[], $3::uuid[]) u ON CONFLICT DO NOTHING RETURNING key";
pub(super) const REMEMBERED: &str = "SELECT key, fingerprint, message FROM idempotency WHERE key = ANY($1)";
pub(super) const FORGET: &str = "DELETE FROM idempotency WHERE key = ANY($1)";
pub(super) const STANDINGS: &str =
    "SELECT id, last_inbound_at, taken_over_until, pair_free_at FROM conversation WHERE id = ANY($1)";

#[derive(Debug)]
pub(super) struct SendCall {
    pub(super) send: NewSend,
    pub(super) claim: bool,
    pub(super) reply: Reply<Enqueued>,
}

pub(super) struct Sends {
    pub(super) shared: Arc<Shared>,
    pub(super) tokens: Tokens,
}

#[async_trait]
impl Batch for Sends {
    type Call = SendCall;
    type Done = Enqueued;

    /// The second call with a key is told what became of the first, so that has to be known.
    fn key(call: &SendCall) -> Option<i64> {
        let Idempotency { key, .. } = call.send.idempotency?;
        Some(i64::from_be_bytes(*key.0.first_chunk()?))
    }

    async fn apply(&mut self, session: &Session, calls: &[SendCall]) -> Result<Answers<Enqueued>, Failure> {
        let wanted = calls.iter().filter(|call| call.claim).count();
        self.tokens.fill(session, wanted).await?;
        with_people(self, session, calls).await
    }

    fn answer(&self, call: SendCall, result: Result<Enqueued, StoreError>) {
        if matches!(result, Ok(Enqueued::Stored { left_work: true, .. })) {
            self.shared.tell_others();
        }
        let _ = call.reply.send(result);
    }

    async fn put_right(&mut self, session: &Session) -> Result<(), Failure> {
        self.tokens.give_back(session, &self.shared).await
    }
}

#[async_trait]
impl OfPeople for Sends {
    async fn attempt(
        &mut self,
        session: &Session,
        calls: &[SendCall],
        alone: bool,
    ) -> Result<Option<Answers<Enqueued>>, Failure> {
        let now = self.shared.clock.now();
        let contacts: Vec<Arc<Contact>> =
            calls.iter().map(|call| clean_contact(&call.send.contact)).collect();
        let places = calls.iter().zip(&contacts).map(|(call, contact)| (&call.send.channel, &**contact));
        let (people, keys) = (People::of(places), Keys::of(calls));
        let mut pipe = session.pipe();
        pipe.push("BEGIN", vec![]).await;
        people.push_lock(&mut pipe, alone).await;
        let mut fresh = None;
        if !keys.keys.is_empty() {
            fresh =
                Some(pipe.push(REMEMBER, vec![&keys.keys, &keys.fingerprints, &keys.messages, &now]).await);
        }
        let known = people.push_look_up(&mut pipe).await;
        let mut answers = pipe.answers().await?;
        let fresh = read_keys(&answers.take(fresh))?;
        let mut book = people.book(&answers.take(known))?;
        if alone {
            people.prepare(session, &mut book).await?;
        }
        let (used, ids) = (keys.but(&fresh), book.known_ids());
        let mut pipe = session.pipe();
        let mut remembered = None;
        if !used.is_empty() {
            remembered = Some(pipe.push(REMEMBERED, vec![&used]).await);
        }
        let standings = pipe.push(STANDINGS, vec![&ids]).await;
        let mut answers = pipe.answers().await?;
        let remembered = read_remembered(&answers.take(remembered))?;
        let standings = read_standings(&answers.take(standings))?;

        let mut verdicts = Vec::with_capacity(calls.len());
        for (call, contact) in calls.iter().zip(&contacts) {
            let send = &call.send;
            let used = send.idempotency.filter(|call| !fresh.contains(&call.key.0[..]));
            if let Some(Idempotency { key, fingerprint }) = used {
                // If it is not there, it was deleted as too old just now.
                let (of, id) = remembered.get(&key.0[..]).ok_or(Failure::Again)?;
                let is_same = **of == fingerprint[..];
                verdicts.push(if is_same { Verdict::Known(*id) } else { Verdict::Conflict });
            } else if !is_open(send, &book, contact, &standings) {
                verdicts.push(Verdict::WindowClosed);
            } else {
                let found = if alone {
                    book.resolve(&send.channel, contact)
                } else {
                    book.settled(&send.channel, contact)
                };
                let Some((conversation, contact)) = found else { return Ok(None) };
                book.set_busy([conversation]);
                verdicts.push(Verdict::Store(conversation, contact));
            }
        }
        self.write(session, calls, verdicts, &book, &standings).await.map(Some)
    }
}

impl Sends {
    async fn write(
        &mut self,
        session: &Session,
        calls: &[SendCall],
        verdicts: Vec<Verdict>,
        book: &Book,
        standings: &HashMap<i64, Standing>,
    ) -> Result<Answers<Enqueued>, Failure> {
        let (now, lease_time) = (self.shared.clock.now(), self.shared.lease_micros());
        let mut outgoing = Vec::new();
        let mut forgotten = Vec::new();
        // The first message of each conversation opens its lane, for whoever wanted that one sent.
        let (mut tokens, mut firsts) = (HashMap::new(), HashMap::new());
        for (index, (call, verdict)) in calls.iter().zip(&verdicts).enumerate() {
            let NewSend { message, channel, idempotency, .. } = &call.send;
            match verdict {
                Verdict::Store(conversation, _) => {
                    let conversation = *conversation;
                    firsts.entry(conversation).or_insert_with(|| {
                        tokens.insert(conversation, if call.claim { self.tokens.take() } else { 0 });
                        index
                    });
                    outgoing.push(Outgoing { conversation, channel, message, correlation: message.id.0 });
                }
                // What is refused leaves nothing behind.
                Verdict::WindowClosed => forgotten.extend(idempotency.map(|call| call.key.0.to_vec())),
                Verdict::Known(_) | Verdict::Conflict => {}
            }
        }
        let written = Written::of(book, now);
        let lanes = Lanes::of(&outgoing, &tokens);
        let mut pipe = session.pipe();
        if !forgotten.is_empty() {
            pipe.push(FORGET, vec![&forgotten]).await;
        }
        written.push(&mut pipe).await;
        let mut places = None;
        if !outgoing.is_empty() {
            places = Some(lanes.push(&mut pipe, &lease_time, &self.shared.owner).await);
        }
        let mut answers = pipe.answers().await?;
        let made = opened(&answers.take(places.map(|(made, _)| made)), &lanes.ids, &lanes.tokens)?;
        let seqs = numbers(&answers.take(places.map(|(_, seqs)| seqs)))?;

        let mut tallies = Tallies::default();
        let numbered = Numbered::of(&outgoing, &seqs, &mut tallies)?;
        let depth = tallies.depth();
        let tally = tallies.columns(self.shared.slot("sends"));
        let mut pipe = session.pipe();
        if !outgoing.is_empty() {
            numbered.push(&mut pipe, &now).await;
        }
        if let Some(tally) = &tally {
            tally.push(&mut pipe).await;
        }
        pipe.push("COMMIT", vec![]).await;
        pipe.answers().await?;
        self.tokens.settle();

        let mut seqs = numbered.seqs.iter().copied();
        let mut done = Vec::with_capacity(calls.len());
        for (index, (call, verdict)) in calls.iter().zip(verdicts).enumerate() {
            done.push(Ok(match verdict {
                Verdict::Known(id) => Enqueued::Known(id),
                Verdict::Conflict => Enqueued::Conflict,
                Verdict::WindowClosed => Enqueued::WindowClosed,
                Verdict::Store(conversation, contact) => {
                    let seq = seqs.next().ok_or(Failure::Odd("a message has no number"))?;
                    let is_first = firsts.get(&conversation) == Some(&index);
                    let is_new = is_first && made.get(&conversation).is_some_and(|(_, is_new)| *is_new);
                    let token = tokens.get(&conversation).copied().unwrap_or_default();
                    let claim = (is_new && token != 0).then(|| {
                        let NewSend { message, channel, .. } = &call.send;
                        let standing = standings.get(&conversation).copied().unwrap_or_default();
                        let item = first_item(message, seq, message.id, now, standing);
                        let lease = Lease { queue: Queue::Outbox, conversation, token };
                        Box::new(Claim { lease, channel: channel.clone(), contact, item })
                    });
                    Enqueued::Stored { left_work: is_new && claim.is_none(), claim }
                }
            }));
        }
        Ok((done, depth))
    }
}

/// What becomes of a call.
enum Verdict {
    Known(MessageId),
    Conflict,
    WindowClosed,
    /// In this conversation, with whom.
    Store(i64, Arc<Contact>),
}

/// Whether the person wrote recently enough for what is to be sent.
fn is_open(send: &NewSend, book: &Book, contact: &Contact, standings: &HashMap<i64, Standing>) -> bool {
    let Some(since) = send.inbound_since else { return true };
    let of = |id: i64| standings.get(&id)?.last_inbound_at;
    book.candidates(&send.channel, contact).into_iter().filter_map(|(id, _)| of(id)).any(|at| at >= since)
}

/// The keys of calls in an order that is the same for all routers.
#[derive(Default)]
struct Keys {
    keys: Vec<Vec<u8>>,
    fingerprints: Vec<Vec<u8>>,
    messages: Vec<Uuid>,
}

impl Keys {
    fn of(calls: &[SendCall]) -> Self {
        let sorted: BTreeMap<[u8; 16], ([u8; 32], Uuid)> = calls
            .iter()
            .filter_map(|call| Some((call.send.idempotency?, call.send.message.id.0)))
            .map(|(call, id)| (call.key.0, (call.fingerprint, id)))
            .collect();
        let mut keys = Self::default();
        for (key, (fingerprint, id)) in sorted {
            keys.keys.push(key.to_vec());
            keys.fingerprints.push(fingerprint.to_vec());
            keys.messages.push(id);
        }
        keys
    }

    /// Those that were used before.
    fn but(&self, fresh: &HashSet<Vec<u8>>) -> Vec<&[u8]> {
        self.keys.iter().filter(|key| !fresh.contains(*key)).map(Vec::as_slice).collect()
    }
}

fn read_keys(rows: &[Row]) -> Result<HashSet<Vec<u8>>, Failure> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// What a key was used for: the body's fingerprint, and the message.
type Used = (Vec<u8>, MessageId);

fn read_remembered(rows: &[Row]) -> Result<HashMap<Vec<u8>, Used>, Failure> {
    let read = |row: &Row| Ok((row.try_get(0)?, (row.try_get(1)?, MessageId(row.try_get(2)?))));
    rows.iter().map(read).collect()
}

fn read_standings(rows: &[Row]) -> Result<HashMap<i64, Standing>, Failure> {
    rows.iter().map(|row| Ok((row.try_get(0)?, read_standing(row, 1)?))).collect()
}
