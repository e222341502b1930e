//! Looks for lanes that are due and held by nobody: deferred work, what a restart left behind, and what found no
//! room when it arrived. In the usual course there are none, because whoever makes work is handed the lease.

use std::{sync::Arc, time::Duration};

use super::{Engine, pool::Pool};
use crate::store::{Micros, Queue, now};

/// Lanes taken with one call at most.
const CLAIM_AT_ONCE: usize = 64;

/// How long to sleep at most: nothing depends on it, it is the net under the bells.
const NET: Duration = Duration::from_secs(10);

/// Wait after the store failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>, queue: Queue) {
    let pool = engine.pool(queue);
    while !engine.is_stopping() {
        let sleep = claim_all(&engine, pool).await;
        tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            () = pool.bell.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Takes lanes as long as there are any and there is room; says how long to sleep then.
async fn claim_all(engine: &Arc<Engine>, pool: &Pool) -> Duration {
    loop {
        let mut slots = pool.take(CLAIM_AT_ONCE).await;
        if engine.is_stopping() {
            return Duration::ZERO;
        }
        let room = slots.count();
        match engine.claim(pool.queue, room).await {
            Ok(claims) => {
                let all = claims.claims.len() < room;
                for claim in claims.claims {
                    if let Some(slot) = slots.take_one() {
                        engine.start_lane(claim, slot);
                    }
                }
                if all {
                    return until(claims.next_due, now());
                }
            }
            Err(error) => {
                tracing::error!(queue = pool.queue.as_str(), %error, "can't look for waiting work; trying again");
                return AFTER_FAILURE;
            }
        }
    }
}

fn until(due: Option<Micros>, now: Micros) -> Duration {
    due.map_or(NET, |due| Duration::from_micros(u64::try_from(due - now).unwrap_or_default()).min(NET))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeps_until_the_next_lane_is_due_but_never_for_long() {
        assert_eq!(until(None, 5), NET);
        assert_eq!(until(Some(5_000_005), 5), Duration::from_secs(5));
        assert_eq!(until(Some(1), 5), Duration::ZERO);
        assert_eq!(until(Some(i64::MAX), 5), NET);
    }
}
