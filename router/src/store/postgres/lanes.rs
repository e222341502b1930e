//! Leases on lanes: taking them, prolonging them, and what lies at their head.
//!
//! A lease ends by the clock of the database, which is the one clock that all routers share.

use std::{collections::HashMap, sync::Arc};

use tokio_postgres::{Error, Row};

use super::{
    Shared,
    expiry::{EXPIRE, IDLE, NEXT_EXPIRY, TIDY},
    people::read_contact,
    session::{Failure, Session, numbers},
};
use crate::store::{
    Claim, Claims, Inbound, Item, Lease, MessageId, Micros, Queue, Standing, StoreError, Trace,
};

/// The database's clock in our unit, and as far ahead as tests moved ours.
macro_rules! clock {
    () => {
        "((extract(epoch FROM clock_timestamp()) * 1000000)::bigint + current_setting('whatsapp_router.ahead')::bigint)"
    };
}
pub(super) use clock;

/// The same for all rows of a statement, so that an index can be searched for it.
macro_rules! moment {
    () => {
        "((extract(epoch FROM statement_timestamp()) * 1000000)::bigint + current_setting('whatsapp_router.ahead')::bigint)"
    };
}

/// Makes the lanes that are not there, and takes those that are idle; any other stays as it is, but locked until the
/// commit, so that its holder sees the new work before it lets the lane go. The last column: due from now on.
pub(super) const OPEN_LANES: &str = concat!(
    "INSERT INTO lane AS l (queue, conversation, due_at, owner, token, leased_until)
     SELECT $1, u.c, CASE WHEN u.t = 0 THEN ",
    moment!(),
    " END, CASE WHEN u.t <> 0 THEN $5::text END, u.t, CASE WHEN u.t <> 0 THEN ",
    moment!(),
    " + $4::bigint ELSE 0 END
     FROM UNNEST($2::bigint[], $3::bigint[]) WITH ORDINALITY u(c, t, o) ORDER BY u.o
     ON CONFLICT (queue, conversation) DO UPDATE SET (due_at, owner, token, leased_until) = ROW(
         CASE WHEN l.token = 0 AND l.due_at IS NULL THEN excluded.due_at ELSE l.due_at END,
         CASE WHEN l.token = 0 AND l.due_at IS NULL THEN excluded.owner ELSE l.owner END,
         CASE WHEN l.token = 0 AND l.due_at IS NULL THEN excluded.token ELSE l.token END,
         CASE WHEN l.token = 0 AND l.due_at IS NULL THEN excluded.leased_until ELSE l.leased_until END)
     RETURNING conversation, token, token = 0 AND due_at = ",
    moment!()
);

/// By conversation: the lane's token, and whether it was made or taken now. `lanes` and `tokens`: as they were offered.
pub(super) fn opened(
    rows: &[Row],
    lanes: &[i64],
    tokens: &[i64],
) -> Result<HashMap<i64, (i64, bool)>, Error> {
    let offered: HashMap<i64, i64> = lanes.iter().copied().zip(tokens.iter().copied()).collect();
    let mut opened = HashMap::with_capacity(rows.len());
    for row in rows {
        let (conversation, token, is_due_now): (i64, i64, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        let is_new = match offered.get(&conversation) {
            Some(0) | None => is_due_now,
            Some(offered) => token == *offered,
        };
        opened.insert(conversation, (token, is_new));
    }
    Ok(opened)
}

const TOKEN_BLOCKS: &str = "SELECT nextval('lease_token') FROM generate_series(1, $1::bigint)";
const TOKENS_IN_BLOCK: i64 = 1_000;
const GIVE_BACK: &str = concat!(
    "UPDATE lane SET token = 0, owner = NULL, due_at = ",
    clock!(),
    " WHERE token = ANY($1) AND owner = $2"
);

/// Fencing tokens, taken from the database in blocks.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    spare: Vec<i64>,
    /// Those that the transaction under way may give to lanes.
    offered: Vec<i64>,
}

impl Tokens {
    /// Makes sure that `count` can be taken.
    pub(super) async fn fill(&mut self, session: &Session, count: usize) -> Result<(), Error> {
        if self.spare.len() < count {
            let blocks = (count - self.spare.len()) as i64 / TOKENS_IN_BLOCK + 1;
            for last in numbers(&session.query(TOKEN_BLOCKS, &[&blocks]).await?)? {
                self.spare.extend(last - TOKENS_IN_BLOCK + 1..=last);
            }
        }
        Ok(())
    }

