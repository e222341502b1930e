//! Ends items, puts them back and gives lanes back: for one queue, many calls in one transaction.
//!
//! Order of locks: conversations (outbox), lanes of this queue by conversation, outbox lanes by conversation, messages,
//! tally. A call whose lease is lost changes nothing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Reply, Shared,
    accept::{NEW_SEQS, WORK},
    lanes::{HEADS, OPEN_LANES, Tokens, clock, opened, read_item, read_standing},
    session::{Failure, Params, Pipe, Session, numbers},
    statuses::ADOPT_ORPHANS,
    tally::Tallies,
    text::Text,
    writer::Batch,
};
use crate::store::{
    Attempt, Depth, Doubt, Finish, Finished, Item, Lease, Micros, NewOutbound, OpenedOutbox, Outcome, Queue,
    Refusal, Standing, StoreError,
};

const BEGIN: &str = "BEGIN";
const COMMIT: &str = "COMMIT";

/// Before the lanes, as storing a webhook does. A lease that is lost at this very moment may still set it once.
const PAIRS: &str = "UPDATE conversation c SET pair_free_at = u.at
     FROM UNNEST($2::bigint[], $3::bigint[], $4::bigint[]) u(c, t, at), lane l
     WHERE c.id = u.c AND l.queue = $1 AND l.conversation = u.c AND l.token = u.t";

/// Which leases hold; they can't be lost from here to the commit.
const LOCK: &str = "SELECT l.conversation, c.channel, c.last_inbound_at, c.taken_over_until, c.pair_free_at
     FROM UNNEST($2::bigint[], $3::bigint[]) u(c, t)
     JOIN lane l ON l.queue = $1 AND l.conversation = u.c AND l.token = u.t
     JOIN conversation c ON c.id = l.conversation
     ORDER BY l.conversation FOR UPDATE OF l";

/// Gone already only if the caller repeats itself under a lease that it still holds.
const TAKE: &str =
    "DELETE FROM work w USING UNNEST($2::bigint[], $3::bigint[], $4::bigint[]) u(c, t, s), lane l
     WHERE l.queue = $1 AND l.conversation = u.c AND l.token = u.t
         AND w.queue = $1 AND w.conversation = u.c AND w.seq = u.s
     RETURNING w.conversation, w.seq, w.attempts, w.bytes";

const END_INBOUND: &str = "UPDATE message m SET state = u.state, error = u.error
     FROM UNNEST($1::bigint[], $2::text[], $3::text[]) u(seq, state, error) WHERE m.seq = u.seq";

/// A status webhook may have been faster than Graph's answer and have moved the message further.
const END_OUTBOUND: &str = "UPDATE message m SET
         state = CASE WHEN m.state IN ('queued', 'dead') THEN 'sent' ELSE m.state END,
         wamid = coalesce(u.wamid, m.wamid), sent_at = coalesce(m.sent_at, $5), doubt = coalesce(u.doubt, m.doubt),
         watch_at = CASE WHEN m.state IN ('queued', 'dead', 'sent') THEN u.watch_at END
     FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::bigint[]) u(seq, wamid, doubt, watch_at)
     WHERE m.seq = u.seq";

const DIE: &str = "UPDATE message m SET state = 'dead', error = u.error, doubt = coalesce(u.doubt, m.doubt)
     FROM UNNEST($1::bigint[], $2::text[], $3::text[]) u(seq, error, doubt)
     WHERE m.seq = u.seq AND m.state IN ('received', 'queued') RETURNING m.seq";
const SURVIVE: &str = "UPDATE message SET doubt = $2 WHERE seq = ANY($1)";
const BURY: &str = "INSERT INTO dead_letter (queue, died_at, seq, conversation, reason, error, attempts)
     SELECT $1, $2, * FROM UNNEST($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::int[])";

pub(super) const OUTBOUND: &str =
    "INSERT INTO message (direction, state, created_at, seq, id, conversation, type, payload,
         correlation, route)
     SELECT 'out', 'queued', $1, * FROM UNNEST($2::bigint[], $3::uuid[], $4::bigint[], $5::text[], $6::text[],
         $7::uuid[], $8::text[])";

