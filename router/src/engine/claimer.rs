//! Looks for lanes that are due and held by nobody: deferred work, what a restart left behind, and what found no
//! room when it arrived. In the usual course there are none, because whoever makes work is handed the lease.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Engine, pool::Pool, streak::Streak};
use crate::store::{Micros, Queue, StoreError};

/// Lanes taken with one call at most.
const CLAIM_AT_ONCE: usize = 64;

/// How long to sleep at most: nothing depends on it, it is the net under the bells.
const NET: Duration = Duration::from_secs(10);

/// While the whole queue is held back (its backends or channels do not work): how often some lanes are taken all the
/// same, so that what has become too old ends.
const PATROL: Duration = Duration::from_secs(5);

/// While a probe is due: how often lanes are taken for it, and how many. One is enough, unless it has to wait for
/// another reason.
const PROBE: (Duration, usize) = (Duration::from_millis(500), 4);

/// Wait after the store failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>, queue: Queue) {
    let pool = engine.pool(queue);
    let mut looked_at = Instant::now();
    let mut failures = Streak::default();
    while !engine.is_stopping() {
        let sleep = match engine.held_until(queue) {
            None => claim_all(&engine, pool, &mut failures).await,
            Some(until) => {
                let (sleep, room) = while_held(until, looked_at, Instant::now());
                if room > 0 {
                    looked_at = Instant::now();
                    match claim_some(&engine, pool, room).await {
                        Ok(_) => failures.ended(),
                        Err(error) => report(pool, &error, &mut failures),
                    }
                }
                sleep
            }
        };
        tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            () = pool.bell.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Takes lanes as long as there are any and there is room; says how long to sleep then.
async fn claim_all(engine: &Arc<Engine>, pool: &Pool, failures: &mut Streak) -> Duration {
    loop {
        let claimed = claim_some(engine, pool, CLAIM_AT_ONCE).await;
        if claimed.is_ok() {
            failures.ended();
        }
        match claimed {
            Ok(Claimed::More) if engine.held_until(pool.queue).is_none() => {}
            Ok(Claimed::More) => return Duration::ZERO,
            Ok(Claimed::All { next_due }) => return until(next_due, engine.clock.now()),
            Err(error) => {
                report(pool, &error, failures);
                return AFTER_FAILURE;
            }
        }
    }
}

enum Claimed {
    /// There may be more.
    More,
    All {
        next_due: Option<Micros>,
    },
}

/// Takes as many lanes as there is room for now, at most `most`.
async fn claim_some(engine: &Arc<Engine>, pool: &Pool, most: usize) -> Result<Claimed, StoreError> {
    let mut slots = pool.take(most).await;
    if engine.is_stopping() {
        return Ok(Claimed::All { next_due: None });
    }
    let room = slots.count();
    let asked_at = Instant::now();
    let claims = engine.claim(pool.queue, room).await?;
    let all = claims.claims.len() < room;
    for claim in claims.claims {
        if let Some(slot) = slots.take_one() {
            engine.start_lane_since(claim, slot, Some(asked_at));
        }
    }
    Ok(if all { Claimed::All { next_due: claims.next_due } } else { Claimed::More })
}

fn report(pool: &Pool, error: &StoreError, failures: &mut Streak) {
    let queue = pool.queue.as_str();
    if failures.begins() {
        tracing::warn!(queue, %error, "can't look for waiting work; trying again until it can be done");
    } else {
        tracing::debug!(queue, %error, "still can't look for waiting work");
    }
}

/// How long to sleep while nothing goes on before `until`, and how many lanes to take before that.
fn while_held(until: Instant, looked_at: Instant, now: Instant) -> (Duration, usize) {
    let since = now.saturating_duration_since(looked_at);
    let (interval, room) = if until <= now { PROBE } else { (PATROL, CLAIM_AT_ONCE) };
    if since >= interval {
        return (interval.min(until.saturating_duration_since(now).max(PROBE.0)), room);
    }
    let left = interval - since;
    (if until > now { left.min(until - now) } else { left }, 0)
}

fn until(due: Option<Micros>, now: Micros) -> Duration {
    due.map_or(NET, |due| Duration::from_micros(u64::try_from(due - now).unwrap_or_default()).min(NET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_held_back_is_looked_at_rarely_and_a_probe_soon() {
        let now = Instant::now();
        let [second, later, before] = [now + PATROL / 5, now + 2 * PATROL, now - PATROL];
        for (until, looked_at, expected) in [
            (later, now, (PATROL, 0)),
            (second, now, (PATROL / 5, 0)),
            (later, before, (PATROL, CLAIM_AT_ONCE)),
            (second, before, (PATROL / 5, CLAIM_AT_ONCE)),
            (now, before, PROBE),
            (before, now, (PROBE.0, 0)),
        ] {
            assert_eq!(while_held(until, looked_at, now), expected);
        }
    }

    #[test]
    fn sleeps_until_the_next_lane_is_due_but_never_for_long() {
        assert_eq!(until(None, 5), NET);
        assert_eq!(until(Some(5_000_005), 5), Duration::from_secs(5));
        assert_eq!(until(Some(1), 5), Duration::ZERO);
        assert_eq!(until(Some(i64::MAX), 5), NET);
    }
}