    /// 0, which leases nothing, when there are none left.
    pub(super) fn take(&mut self) -> i64 {
        let token = self.spare.pop().unwrap_or(0);
        self.offered.push(token);
        token
    }

    /// The transaction's outcome is known.
    pub(super) fn settle(&mut self) {
        self.offered.clear();
    }

    /// After a commit whose outcome nobody knows: its callers were told that it failed, so nobody works under these
    /// leases, and they need not be waited for.
    pub(super) async fn give_back(&mut self, session: &Session, shared: &Shared) -> Result<(), Failure> {
        if !self.offered.is_empty() && session.execute(GIVE_BACK, &[&self.offered, &shared.owner]).await? > 0
        {
            shared.ring();
            shared.tell_others();
        }
        self.offered.clear();
        Ok(())
    }
}

pub(super) const HEADS: &str = "SELECT w.conversation, w.seq, w.attempts, w.counted, w.uncertain, m.id, m.correlation,
         m.created_at, m.wamid, m.sent_at, m.state, m.route, m.payload, m.trace
     FROM UNNEST($2::bigint[]) u(c)
     CROSS JOIN LATERAL (SELECT * FROM work w WHERE w.queue = $1 AND w.conversation = u.c ORDER BY w.seq LIMIT $3) w
     JOIN message m ON m.seq = w.seq
     ORDER BY w.conversation, w.seq";

/// From [`HEADS`], without the first column, the conversation.
pub(super) fn read_item(queue: Queue, row: &Row, standing: Standing) -> Result<Item, Error> {
    let inbound = match queue {
        Queue::Inbox => {
            let wamid: Option<&str> = row.try_get(8)?;
            Some(Inbound { wamid: wamid.unwrap_or_default().into(), sent_at: row.try_get(9)? })
        }
        Queue::Outbox => None,
    };
    let state: &str = row.try_get(10)?;
    let count = |column| -> Result<u32, Error> { Ok(row.try_get::<_, i32>(column)?.unsigned_abs()) };
    Ok(Item {
        seq: row.try_get(1)?,
        attempts: count(2)?,
        counted: count(3)?,
        uncertain: row.try_get(4)?,
        id: MessageId(row.try_get(5)?),
        correlation: MessageId(row.try_get(6)?),
        created_at: row.try_get(7)?,
        inbound,
        already_sent: queue == Queue::Outbox && state != "queued",
        route: row.try_get::<_, Option<&str>>(11)?.map(Arc::from),
        payload: row.try_get::<_, &str>(12)?.into(),
        standing,
        trace: row.try_get::<_, Option<&[u8]>>(13)?.and_then(Trace::from_bytes),
    })
}

/// From three columns: last_inbound_at, taken_over_until, pair_free_at.
pub(super) fn read_standing(row: &Row, first: usize) -> Result<Standing, Error> {
    Ok(Standing {
        last_inbound_at: row.try_get(first)?,
        taken_over_until: row.try_get(first + 1)?,
        pair_free_at: row.try_get(first + 2)?,
    })
}

pub(super) const HURRY: &str = concat!(
    "WITH waiting AS (SELECT l.queue, l.conversation FROM lane l JOIN conversation c ON c.id = l.conversation
         WHERE l.queue = $1 AND l.token = 0 AND NOT l.uncertain AND c.channel = $2 AND l.due_at > ",
    clock!(),
    " AND NOT EXISTS (SELECT 1 FROM work w WHERE w.queue = l.queue AND w.conversation = l.conversation AND w.uncertain)
         LIMIT $3 FOR UPDATE OF l SKIP LOCKED)
     UPDATE lane l SET due_at = ",
    clock!(),
    " FROM waiting WHERE l.queue = waiting.queue AND l.conversation = waiting.conversation"
);

pub(super) async fn hurry(
    session: &Session,
    queue: Queue,
    channel: &str,
    limit: i64,
) -> Result<usize, Failure> {
    let hurried = session.execute(HURRY, &[&(queue as i16), &channel, &limit]).await?;
    Ok(usize::try_from(hurried).unwrap_or(usize::MAX))
}