const CERTAIN: &str = "UPDATE lane SET uncertain = false WHERE queue = $1 AND conversation = ANY($2)";
const REMOVE: &str = "DELETE FROM lane l WHERE l.queue = $1 AND l.conversation = ANY($2)
     AND NOT EXISTS (SELECT 1 FROM work w WHERE w.queue = l.queue AND w.conversation = l.conversation)";

const DEFER_WORK: &str =
    "UPDATE work w SET attempts = w.attempts + u.a, counted = w.counted + u.n, last_reason = u.r,
         last_error = u.e, uncertain = u.un
     FROM UNNEST($2::bigint[], $3::bigint[], $4::int[], $5::int[], $6::text[], $7::text[], $8::bool[])
         u(c, s, a, n, r, e, un)
     WHERE w.queue = $1 AND w.conversation = u.c AND w.seq = u.s";
/// `at` null: now. `doubt` null: as it was.
const LET_GO: &str = concat!(
    "UPDATE lane l SET token = 0, owner = NULL, due_at = coalesce(u.at, ",
    clock!(),
    "), uncertain = coalesce(u.doubt, l.uncertain)
     FROM UNNEST($2::bigint[], $3::bigint[], $4::bool[]) u(c, at, doubt)
     WHERE l.queue = $1 AND l.conversation = u.c"
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
                    let_go.defer(lease.conversation, *seq, refusal, *due_at);
                }
                LaneCall::Release { in_doubt_until, .. } => {
                    let_go.lanes.push(lease.conversation);
                    let_go.at.push(*in_doubt_until);
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
            replies.push(&mut pipe, &outbox, &now).await;
        }
        ends.push(&mut pipe, &queue, &now).await;
        let_go.push(&mut pipe, &queue).await;
        let mut heads_at = None;
        if !ends.lanes.is_empty() {
            heads_at = Some(pipe.push(HEADS, vec![&queue, &ends.lanes, &one]).await);
            pipe.push(REMOVE, vec![&queue, &ends.lanes]).await;
        }
        if let Some(tally) = &tally {
            tally.push(&mut pipe).await;
        }
        pipe.push(COMMIT, vec![]).await;
        let mut answers = pipe.answers().await?;
        let made = opened(&answers.take(lanes_at))?;
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

/// What becomes of messages and lanes, but for the dead.
#[derive(Default)]
struct Columns<'a> {
    lanes: Vec<i64>,
    certain: Vec<i64>,
    inbound: Vec<i64>,
    states: Vec<&'static str>,
    errors: Vec<Option<&'static str>>,
    outbound: Vec<i64>,
    wamids: Vec<Option<Text<'a>>>,
    doubts: Vec<Option<&'static str>>,
    watch_at: Vec<Option<Micros>>,
    adopting: Vec<i64>,
    adopted_by: Vec<Text<'a>>,
}

impl<'a> Columns<'a> {
    fn end(&mut self, seq: i64, outcome: &'a Outcome) {
        match outcome {
            Outcome::Answered(_) => {
                self.inbound.push(seq);
                self.states.push("answered");
                self.errors.push(None);
            }
            Outcome::NotAnswered { reason } => {
                self.inbound.push(seq);
                self.states.push("not_answered");
                self.errors.push(Some(reason));
            }
            Outcome::Sent { wamid, doubt, watch_at } => {
                self.outbound.push(seq);
                self.wamids.push(wamid.as_deref().map(Text));
                self.doubts.push(doubt.map(Doubt::as_str));
                self.watch_at.push(*watch_at);
                if let Some(wamid) = wamid {
                    self.adopting.push(seq);
                    self.adopted_by.push(Text(wamid));
                }
            }
            Outcome::Dead(_) => {}
        }
    }

    async fn push<'s>(&'s self, pipe: &mut Pipe<'s>, queue: &'s i16, now: &'s Micros) {
        if !self.inbound.is_empty() {
            pipe.push(END_INBOUND, vec![&self.inbound, &self.states, &self.errors]).await;
        }
        if !self.outbound.is_empty() {
            let params: Params<'s> = vec![&self.outbound, &self.wamids, &self.doubts, &self.watch_at, now];
            pipe.push(END_OUTBOUND, params).await;
        }
        if !self.adopting.is_empty() {
            pipe.push(ADOPT_ORPHANS, vec![&self.adopting, &self.adopted_by]).await;
        }
        if !self.certain.is_empty() {
            pipe.push(CERTAIN, vec![queue, &self.certain]).await;
        }
    }
}

