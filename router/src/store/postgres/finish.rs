//! Ends items, puts them back and gives lanes back: for one queue, many calls in one transaction.
//!
//! Order of locks: conversations (outbox), lanes of this queue by conversation, outbox lanes by conversation, messages,
//! tally. A call whose lease is lost changes nothing.

pub(super) mod columns;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use tokio_postgres::Row;

pub(super) use self::columns::first_item;
use self::columns::{Columns, Dead, LetGo, Replies};
use super::{
    Reply, Shared,
    accept::NEW_SEQS,
    lanes::{HEADS, OPEN_LANES, Tokens, clock, opened, read_item, read_standing},
    session::{Failure, Params, Session, numbers},
    tally::Tallies,
    writer::Batch,
};
use crate::store::{
    Depth, Finish, Finished, Item, Lease, Micros, Outcome, Queue, Refusal, Standing, StoreError,
};

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// Before the lanes, as storing a webhook does. A lease that is lost at this very moment may still set it once.
pub(super) const PAIRS: &str = "UPDATE conversation c SET pair_free_at = u.at
     FROM UNNEST($2::bigint[], $3::bigint[], $4::bigint[]) u(c, t, at)
     CROSS JOIN LATERAL (SELECT FROM lane WHERE queue = $1 AND conversation = u.c AND token = u.t OFFSET 0) l
     WHERE c.id = u.c";

/// Which leases hold; they can't be lost from here to the commit. In the order of `$2`, which is that of the
/// conversations. The sub-queries are looked up one by one: a plan that is made while the queue is empty, and kept,
/// would rather read every lane for each batch, and so does `queue = $1` on the inner side of a join.
pub(super) const LOCK: &str =
    "SELECT l.conversation, c.channel, c.last_inbound_at, c.taken_over_until, c.pair_free_at
     FROM UNNEST($2::bigint[], $3::bigint[]) u(c, t)
     CROSS JOIN LATERAL (SELECT conversation FROM lane
         WHERE queue = $1 AND conversation = u.c AND token = u.t FOR UPDATE) l
     CROSS JOIN LATERAL (SELECT * FROM conversation WHERE id = u.c OFFSET 0) c";

/// Gone already only if the caller repeats itself under a lease that it still holds.
pub(super) const TAKE: &str =
    "WITH held AS MATERIALIZED (SELECT $1 AS q, u.c, u.s FROM UNNEST($2::bigint[], $3::bigint[], $4::bigint[]) u(c, t, s)
         CROSS JOIN LATERAL (SELECT FROM lane WHERE queue = $1 AND conversation = u.c AND token = u.t OFFSET 0) l)
     DELETE FROM work w USING held u WHERE w.queue = u.q AND w.conversation = u.c AND w.seq = u.s
     RETURNING w.conversation, w.seq, w.attempts, w.bytes";

/// See the migration `0003_idle_lanes`.
pub(super) const REST: &str = concat!(
    "UPDATE lane l SET token = 0, owner = NULL, uncertain = false, leased_until = ",
    clock!(),
    " WHERE l.queue = $1 AND l.conversation = ANY($2)
     AND NOT EXISTS (SELECT 1 FROM work w WHERE w.queue = l.queue AND w.conversation = l.conversation)"
);

#[derive(Debug)]
pub(super) enum LaneCall {
    Finish { lease: Lease, item: Box<Item>, outcome: Outcome, with: Finish, reply: Reply<Finished> },
    Defer { lease: Lease, seq: i64, refusal: Refusal, due_at: Micros, reply: Reply<()> },
    Release { lease: Lease, in_doubt_until: Option<Micros>, reply: Reply<()> },
}

impl LaneCall {
    fn lease(&self) -> Lease {
        match self {
            Self::Finish { lease, .. } | Self::Defer { lease, .. } | Self::Release { lease, .. } => *lease,
        }
    }
}

#[derive(Debug)]
pub(super) enum Done {
    Finished(Box<Finished>),
    Nothing,
}

pub(super) struct Ends {
    pub(super) queue: Queue,
    pub(super) shared: Arc<Shared>,
    pub(super) tokens: Tokens,
}

#[async_trait]
impl Batch for Ends {
    type Call = LaneCall;
    type Done = Done;

    fn key(call: &LaneCall) -> Option<i64> {
        Some(call.lease().conversation)
    }

    async fn apply(
        &mut self,
        session: &Session,
        calls: &[LaneCall],
    ) -> Result<(Vec<Result<Done, StoreError>>, Depth), Failure> {
        self.tokens.fill(session, calls.len()).await?;
        let result = self.attempt(session, calls).await;
        if result.is_ok() {
            self.tokens.settle();
        }
        result
    }

