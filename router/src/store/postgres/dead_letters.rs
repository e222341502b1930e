//! What an operator does with work that was given up: tries it again or deletes it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    accept::WORK,
    jobs::Scope,
    lanes::{OPEN_LANES, opened},
    session::{Failure, Session, numbers},
};
use crate::store::{MessageId, Queue, Replayed};

const SEQ: &str = "SELECT seq FROM message WHERE id = $1";
const TAKE: &str =
    "DELETE FROM dead_letter d USING conversation c WHERE d.seq = ANY($1) AND c.id = d.conversation
    RETURNING d.seq, d.queue, d.conversation, c.channel";
const HEADS: &str = "SELECT conversation, min(seq) FROM work WHERE queue = $1 AND conversation = ANY($2) GROUP BY conversation";
pub(super) const DOUBT_OF_LANES: &str = "UPDATE lane SET uncertain = false
    WHERE queue = $1 AND conversation = ANY($2) AND (uncertain OR token <> 0) RETURNING conversation";
pub(super) const DOUBT_OF_ITEMS: &str = "UPDATE work w SET uncertain = true
    FROM (SELECT $1::smallint AS q, x.* FROM UNNEST($2::bigint[], $3::bigint[]) x(c, s) OFFSET 0) u
    WHERE w.queue = u.q AND w.conversation = u.c AND w.seq = u.s";
pub(super) const REVIVE: &str =
    "UPDATE message SET state = $2, error = NULL, doubt = NULL, trace = NULL WHERE seq = ANY($1)
    RETURNING seq, octet_length(payload)::bigint";
const DISCARD: &str = "UPDATE message SET state = 'discarded' WHERE seq = ANY($1)";

/// A dead letter that was taken.
struct Buried {
    seq: i64,
    queue: Queue,
    conversation: i64,
    channel: Arc<str>,
}

/// Those of `seqs` that are dead; they are no more.
async fn take(scope: &mut Scope<'_>, seqs: &[i64]) -> Result<Vec<Buried>, Failure> {
    let mut taken = Vec::new();
    for row in scope.session.query(TAKE, &[&seqs]).await? {
        let queue =
            if row.try_get::<_, i16>(1)? == Queue::Inbox as i16 { Queue::Inbox } else { Queue::Outbox };
        let channel: Arc<str> = row.try_get::<_, &str>(3)?.into();
        scope.tallies.of(&channel).depth.dead_letters -= 1;
        taken.push(Buried { seq: row.try_get(0)?, queue, conversation: row.try_get(2)?, channel });
    }
    Ok(taken)
}

pub(super) async fn seq_of(session: &Session, id: MessageId) -> Result<Vec<i64>, Failure> {
    Ok(numbers(&session.query(SEQ, &[&id.0]).await?)?)
}

/// Puts those of `seqs` that are dead back into their queues.
pub(super) async fn replay(scope: &mut Scope<'_>, seqs: &[i64]) -> Result<Replayed, Failure> {
    let taken = take(scope, seqs).await?;
    let (inbox, outbox): (Vec<_>, Vec<_>) = taken.into_iter().partition(|one| one.queue == Queue::Inbox);
    let replayed = Replayed { inbox: inbox.len(), outbox: outbox.len() };
    put_back(scope, Queue::Inbox, &inbox, "received").await?;
    put_back(scope, Queue::Outbox, &outbox, "queued").await?;
    if replayed != Replayed::default() {
        scope.shared.ring();
        scope.shared.tell_others();
    }
    Ok(replayed)
}

async fn put_back(
    scope: &mut Scope<'_>,
    queue: Queue,
    buried: &[Buried],
    state: &'static str,
) -> Result<(), Failure> {
    if buried.is_empty() {
        return Ok(());
    }
    let number = queue as i16;
    // By lane, in order, the first that goes back.
    let mut firsts: BTreeMap<i64, i64> = BTreeMap::new();
    for one in buried {
        let first = firsts.entry(one.conversation).or_insert(one.seq);
        *first = one.seq.min(*first);
    }
    let lanes: Vec<i64> = firsts.keys().copied().collect();
    let none = vec![0_i64; lanes.len()];
    let seqs: Vec<i64> = buried.iter().map(|one| one.seq).collect();
    let lease = scope.shared.lease_micros();
    let mut pipe = scope.session.pipe();
    // A lane that waits for a later item goes on waiting: its wait may be for a status.
    let made = pipe.push(OPEN_LANES, vec![&number, &lanes, &none, &lease, &scope.shared.owner]).await;
    let heads = pipe.push(HEADS, vec![&number, &lanes]).await;
    let revived = pipe.push(REVIVE, vec![&seqs, &state]).await;
    let mut answers = pipe.answers().await?;
    let made = opened(&answers.take(made), &lanes, &none)?;
    let mut displaced = HashMap::new();
    for row in answers.take(heads) {
        let (lane, head): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let is_new = made.get(&lane).is_some_and(|(_, new)| *new);
        if !is_new && firsts.get(&lane).is_some_and(|first| *first < head) {
            displaced.insert(lane, head);
        }
    }
    let mut bytes = HashMap::new();
    for row in answers.take(revived) {
        bytes.insert(row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?);
    }
    keep_doubts(scope, number, &displaced).await?;
    let conversations: Vec<i64> = buried.iter().map(|one| one.conversation).collect();
    let sizes: Vec<i64> = buried.iter().map(|one| bytes.get(&one.seq).copied().unwrap_or_default()).collect();
    scope.session.execute(WORK, &[&number, &conversations, &seqs, &sizes]).await?;
    for (one, bytes) in buried.iter().zip(sizes) {
        scope.tallies.of(&one.channel).count(queue, 1, bytes);
    }
    Ok(())
}

/// The lane says of its head alone that it may have been done. Something that goes in front of it takes that place, so
/// the doubt is written down with the item. An item that is being worked on counts as in doubt: its holder may vanish.
async fn keep_doubts(scope: &Scope<'_>, queue: i16, displaced: &HashMap<i64, i64>) -> Result<(), Failure> {
    if displaced.is_empty() {
        return Ok(());
    }
    let lanes: Vec<i64> = displaced.keys().copied().collect();
    let in_doubt = numbers(&scope.session.query(DOUBT_OF_LANES, &[&queue, &lanes]).await?)?;
    let heads: Vec<i64> = in_doubt.iter().filter_map(|lane| displaced.get(lane)).copied().collect();
    if !in_doubt.is_empty() {
        scope.session.execute(DOUBT_OF_ITEMS, &[&queue, &in_doubt, &heads]).await?;
    }
    Ok(())
}

/// Deletes those of `seqs` that are dead; how many there were.
pub(super) async fn discard(scope: &mut Scope<'_>, seqs: &[i64]) -> Result<usize, Failure> {
    let taken = take(scope, seqs).await?;
    let seqs: Vec<i64> = taken.iter().map(|one| one.seq).collect();
    if !seqs.is_empty() {
        scope.session.execute(DISCARD, &[&seqs]).await?;
    }
    for one in &taken {
        let tally = scope.tallies.of(&one.channel);
        match one.queue {
            Queue::Inbox => tally.not_to_be_answered += 1,
            Queue::Outbox => tally.discarded += 1,
        }
    }
    Ok(taken.len())
}