pub(super) const CLAIM: &str = concat!(
    "WITH due AS (SELECT queue, conversation, due_at FROM lane WHERE queue = $1 AND token = 0
         AND due_at <= coalesce($2::bigint, ",
    moment!(),
    ") ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED),
     numbered AS (SELECT queue, conversation, row_number() OVER (ORDER BY due_at, conversation) AS n FROM due)
     UPDATE lane l SET token = ($4::bigint[])[n.n], owner = $5, due_at = NULL, leased_until = ",
    clock!(),
    " + $6::bigint
     FROM numbered n WHERE l.queue = n.queue AND l.conversation = n.conversation
     RETURNING l.conversation, l.token, l.uncertain, n.n"
);

pub(super) const PEOPLE: &str =
    "SELECT c.id, c.last_inbound_at, c.taken_over_until, c.pair_free_at, c.channel, c.contact, c.wa_id,
         c.user_id, c.username, c.name
     FROM UNNEST($1::bigint[]) u(id) JOIN conversation c ON c.id = u.id";

const NEXT_DUE: &str = concat!(
    "SELECT (SELECT due_at FROM lane WHERE queue = $1 AND token = 0 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1), ",
    clock!()
);

const REST: &str = concat!(
    "UPDATE lane l SET due_at = ",
    clock!(),
    " + $1::bigint WHERE l.queue = 2 AND l.token = 0 AND l.due_at < ",
    clock!(),
    " + $1::bigint AND (l.uncertain OR EXISTS (SELECT 1 FROM work w
         WHERE w.queue = 2 AND w.conversation = l.conversation AND w.uncertain))"
);

/// While no router ran no status could arrive, so what is in doubt at a start waits anew. Where others run it only
/// waits a little longer.
pub(super) async fn rest_in_doubt(session: &Session, wait: Micros) -> Result<(), Error> {
    session.client().execute(REST, &[&wait]).await?;
    Ok(())
}

/// Ends lanes that hold nothing: there are none in the usual course.
const EMPTY: &str = "DELETE FROM lane l WHERE l.queue = $1 AND l.conversation = ANY($2)
     AND NOT EXISTS (SELECT 1 FROM work w WHERE w.queue = l.queue AND w.conversation = l.conversation)";

/// How soon to look again at a lane that is due but was locked by somebody.
const SOON: Micros = 5_000;

