//! Puts messages to people into the outbox that no inbound message is just being answered by: what the API was asked to
//! send, and the watchdog's remedies.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    accept::{NEW_SEQS, WORK},
    finish::{OUTBOUND, first_item},
    jobs::Scope,
    lanes::{OPEN_LANES, opened, read_standing},
    people::{People, Written},
    session::{Failure, Params, numbers},
    text::{Text, clean_contact},
};
use crate::store::{
    Claim, Contact, Enqueued, Idempotency, Lease, MessageId, Micros, NewOutbound, NewSend, Queue, Remedies,
    Trace, Undelivered,
};

const REMEMBER: &str =
    "INSERT INTO idempotency (key, fingerprint, message, created_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING";
const REMEMBERED: &str = "SELECT fingerprint, message FROM idempotency WHERE key = $1";
const STANDING: &str =
    "SELECT last_inbound_at, taken_over_until, pair_free_at FROM conversation WHERE id = $1";

/// A message and where it goes.
struct Outgoing<'a> {
    conversation: i64,
    channel: &'a Arc<str>,
    message: &'a NewOutbound,
    correlation: Uuid,
}

/// Locks the lanes, then numbers and stores the messages: those of a conversation are numbered in the order of storing.
/// Gives the numbers, and which lanes were made now. `token`: for the lanes that are made; 0 leaves them to others.
async fn put(
    scope: &mut Scope<'_>,
    outgoing: &[Outgoing<'_>],
    token: i64,
    now: Micros,
) -> Result<(Vec<i64>, HashMap<i64, (i64, bool)>), Failure> {
    let (outbox, lease) = (Queue::Outbox as i16, scope.shared.lease_micros());
    let lanes: BTreeSet<i64> = outgoing.iter().map(|one| one.conversation).collect();
    let lanes: Vec<i64> = lanes.into_iter().collect();
    let tokens = vec![token; lanes.len()];
    let count = outgoing.len() as i64;
    let mut pipe = scope.session.pipe();
    let made = pipe.push(OPEN_LANES, vec![&outbox, &lanes, &tokens, &lease, &scope.shared.owner]).await;
    let seqs = pipe.push(NEW_SEQS, vec![&count]).await;
    let mut answers = pipe.answers().await?;
    let made = opened(&answers.take(made), &lanes, &tokens)?;
    let seqs = numbers(&answers.take(seqs))?;

    let ids: Vec<Uuid> = outgoing.iter().map(|one| one.message.id.0).collect();
    let conversations: Vec<i64> = outgoing.iter().map(|one| one.conversation).collect();
    let types: Vec<Text<'_>> = outgoing.iter().map(|one| Text(&one.message.message_type)).collect();
    let payloads: Vec<Text<'_>> = outgoing.iter().map(|one| Text(&one.message.payload)).collect();
    let correlations: Vec<Uuid> = outgoing.iter().map(|one| one.correlation).collect();
    let routes: Vec<Option<Text<'_>>> =
        outgoing.iter().map(|one| one.message.route.as_deref().map(Text)).collect();
    let traces: Vec<Option<Vec<u8>>> =
        outgoing.iter().map(|one| one.message.trace.map(Trace::to_bytes)).collect();
    let bytes: Vec<i64> = outgoing.iter().map(|one| one.message.payload.len() as i64).collect();
    let mut pipe = scope.session.pipe();
    let params: Params<'_> =
        vec![&now, &seqs, &ids, &conversations, &types, &payloads, &correlations, &routes, &traces];
    pipe.push(OUTBOUND, params).await;
    pipe.push(WORK, vec![&outbox, &conversations, &seqs, &bytes]).await;
    pipe.answers().await?;
    for (one, bytes) in outgoing.iter().zip(bytes) {
        let tally = scope.tallies.of(one.channel);
        tally.queued += 1;
        tally.count(Queue::Outbox, 1, bytes);
    }
    Ok((seqs, made))
}

pub(super) async fn enqueue(scope: &mut Scope<'_>, send: &NewSend, claim: bool) -> Result<Enqueued, Failure> {
    let now = scope.shared.clock.now();
    let (conversation, contact) = conversation(scope, send, now).await?;
    if let Some(idempotency) = &send.idempotency
        && let Some(known) = used_before(scope, idempotency, send.message.id, now).await?
    {
        return Ok(known);
    }
    let rows = scope.session.query(STANDING, &[&conversation]).await?;
    let standing = rows.first().map(|row| read_standing(row, 0)).transpose()?.unwrap_or_default();
    if send.inbound_since.is_some_and(|since| standing.last_inbound_at.is_none_or(|at| at < since)) {
        // What is refused leaves nothing behind.
        scope.session.run("ROLLBACK; BEGIN").await?;
        return Ok(Enqueued::WindowClosed);
    }
    let token = if claim { scope.tokens.take() } else { 0 };
    let outgoing = Outgoing {
        conversation,
        channel: &send.channel,
        message: &send.message,
        correlation: send.message.id.0,
    };
    let (seqs, made) = put(scope, &[outgoing], token, now).await?;
    let is_new = made.get(&conversation).is_some_and(|(_, new)| *new);
    let (Some(&seq), true) = (seqs.first(), is_new) else {
        return Ok(Enqueued::Stored { claim: None, left_work: false });
    };
    if token == 0 {
        scope.shared.tell_others();
        return Ok(Enqueued::Stored { claim: None, left_work: true });
    }
    let item = first_item(&send.message, seq, send.message.id, now, standing);
    let lease = Lease { queue: Queue::Outbox, conversation, token };
    let claim = Claim { lease, channel: send.channel.clone(), contact, item };
    Ok(Enqueued::Stored { claim: Some(Box::new(claim)), left_work: false })
}

/// The conversation, opened when there is none.
async fn conversation(
    scope: &Scope<'_>,
    send: &NewSend,
    now: Micros,
) -> Result<(i64, Arc<Contact>), Failure> {
    let contact = clean_contact(&send.contact);
    let people = People::of(std::iter::once((&send.channel, &*contact)));
    // A lock that is held with others can't be made one's own without a deadlock, so a look without it decides.
    let mut alone = false;
    for look in [false, true] {
        let mut pipe = scope.session.pipe();
        if look {
            people.push_lock(&mut pipe, alone).await;
        }
        let known = people.push_look_up(&mut pipe).await;
        let mut book = people.book(&pipe.answers().await?.take(known))?;
        let settled = book.settled(&send.channel, &contact);
        if !look {
            alone = settled.is_none();
            continue;
        }
        if let Some(settled) = settled {
            return Ok(settled);
        }
        if !alone {
            // It changed between the two looks.
            return Err(Failure::Again);
        }
        people.prepare(scope.session, &mut book).await?;
        let found = book.resolve(&send.channel, &contact);
        let written = Written::of(&book, now);
        let mut pipe = scope.session.pipe();
        written.push(&mut pipe).await;
        pipe.answers().await?;
        return found.ok_or(Failure::Odd("a contact has no conversation"));
    }
    Err(Failure::Again)
}

/// `None` when the key is new; then it is remembered.
async fn used_before(
    scope: &Scope<'_>,
    idempotency: &Idempotency,
    id: MessageId,
    now: Micros,
) -> Result<Option<Enqueued>, Failure> {
    let (key, fingerprint) = (&idempotency.key.0[..], &idempotency.fingerprint[..]);
    if scope.session.execute(REMEMBER, &[&key, &fingerprint, &id.0, &now]).await? == 1 {
        return Ok(None);
    }
    let rows = scope.session.query(REMEMBERED, &[&key]).await?;
    // It was deleted as too old just now.
    let Some(row) = rows.first() else { return Err(Failure::Again) };
    let same = row.try_get::<_, &[u8]>(0)? == fingerprint;
    Ok(Some(if same { Enqueued::Known(MessageId(row.try_get(1)?)) } else { Enqueued::Conflict }))
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
        let now = scope.shared.clock.now();
        put(scope, &outgoing, 0, now).await?;
        scope.shared.ring();
        scope.shared.tell_others();
    }
    Ok(all)
}
