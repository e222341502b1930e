//! Puts messages to people into the outbox that no inbound message is just being answered by: what every such message
//! has in the database, and the watchdog's remedies.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    accept::{NEW_SEQS, WORK},
    jobs::Scope,
    lanes::OPEN_LANES,
    session::{Failure, Params, Pipe, numbers},
    tally::Tallies,
    text::Text,
};
use crate::store::{MessageId, Micros, NewOutbound, Queue, Remedies, Trace, Undelivered};

const OUTBOX: i16 = Queue::Outbox as i16;

const OUTBOUND: &str =
    "INSERT INTO message (direction, state, created_at, seq, id, conversation, type, payload,
         correlation, route, trace)
     SELECT 'out', 'queued', $1, * FROM UNNEST($2::bigint[], $3::uuid[], $4::bigint[], $5::text[], $6::text[],
         $7::uuid[], $8::text[], $9::bytea[])";

/// A message and where it goes.
pub(super) struct Outgoing<'a> {
    pub(super) conversation: i64,
    pub(super) channel: &'a Arc<str>,
    pub(super) message: &'a NewOutbound,
    pub(super) correlation: Uuid,
}

/// Messages with their numbers, as columns for the statements.
#[derive(Default)]
pub(super) struct Numbered<'a> {
    pub(super) seqs: Vec<i64>,
    ids: Vec<Uuid>,
    conversations: Vec<i64>,
    types: Vec<Text<'a>>,
    payloads: Vec<Text<'a>>,
    correlations: Vec<Uuid>,
    routes: Vec<Option<Text<'a>>>,
    traces: Vec<Option<Vec<u8>>>,
    bytes: Vec<i64>,
}

impl<'a> Numbered<'a> {
    pub(super) fn of(
        outgoing: &[Outgoing<'a>],
        seqs: &[i64],
        tallies: &mut Tallies,
    ) -> Result<Self, Failure> {
        if seqs.len() != outgoing.len() {
            return Err(Failure::Odd("there are fewer numbers than messages"));
        }
        let mut numbered = Self::default();
        for (one, seq) in outgoing.iter().zip(seqs) {
            numbered.add(one, *seq, tallies);
        }
        Ok(numbered)
    }

    /// Counts it, too.
    pub(super) fn add(&mut self, one: &Outgoing<'a>, seq: i64, tallies: &mut Tallies) {
        let Outgoing { conversation, channel, message, correlation } = one;
        let bytes = message.payload.len() as i64;
        self.seqs.push(seq);
        self.ids.push(message.id.0);
        self.conversations.push(*conversation);
        self.types.push(Text(&message.message_type));
        self.payloads.push(Text(&message.payload));
        self.correlations.push(*correlation);
        self.routes.push(message.route.as_deref().map(Text));
        self.traces.push(message.trace.map(Trace::to_bytes));
        self.bytes.push(bytes);
        let tally = tallies.of(channel);
        tally.queued += 1;
        tally.count(Queue::Outbox, 1, bytes);
    }

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>, now: &'s Micros) {
        let params: Params<'s> = vec![
            now,
            &self.seqs,
            &self.ids,
            &self.conversations,
            &self.types,
            &self.payloads,
            &self.correlations,
            &self.routes,
            &self.traces,
        ];
        pipe.push(OUTBOUND, params).await;
        pipe.push(WORK, vec![&OUTBOX, &self.conversations, &self.seqs, &self.bytes]).await;
    }
}

/// The lanes of messages in the order in which they are locked, each with the token that is offered for it; 0 leaves
/// it to others.
pub(super) struct Lanes {
    pub(super) ids: Vec<i64>,
    pub(super) tokens: Vec<i64>,
    count: i64,
}

impl Lanes {
    pub(super) fn of(outgoing: &[Outgoing<'_>], tokens: &HashMap<i64, i64>) -> Self {
        let sorted: BTreeMap<i64, i64> = outgoing
            .iter()
            .map(|one| (one.conversation, tokens.get(&one.conversation).copied().unwrap_or_default()))
            .collect();
        let (ids, tokens) = sorted.into_iter().unzip();
        Self { ids, tokens, count: outgoing.len() as i64 }
    }

    /// Locks or makes them, and takes a number for every message: those of a conversation are thus in the order of
    /// storing. The places of what [`opened`](super::lanes::opened) reads, and of the numbers.
    pub(super) async fn push<'s>(
        &'s self,
        pipe: &mut Pipe<'s>,
        lease: &'s Micros,
        owner: &'s String,
    ) -> (usize, usize) {
        let made = pipe.push(OPEN_LANES, vec![&OUTBOX, &self.ids, &self.tokens, lease, owner]).await;
        (made, pipe.push(NEW_SEQS, vec![&self.count]).await)
    }
}

const TAKE_UNDELIVERED: &str = "UPDATE message m SET watch_at = NULL, undelivered_at = $1 FROM conversation c
    WHERE c.id = m.conversation AND m.seq IN (SELECT seq FROM message
        WHERE watch_at IS NOT NULL AND watch_at <= $1 ORDER BY watch_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING m.conversation, m.id, m.correlation, c.channel, m.route, m.sent_at";

/// What Graph took and never reported as delivered.
pub(super) async fn take_undelivered(
    scope: &mut Scope<'_>,
    at: Micros,
    remedies: &Remedies,
    limit: i64,
) -> Result<Vec<Undelivered>, Failure> {
    let mut all = Vec::new();
    let mut messages = Vec::new();
    for row in scope.session.query(TAKE_UNDELIVERED, &[&at, &limit]).await? {
        let route: Option<Arc<str>> = row.try_get::<_, Option<&str>>(4)?.map(Arc::from);
        let remedy = route.as_ref().and_then(|route| remedies.get(route));
        let remedy = remedy.map(|remedy| NewOutbound { id: MessageId::generate(), ..remedy.clone() });
        all.push(Undelivered {
            id: MessageId(row.try_get(1)?),
            correlation: MessageId(row.try_get(2)?),
            channel: row.try_get::<_, &str>(3)?.into(),
            route,
            sent_at: row.try_get(5)?,
            remedy: remedy.as_ref().map(|remedy| remedy.id),
        });
        messages.push((row.try_get::<_, i64>(0)?, remedy));
    }
    let outgoing: Vec<Outgoing<'_>> = all
        .iter()
        .zip(&messages)
        .filter_map(|(found, (conversation, remedy))| {
            let message = remedy.as_ref()?;
            let correlation = found.correlation.0;
            Some(Outgoing { conversation: *conversation, channel: &found.channel, message, correlation })
        })
        .collect();
    if !outgoing.is_empty() {
        let (now, lease) = (scope.shared.clock.now(), scope.shared.lease_micros());
        let lanes = Lanes::of(&outgoing, &HashMap::new());
        let mut pipe = scope.session.pipe();
        let (_, seqs) = lanes.push(&mut pipe, &lease, &scope.shared.owner).await;
        let seqs = numbers(&pipe.answers().await?.take(seqs))?;
        let numbered = Numbered::of(&outgoing, &seqs, scope.tallies)?;
        let mut pipe = scope.session.pipe();
        numbered.push(&mut pipe, &now).await;
        pipe.answers().await?;
        scope.shared.ring();
        scope.shared.tell_others();
    }
    Ok(all)
}
