//! The rows that webhooks bring, as columns for the statements of [`accept`](super).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    super::{
        lanes::Tokens,
        session::{Failure, Params, Pipe},
        text::Text,
    },
    AcceptCall,
};
use crate::store::{
    Accepted, Claim, Contact, Delivery, Inbound, Item, Lease, Micros, NewEcho, NewInbound, Queue, Standing,
    Trace,
};

const MESSAGES: &str = "INSERT INTO message (seq, id, conversation, direction, wamid, type, state, payload, correlation,
         created_at, sent_at, trace)
     SELECT u.seq, u.id, u.c, u.direction, u.wamid, u.type, u.state, u.payload, u.id, u.at, u.sent_at, u.trace
     FROM UNNEST($1::bigint[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
         $9::bigint[], $10::bigint[], $11::bytea[])
         u(seq, id, c, direction, wamid, type, state, payload, at, sent_at, trace)";

const WEBHOOKS: &str =
    "INSERT INTO webhook (received_at, body) SELECT * FROM UNNEST($1::bigint[], $2::bytea[])";

const EVENTS: &str = "INSERT INTO event (received_at, channel, field, raw)
     SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::text[])";

/// A message or echo that is new, and its conversation.
pub(super) struct Stored<'a> {
    pub(super) call: usize,
    pub(super) what: What<'a>,
    pub(super) at: Micros,
    pub(super) conversation: i64,
    pub(super) contact: Arc<Contact>,
}

#[derive(Clone, Copy)]
pub(super) enum What<'a> {
    Message(&'a NewInbound),
    Echo(&'a NewEcho),
}

impl<'a> Stored<'a> {
    pub(super) fn new(
        call: usize,
        what: What<'a>,
        at: Micros,
        (conversation, contact): (i64, Arc<Contact>),
    ) -> Self {
        Self { call, what, at, conversation, contact }
    }
}

/// The keys of everything, each once, in an order that is the same for all routers.
pub(super) struct Keys {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) times: Vec<Micros>,
}

impl Keys {
    pub(super) fn of(calls: &[AcceptCall]) -> Self {
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
    pub(super) fn fresh(&self, rows: &[Row]) -> Result<HashMap<[u8; 16], ()>, Failure> {
        let mut fresh = HashMap::with_capacity(rows.len());
        for row in rows {
            let key: &[u8] = row.try_get(0)?;
            fresh.insert(key.try_into().map_err(|_| Failure::Odd("a key has another length"))?, ());
        }
        Ok(fresh)
    }
}

/// What changes of the conversations themselves.
#[derive(Default)]
pub(super) struct Touched {
    pub(super) ids: Vec<i64>,
    pub(super) at: Vec<Option<Micros>>,
    pub(super) until: Vec<Option<Micros>>,
}

impl Touched {
    pub(super) fn of(stored: &[Stored<'_>]) -> Self {
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

/// The new messages as columns.
#[derive(Default)]
pub(super) struct Columns<'a> {
    pub(super) seqs: Vec<i64>,
    pub(super) ids: Vec<Uuid>,
    pub(super) conversations: Vec<i64>,
    pub(super) directions: Vec<&'static str>,
    pub(super) wamids: Vec<Text<'a>>,
    pub(super) types: Vec<&'static str>,
    pub(super) states: Vec<&'static str>,
    pub(super) payloads: Vec<Text<'a>>,
    pub(super) at: Vec<Micros>,
    pub(super) sent_at: Vec<Option<Micros>>,
    pub(super) traces: Vec<Option<Vec<u8>>>,
    pub(super) bytes: Vec<i64>,
    pub(super) work_lanes: Vec<i64>,
    pub(super) work_seqs: Vec<i64>,
    pub(super) work_bytes: Vec<i64>,
    pub(super) echo_seqs: Vec<i64>,
    pub(super) echo_wamids: Vec<Text<'a>>,
}

impl<'a> Columns<'a> {
    pub(super) fn of(stored: &[Stored<'a>], seqs: &[i64]) -> Self {
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
                    columns.traces.push(message.trace.map(Trace::to_bytes));
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
                    columns.traces.push(None);
                    columns.bytes.push(0);
                    columns.echo_seqs.push(*seq);
                    columns.echo_wamids.push(Text(&echo.wamid));
                }
            }
        }
        columns
    }

    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>) {
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
                &self.traces,
            ],
        )
        .await;
    }
}

/// What else a webhook brought.
#[derive(Default)]
pub(super) struct Rest<'a> {
    pub(super) webhook_at: Vec<Micros>,
    pub(super) webhook_bodies: Vec<&'a [u8]>,
    pub(super) event_at: Vec<Micros>,
    pub(super) event_channels: Vec<Option<Text<'a>>>,
    pub(super) event_fields: Vec<Text<'a>>,
    pub(super) event_raw: Vec<Text<'a>>,
}

impl Rest<'_> {
    pub(super) async fn push<'s>(&'s self, pipe: &mut Pipe<'s>) {
        if !self.webhook_at.is_empty() {
            pipe.push(WEBHOOKS, vec![&self.webhook_at, &self.webhook_bodies]).await;
        }
        if !self.event_at.is_empty() {
            let params: Params<'s> =
                vec![&self.event_at, &self.event_channels, &self.event_fields, &self.event_raw];
            pipe.push(EVENTS, params).await;
        }
    }
}

/// The inbox lanes that get work, in order of their conversations.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) ids: Vec<i64>,
    /// 0 where nobody has room.
    pub(super) tokens: Vec<i64>,
    /// The call that gets the lease or hears that work is left, and the place of the first message.
    pub(super) of: Vec<(usize, usize)>,
}

impl Lanes {
    pub(super) fn of(stored: &[Stored<'_>], calls: &[AcceptCall], busy: &[i64], tokens: &mut Tokens) -> Self {
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

    pub(super) fn hand_out(
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
                trace: message.trace,
            };
            let lease = Lease { queue: Queue::Inbox, conversation, token };
            let (channel, contact) = (message.channel.clone(), stored.contact.clone());
            accepted[call].claims.push(Claim { lease, channel, contact, item });
        }
    }
}