/// Items that are given up; rare enough for round trips of their own.
#[derive(Default)]
struct Dead<'a> {
    seqs: Vec<i64>,
    lanes: Vec<i64>,
    channels: Vec<Arc<str>>,
    reasons: Vec<&'static str>,
    errors: Vec<Text<'a>>,
    doubts: Vec<Option<&'static str>>,
    attempts: Vec<i32>,
}

impl<'a> Dead<'a> {
    fn add(&mut self, conversation: i64, seq: i64, ended: Ended, refusal: &'a Refusal, channel: &Arc<str>) {
        self.seqs.push(seq);
        self.lanes.push(conversation);
        self.channels.push(channel.clone());
        self.reasons.push(refusal.reason);
        self.errors.push(Text(&refusal.error));
        self.doubts.push(refusal.doubt.map(Doubt::as_str));
        self.attempts.push(ended.attempts + i32::from(refusal.attempt != Attempt::None));
    }

    /// One that a status has meanwhile proved to be sent is not dead.
    async fn bury(
        mut self,
        session: &Session,
        queue: i16,
        now: Micros,
        tallies: &mut Tallies,
    ) -> Result<(), Failure> {
        let died = session.query(DIE, &[&self.seqs, &self.errors, &self.doubts]).await?;
        let died: std::collections::HashSet<i64> = numbers(&died)?.into_iter().collect();
        let survived: Vec<i64> = self.seqs.iter().filter(|seq| !died.contains(seq)).copied().collect();
        for (seq, channel) in self.seqs.iter().zip(&self.channels) {
            let tally = tallies.of(channel);
            if died.contains(seq) {
                tally.depth.dead_letters += 1;
            } else {
                tally.sent += 1;
            }
        }
        if !survived.is_empty() {
            session.execute(SURVIVE, &[&survived, &Doubt::SettledByStatus.as_str()]).await?;
            let keep: Vec<bool> = self.seqs.iter().map(|seq| died.contains(seq)).collect();
            retain(&mut self.seqs, &keep);
            retain(&mut self.lanes, &keep);
            retain(&mut self.reasons, &keep);
            retain(&mut self.errors, &keep);
            retain(&mut self.attempts, &keep);
        }
        let Self { seqs, lanes, reasons, errors, attempts, .. } = &self;
        session.execute(BURY, &[&queue, &now, seqs, lanes, reasons, errors, attempts]).await?;
        Ok(())
    }
}

fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut keep = keep.iter();
    values.retain(|_| keep.next().copied().unwrap_or_default());
}

/// Messages that are put into the outbox, and the lanes that they open.
#[derive(Default)]
pub(super) struct Replies<'a> {
    firsts: BTreeMap<i64, (i64, i64, &'a NewOutbound, Uuid)>,
    lanes: Vec<i64>,
    tokens: Vec<i64>,
    seqs: Vec<i64>,
    ids: Vec<Uuid>,
    conversations: Vec<i64>,
    types: Vec<Text<'a>>,
    payloads: Vec<Text<'a>>,
    correlations: Vec<Uuid>,
    routes: Vec<Option<Text<'a>>>,
    bytes: Vec<i64>,
}

impl<'a> Replies<'a> {
    fn add(
        &mut self,
        (conversation, lane, token): (i64, &Held, i64),
        cause: &Item,
        messages: &'a [NewOutbound],
        seqs: &mut impl Iterator<Item = i64>,
        tallies: &mut Tallies,
    ) {
        for (message, seq) in messages.iter().zip(seqs) {
            self.firsts.entry(conversation).or_insert((token, seq, message, cause.correlation.0));
            self.seqs.push(seq);
            self.ids.push(message.id.0);
            self.conversations.push(conversation);
            self.types.push(Text(&message.message_type));
            self.payloads.push(Text(&message.payload));
            self.correlations.push(cause.correlation.0);
            self.routes.push(message.route.as_deref().map(Text));
            let bytes = message.payload.len() as i64;
            self.bytes.push(bytes);
            let tally = tallies.of(&lane.channel);
            tally.queued += 1;
            tally.count(Queue::Outbox, 1, bytes);
        }
    }