    fn answer(&self, call: LaneCall, result: Result<Done, StoreError>) {
        match call {
            LaneCall::Finish { reply, .. } => {
                let result = result.and_then(|done| match done {
                    Done::Finished(finished) => Ok(*finished),
                    Done::Nothing => Err(StoreError::Closed),
                });
                if result.as_ref().is_ok_and(|finished| finished.left_work) {
                    self.shared.tell_others();
                }
                let _ = reply.send(result);
            }
            LaneCall::Defer { reply, .. } => drop(reply.send(result.map(drop))),
            LaneCall::Release { reply, .. } => {
                self.shared.tell_others();
                // Whoever gives back a lease that is lost has what they want.
                let result = match result {
                    Err(StoreError::LeaseLost) => Ok(()),
                    result => result.map(drop),
                };
                drop(reply.send(result));
            }
        }
    }

    async fn put_right(&mut self, session: &Session) -> Result<(), Failure> {
        self.tokens.give_back(session, &self.shared).await
    }
}

/// A lane whose lease holds.
struct Held {
    channel: Arc<str>,
    standing: Standing,
}

/// An item that has just left its queue.
#[derive(Clone, Copy)]
struct Ended {
    attempts: i32,
    bytes: i64,
}

impl Ends {
    async fn attempt(
        &mut self,
        session: &Session,
        calls: &[LaneCall],
    ) -> Result<(Vec<Result<Done, StoreError>>, Depth), Failure> {
        let now = self.shared.clock.now();
        let queue = self.queue as i16;
        let asked = Asked::of(calls);
        let mut pipe = session.pipe();
        pipe.push(BEGIN, vec![]).await;
        if !asked.pair_lanes.is_empty() {
            let params: Params<'_> = vec![&queue, &asked.pair_lanes, &asked.pair_tokens, &asked.pair_at];
            pipe.push(PAIRS, params).await;
        }
        let locked = pipe.push(LOCK, vec![&queue, &asked.lanes, &asked.tokens]).await;
        let mut taken = None;
        if !asked.seqs.is_empty() {
            let params: Params<'_> = vec![&queue, &asked.seq_lanes, &asked.seq_tokens, &asked.seqs];
            taken = Some(pipe.push(TAKE, params).await);
        }
        let mut seqs = None;
        if asked.replies > 0 {
            seqs = Some(pipe.push(NEW_SEQS, vec![&asked.replies]).await);
        }
        let mut answers = pipe.answers().await?;
        let held = read_held(&answers.take(locked), &asked)?;
        let ended = read_ended(&answers.take(taken))?;
        let mut seqs = numbers(&answers.take(seqs))?.into_iter();

        let mut tallies = Tallies::default();
        let mut ends = Columns::default();
        let mut dead = Dead::default();
        let mut replies = Replies::default();
        let mut let_go = LetGo::default();
        for call in calls {
            let lease = call.lease();
            let Some(lane) = held.get(&lease.conversation) else { continue };
            match call {
                LaneCall::Finish { item, outcome, with, .. } => {
                    let was_there = ended.contains_key(&(lease.conversation, item.seq));
                    for seq in std::iter::once(&item.seq).chain(&with.joined) {
                        if let Some(ended) = ended.get(&(lease.conversation, *seq)) {
                            let tally = tallies.of(&lane.channel);
                            tally.count(self.queue, -1, -ended.bytes);
                            match outcome {
                                Outcome::Answered(_) => tally.answered += 1,
                                Outcome::NotAnswered { .. } => tally.not_to_be_answered += 1,
                                Outcome::Sent { .. } => tally.sent += 1,
                                Outcome::Dead(_) => {}
                            }
                            ends.end(*seq, outcome);
                            if let Outcome::Dead(refusal) = outcome {
                                dead.add(lease.conversation, *seq, *ended, refusal, &lane.channel);
                            }
                        }
                    }
                    if let Outcome::Answered(messages) = outcome
                        && was_there
                        && !messages.is_empty()
                    {
                        let token = if with.claim_outbox { self.tokens.take() } else { 0 };
                        let lane = (lease.conversation, lane, token);
                        replies.add(lane, item, messages, &mut seqs, &mut tallies);
                    }
                    ends.lanes.push(lease.conversation);
                    if item.uncertain {
                        ends.certain.push(lease.conversation);
                    }
                }
                LaneCall::Defer { seq, refusal, due_at, .. } => {
                    let_go.defer(lease.conversation, *seq, refusal, self.shared.at_the_database(*due_at));
                }
                LaneCall::Release { in_doubt_until, .. } => {
                    let_go.lanes.push(lease.conversation);
                    let_go.at.push(in_doubt_until.map(|at| self.shared.at_the_database(at)));
                    let_go.doubt.push(in_doubt_until.map(|_| true));
                }
            }
        }
        replies.seal();
        if !dead.seqs.is_empty() {
            dead.bury(session, queue, now, &mut tallies).await?;
        }

        let depth = tallies.depth();
        let tally = tallies.columns(self.shared.slot(self.queue.as_str()));
        let lease_micros = self.shared.lease_micros();
        let (outbox, one) = (Queue::Outbox as i16, 1_i64);
        let mut pipe = session.pipe();
        let mut lanes_at = None;
        if !replies.lanes.is_empty() {
            let params: Params<'_> =
                vec![&outbox, &replies.lanes, &replies.tokens, &lease_micros, &self.shared.owner];
            lanes_at = Some(pipe.push(OPEN_LANES, params).await);
            replies.push(&mut pipe, &now).await;
        }
        ends.push(&mut pipe, &queue, &now).await;
        let_go.push(&mut pipe, &queue).await;
        let mut heads_at = None;
        if !ends.lanes.is_empty() {
            heads_at = Some(pipe.push(HEADS, vec![&queue, &ends.lanes, &one]).await);
            pipe.push(REST, vec![&queue, &ends.lanes]).await;
        }
        if let Some(tally) = &tally {
            tally.push(&mut pipe).await;
        }
        pipe.push(COMMIT, vec![]).await;
        let mut answers = pipe.answers().await?;
        let made = opened(&answers.take(lanes_at), &replies.lanes, &replies.tokens)?;
        let mut heads = HashMap::new();
        for row in answers.take(heads_at) {
            let conversation: i64 = row.try_get(0)?;
            let standing = held.get(&conversation).map(|lane| lane.standing).unwrap_or_default();
            heads.insert(conversation, read_item(self.queue, &row, standing)?);
        }
        let mut firsts = replies.firsts(&made, &held, now);
        let done = calls
            .iter()
            .map(|call| {
                let conversation = call.lease().conversation;
                if !held.contains_key(&conversation) {
                    return Err(StoreError::LeaseLost);
                }
                if !matches!(call, LaneCall::Finish { .. }) {
                    return Ok(Done::Nothing);
                }
                let (opened, left_work) = firsts.remove(&conversation).unwrap_or_default();
                let next = heads.remove(&conversation);
                Ok(Done::Finished(Box::new(Finished { next, opened, left_work })))
            })
            .collect();
        Ok((done, depth))
    }
}