/// Everything of a claim but `BEGIN` and `COMMIT`.
pub(super) async fn claim(
    session: &Session,
    shared: &Shared,
    tokens: &[i64],
    queue: Queue,
    at: Option<Micros>,
) -> Result<Claims, Failure> {
    let number = queue as i16;
    let rest = match queue {
        Queue::Inbox => 0,
        Queue::Outbox => shared.uncertain_wait,
    };
    let limit = tokens.len() as i64;
    let lease = shared.lease_micros();
    let looks = at.is_some() || shared.expiries.is_time(queue);
    let mut pipe = session.pipe();
    let mut expiry = None;
    if looks {
        pipe.push(EXPIRE, vec![&number, &rest, &at]).await;
        pipe.push(TIDY, vec![&number, &IDLE]).await;
        expiry = Some(pipe.push(NEXT_EXPIRY, vec![&number, &shared.owner]).await);
    }
    let taken = pipe.push(CLAIM, vec![&number, &at, &limit, &tokens, &shared.owner, &lease]).await;
    let next_due = pipe.push(NEXT_DUE, vec![&number]).await;
    let mut answers = pipe.answers().await?;
    let mut taken = answers
        .take(taken)
        .iter()
        .map(|row| Ok((row.try_get(3)?, row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect::<Result<Vec<(i64, i64, i64, bool)>, Error>>()?;
    taken.sort_unstable();
    let next_due = match answers.take(next_due).first() {
        Some(row) => {
            let theirs = row.try_get(1)?;
            shared.compare_clocks(theirs);
            if let Some(row) = answers.take(expiry).first() {
                shared.expiries.looked(queue, row.try_get(0)?, theirs);
            }
            let due = wake_at(row.try_get(0)?, theirs, shared.clock.now(), taken.len() < tokens.len());
            [due, shared.expiries.next_look(queue, shared.clock.now())].into_iter().flatten().min()
        }
        None => None,
    };
    if taken.is_empty() {
        return Ok(Claims { claims: Vec::new(), next_due });
    }

    let ids: Vec<i64> = taken.iter().map(|lane| lane.1).collect();
    let one = 1_i64;
    let mut pipe = session.pipe();
    let people = pipe.push(PEOPLE, vec![&ids]).await;
    let heads = pipe.push(HEADS, vec![&number, &ids, &one]).await;
    let mut answers = pipe.answers().await?;
    let mut known = HashMap::new();
    for row in answers.take(people) {
        let channel: Arc<str> = row.try_get::<_, &str>(4)?.into();
        let contact = Arc::new(read_contact(&row, 5)?);
        known.insert(row.try_get::<_, i64>(0)?, (read_standing(&row, 1)?, channel, contact));
    }
    let mut items = HashMap::new();
    for row in answers.take(heads) {
        let conversation: i64 = row.try_get(0)?;
        let standing = known.get(&conversation).map(|(standing, ..)| *standing).unwrap_or_default();
        items.insert(conversation, read_item(queue, &row, standing)?);
    }
    let mut claims = Vec::with_capacity(taken.len());
    let mut empty = Vec::new();
    for (_, conversation, token, uncertain) in taken {
        let (Some(mut item), Some((_, channel, contact))) =
            (items.remove(&conversation), known.remove(&conversation))
        else {
            empty.push(conversation);
            continue;
        };
        item.uncertain |= uncertain;
        claims.push(Claim { lease: Lease { queue, conversation, token }, channel, contact, item });
    }
    if !empty.is_empty() {
        session.execute(EMPTY, &[&number, &empty]).await?;
    }
    Ok(Claims { claims, next_due })
}

/// When to ask again, by our own clock. `due` and `theirs` are by the database's, which may be behind ours: a time that
/// is over for us and not for it must not make us ask without a pause. `more`: everything that was due and could be
/// had was taken.
fn wake_at(due: Option<Micros>, theirs: Micros, ours: Micros, more: bool) -> Option<Micros> {
    let due = due?;
    if due <= theirs {
        return Some(if more { ours.saturating_add(SOON) } else { due });
    }
    Some(if due <= ours { ours.saturating_add(due - theirs) } else { due })
}

pub(super) const RENEW: &str = concat!(
    "UPDATE lane l SET leased_until = ",
    clock!(),
    " + $4::bigint FROM UNNEST($1::smallint[], $2::bigint[], $3::bigint[]) u(q, c, t)
     WHERE l.queue = u.q AND l.conversation = u.c AND l.token = u.t RETURNING l.token"
);

/// Prolongs leases; gives back those that are lost.
pub(super) async fn renew(
    session: &Session,
    shared: &Shared,
    leases: &[Lease],
) -> Result<Vec<Lease>, Failure> {
    let mut sorted = leases.to_vec();
    sorted.sort_by_key(|lease| (lease.queue as i16, lease.conversation));
    let queues: Vec<i16> = sorted.iter().map(|lease| lease.queue as i16).collect();
    let conversations: Vec<i64> = sorted.iter().map(|lease| lease.conversation).collect();
    let tokens: Vec<i64> = sorted.iter().map(|lease| lease.token).collect();
    let kept = session.query(RENEW, &[&queues, &conversations, &tokens, &shared.lease_micros()]).await?;
    let kept: std::collections::HashSet<i64> = numbers(&kept)?.into_iter().collect();
    sorted.retain(|lease| !kept.contains(&lease.token));
    Ok(sorted)
}

const HELD: &str = "SELECT l.uncertain, c.last_inbound_at, c.taken_over_until, c.pair_free_at
     FROM lane l JOIN conversation c ON c.id = l.conversation
     WHERE l.queue = $1 AND l.conversation = $2 AND l.token = $3";

/// The first items of a leased lane.
pub(super) async fn pending(session: &Session, lease: Lease, limit: usize) -> Result<Vec<Item>, Failure> {
    let queue = lease.queue as i16;
    let held = session.query(HELD, &[&queue, &lease.conversation, &lease.token]).await?;
    let Some(held) = held.first() else { return Err(Failure::Refused(StoreError::LeaseLost)) };
    let uncertain: bool = held.try_get(0)?;
    let standing = read_standing(held, 1)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = session.query(HEADS, &[&queue, &vec![lease.conversation], &limit]).await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut item = read_item(lease.queue, row, standing)?;
        item.uncertain |= uncertain && items.is_empty();
        items.push(item);
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_ours_makes_us_wait_not_spin() {
        assert_eq!(wake_at(None, 5, 5, true), None);
        assert_eq!(wake_at(Some(60), 5, 5, true), Some(60));
        assert_eq!(wake_at(Some(5), 5, 7, false), Some(5), "more is due than there was room for");
        assert_eq!(wake_at(Some(5), 5, 7, true), Some(7 + SOON), "somebody else has it locked");
        assert_eq!(wake_at(Some(100), 90, 200, true), Some(210), "due in 10 by the database");
    }
}