    fn seal(&mut self) {
        for (conversation, (token, ..)) in &self.firsts {
            self.lanes.push(*conversation);
            self.tokens.push(*token);
        }
    }

    async fn push<'s>(&'s self, pipe: &mut Pipe<'s>, outbox: &'s i16, now: &'s Micros) {
        let params: Params<'s> = vec![
            now,
            &self.seqs,
            &self.ids,
            &self.conversations,
            &self.types,
            &self.payloads,
            &self.correlations,
            &self.routes,
        ];
        pipe.push(OUTBOUND, params).await;
        pipe.push(WORK, vec![outbox, &self.conversations, &self.seqs, &self.bytes]).await;
    }

    /// By conversation: the lane that was opened and leased, or that it waits for somebody.
    fn firsts(
        &self,
        made: &HashMap<i64, (i64, bool)>,
        held: &HashMap<i64, Held>,
        now: Micros,
    ) -> HashMap<i64, (Option<OpenedOutbox>, bool)> {
        let mut firsts = HashMap::new();
        for (&conversation, &(token, seq, message, correlation)) in &self.firsts {
            if !made.get(&conversation).is_some_and(|(_, new)| *new) {
                continue;
            }
            let standing = held.get(&conversation).map(|lane| lane.standing).unwrap_or_default();
            let opened = (token != 0).then(|| OpenedOutbox {
                lease: Lease { queue: Queue::Outbox, conversation, token },
                item: first_item(message, seq, crate::store::MessageId(correlation), now, standing),
            });
            firsts.insert(conversation, (opened, token == 0));
        }
        firsts
    }
}

/// A message that has just been put into the outbox, as work.
pub(super) fn first_item(
    message: &NewOutbound,
    seq: i64,
    correlation: crate::store::MessageId,
    now: Micros,
    standing: Standing,
) -> Item {
    Item {
        seq,
        id: message.id,
        correlation,
        payload: message.payload.clone(),
        attempts: 0,
        counted: 0,
        created_at: now,
        inbound: None,
        uncertain: false,
        already_sent: false,
        route: message.route.clone(),
        standing,
    }
}

/// Lanes that are given back.
#[derive(Default)]
struct LetGo<'a> {
    lanes: Vec<i64>,
    at: Vec<Option<Micros>>,
    doubt: Vec<Option<bool>>,
    deferred: Vec<i64>,
    seqs: Vec<i64>,
    attempts: Vec<i32>,
    counted: Vec<i32>,
    reasons: Vec<&'static str>,
    errors: Vec<Text<'a>>,
    uncertain: Vec<bool>,
}

impl<'a> LetGo<'a> {
    fn defer(&mut self, conversation: i64, seq: i64, refusal: &'a Refusal, due_at: Micros) {
        self.lanes.push(conversation);
        self.at.push(Some(due_at));
        // From now on it is written down with the item.
        self.doubt.push(Some(false));
        self.deferred.push(conversation);
        self.seqs.push(seq);
        self.attempts.push(i32::from(refusal.attempt != Attempt::None));
        self.counted.push(i32::from(refusal.attempt == Attempt::Counted));
        self.reasons.push(refusal.reason);
        self.errors.push(Text(&refusal.error));
        self.uncertain.push(refusal.uncertain);
    }

    async fn push<'s>(&'s self, pipe: &mut Pipe<'s>, queue: &'s i16) {
        if !self.deferred.is_empty() {
            let params: Params<'s> = vec![
                queue,
                &self.deferred,
                &self.seqs,
                &self.attempts,
                &self.counted,
                &self.reasons,
                &self.errors,
                &self.uncertain,
            ];
            pipe.push(DEFER_WORK, params).await;
        }
        if !self.lanes.is_empty() {
            pipe.push(LET_GO, vec![queue, &self.lanes, &self.at, &self.doubt]).await;
        }
    }
}