/// The calls as columns, in order of their conversations.
#[derive(Default)]
struct Asked {
    lanes: Vec<i64>,
    tokens: Vec<i64>,
    seq_lanes: Vec<i64>,
    seq_tokens: Vec<i64>,
    seqs: Vec<i64>,
    pair_lanes: Vec<i64>,
    pair_tokens: Vec<i64>,
    pair_at: Vec<Micros>,
    replies: i64,
}

impl Asked {
    fn of(calls: &[LaneCall]) -> Self {
        let mut asked = Self::default();
        let sorted: BTreeMap<i64, &LaneCall> =
            calls.iter().map(|call| (call.lease().conversation, call)).collect();
        for (conversation, call) in sorted {
            let token = call.lease().token;
            asked.lanes.push(conversation);
            asked.tokens.push(token);
            let LaneCall::Finish { item, outcome, with, .. } = call else { continue };
            for seq in std::iter::once(&item.seq).chain(&with.joined) {
                asked.seq_lanes.push(conversation);
                asked.seq_tokens.push(token);
                asked.seqs.push(*seq);
            }
            if let Some(at) = with.pair_free_at {
                asked.pair_lanes.push(conversation);
                asked.pair_tokens.push(token);
                asked.pair_at.push(at);
            }
            if let Outcome::Answered(messages) = outcome {
                asked.replies += messages.len() as i64;
            }
        }
        asked
    }
}

fn read_held(rows: &[Row], asked: &Asked) -> Result<HashMap<i64, Held>, Failure> {
    let mut held = HashMap::with_capacity(rows.len());
    for row in rows {
        let channel = row.try_get::<_, &str>(1)?.into();
        held.insert(row.try_get(0)?, Held { channel, standing: read_standing(row, 2)? });
    }
    for (conversation, at) in asked.pair_lanes.iter().zip(&asked.pair_at) {
        if let Some(lane) = held.get_mut(conversation) {
            lane.standing.pair_free_at = *at;
        }
    }
    Ok(held)
}

fn read_ended(rows: &[Row]) -> Result<HashMap<(i64, i64), Ended>, Failure> {
    let mut ended = HashMap::with_capacity(rows.len());
    for row in rows {
        let ended_item = Ended { attempts: row.try_get(2)?, bytes: row.try_get(3)? };
        ended.insert((row.try_get(0)?, row.try_get(1)?), ended_item);
    }
    Ok(ended)
}
