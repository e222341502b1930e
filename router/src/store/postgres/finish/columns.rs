//! What ends of items change, as columns for the statements of [`finish`](super).

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    super::{
        lanes::clock,
        outbox::{Numbered, Outgoing},
        session::{Failure, Params, Pipe, Session, numbers},
        statuses::ADOPT_ORPHANS,
        tally::Tallies,
        text::Text,
    },
    Ended, Held,
};
use crate::store::{
    Attempt, Doubt, Item, Lease, MessageId, Micros, NewOutbound, OpenedOutbox, Outcome, Queue, Refusal,
    Standing,
};

pub(in crate::store::postgres) const END_INBOUND: &str =
    "UPDATE message m SET state = u.state, error = u.error
     FROM UNNEST($1::bigint[], $2::text[], $3::text[]) u(seq, state, error) WHERE m.seq = u.seq";

/// A status webhook may have been faster than Graph's answer and have moved the message further.
pub(in crate::store::postgres) const END_OUTBOUND: &str = "UPDATE message m SET
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

pub(in crate::store::postgres) const CERTAIN: &str =
    "UPDATE lane SET uncertain = false WHERE queue = $1 AND conversation = ANY($2)";

pub(in crate::store::postgres) const DEFER_WORK: &str =
    "UPDATE work w SET attempts = w.attempts + u.a, counted = w.counted + u.n, last_reason = u.r,
         last_error = u.e, uncertain = u.un
     FROM (SELECT $1::smallint AS q, x.* FROM UNNEST($2::bigint[], $3::bigint[], $4::int[], $5::int[], $6::text[],
         $7::text[], $8::bool[]) x(c, s, a, n, r, e, un) OFFSET 0) u
     WHERE w.queue = u.q AND w.conversation = u.c AND w.seq = u.s";

/// `at` null: now. `doubt` null: as it was.
pub(in crate::store::postgres) const LET_GO: &str = concat!(
    "UPDATE lane l SET token = 0, owner = NULL, due_at = coalesce(u.at, ",
    clock!(),
    "), uncertain = coalesce(u.doubt, l.uncertain)
     FROM (SELECT $1::smallint AS q, x.* FROM UNNEST($2::bigint[], $3::bigint[], $4::bool[]) x(c, at, doubt) OFFSET 0) u
     WHERE l.queue = u.q AND l.conversation = u.c"
);

/// What becomes of messages and lanes, but for the dead.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) lanes: Vec<i64>,
    pub(super) certain: Vec<i64>,
    pub(super) inbound: Vec<i64>,
    pub(super) states: Vec<&'static str>,
    pub(super) errors: Vec<Option<&'static str>>,
    pub(super) outbound: Vec<i64>,
    pub(super) wamids: Vec<Option<Text<'a>>>,
    pub(super) doubts: Vec<Option<&'static str>>,
    pub(super) watch_at: Vec<Option<Micros>>,
    pub(super) adopting: Vec<i64>,
    pub(super) adopted_by: Vec<Text<'a>>,
}

impl<'a> Columns<'a> {
    pub(super) fn end(&mut self, seq: i64, outcome: &'a Outcome) {
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

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>, queue: &'s i16, now: &'s Micros) {
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
pub(super) struct Dead<'a> {
    pub(super) seqs: Vec<i64>,
    pub(super) lanes: Vec<i64>,
    pub(super) channels: Vec<Arc<str>>,
    pub(super) reasons: Vec<&'static str>,
    pub(super) errors: Vec<Text<'a>>,
    pub(super) doubts: Vec<Option<&'static str>>,
    pub(super) attempts: Vec<i32>,
}

impl<'a> Dead<'a> {
    pub(super) fn add(
        &mut self,
        conversation: i64,
        seq: i64,
        ended: Ended,
        refusal: &'a Refusal,
        channel: &Arc<str>,
    ) {
        self.seqs.push(seq);
        self.lanes.push(conversation);
        self.channels.push(channel.clone());
        self.reasons.push(refusal.reason);
        self.errors.push(Text(&refusal.error));
        self.doubts.push(refusal.doubt.map(Doubt::as_str));
        self.attempts.push(ended.attempts + i32::from(refusal.attempt != Attempt::None));
    }

    /// One that a status has meanwhile proved to be sent is not dead.
    pub(super) async fn bury(
        mut self,
        session: &Session,
        queue: i16,
        now: Micros,
        tallies: &mut Tallies,
    ) -> Result<(), Failure> {
        let died = session.query(DIE, &[&self.seqs, &self.errors, &self.doubts]).await?;
        let died: HashSet<i64> = numbers(&died)?.into_iter().collect();
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
    pub(super) firsts: BTreeMap<i64, (i64, i64, &'a NewOutbound, Uuid)>,
    pub(super) lanes: Vec<i64>,
    pub(super) tokens: Vec<i64>,
    messages: Numbered<'a>,
}

impl<'a> Replies<'a> {
    pub(super) fn add(
        &mut self,
        (conversation, lane, token): (i64, &'a Held, i64),
        cause: &Item,
        messages: &'a [NewOutbound],
        seqs: &mut impl Iterator<Item = i64>,
        tallies: &mut Tallies,
    ) {
        for (message, seq) in messages.iter().zip(seqs) {
            self.firsts.entry(conversation).or_insert((token, seq, message, cause.correlation.0));
            let correlation = cause.correlation.0;
            let outgoing = Outgoing { conversation, channel: &lane.channel, message, correlation };
            self.messages.add(&outgoing, seq, tallies);
        }
    }

    pub(super) fn seal(&mut self) {
        for (conversation, (token, ..)) in &self.firsts {
            self.lanes.push(*conversation);
            self.tokens.push(*token);
        }
    }

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>, now: &'s Micros) {
        self.messages.push(pipe, now).await;
    }

    /// By conversation: the lane that was opened and leased, or that it waits for somebody.
    pub(super) fn firsts(
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
                item: first_item(message, seq, MessageId(correlation), now, standing),
            });
            firsts.insert(conversation, (opened, token == 0));
        }
        firsts
    }
}

/// A message that has just been put into the outbox, as work.
pub(in crate::store::postgres) fn first_item(
    message: &NewOutbound,
    seq: i64,
    correlation: MessageId,
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
        trace: message.trace,
    }
}

/// Lanes that are given back.
#[derive(Default)]
pub(super) struct LetGo<'a> {
    pub(super) lanes: Vec<i64>,
    pub(super) at: Vec<Option<Micros>>,
    pub(super) doubt: Vec<Option<bool>>,
    pub(super) deferred: Vec<i64>,
    pub(super) seqs: Vec<i64>,
    pub(super) attempts: Vec<i32>,
    pub(super) counted: Vec<i32>,
    pub(super) reasons: Vec<&'static str>,
    pub(super) errors: Vec<Text<'a>>,
    pub(super) uncertain: Vec<bool>,
}

impl<'a> LetGo<'a> {
    pub(super) fn defer(&mut self, conversation: i64, seq: i64, refusal: &'a Refusal, due_at: Micros) {
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

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>, queue: &'s i16) {
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
