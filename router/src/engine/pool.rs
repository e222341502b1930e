//! How many lanes of a queue are worked on at once: a bound on memory and on calls in flight.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::store::Queue;

/// Room for lanes of one queue. A lane that is worked on holds one [`Slots`].
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) queue: Queue,
    room: Arc<Semaphore>,
    size: u32,
    /// Rung when a lane may have become due that nobody holds.
    pub(super) bell: Notify,
}

/// Room taken for one or more lanes; given back when dropped.
#[derive(Debug)]
pub(super) struct Slots(OwnedSemaphorePermit);

impl Slots {
    pub(super) fn count(&self) -> usize {
        self.0.num_permits()
    }

    /// Room for one lane out of this.
    pub(super) fn take_one(&mut self) -> Option<Slots> {
        self.0.split(1).map(Slots)
    }
}

impl Pool {
    pub(super) fn new(queue: Queue, size: u32) -> Self {
        Self { queue, room: Arc::new(Semaphore::new(size as usize)), size, bell: Notify::new() }
    }

    /// Whatever of `wanted` is free now; `None` when nothing is.
    pub(super) fn try_take(&self, wanted: usize) -> Option<Slots> {
        let mut wanted = wanted.min(self.room.available_permits());
        while wanted > 0 {
            let count = u32::try_from(wanted).unwrap_or(u32::MAX);
            if let Ok(permit) = self.room.clone().try_acquire_many_owned(count) {
                return Some(Slots(permit));
            }
            wanted /= 2;
        }
        None
    }

    /// Nothing more can be started now.
    pub(super) fn is_full(&self) -> bool {
        self.room.available_permits() == 0
    }

    /// Waits for room for one lane and takes up to `most`.
    pub(super) async fn take(&self, most: usize) -> Slots {
        let mut permit = match self.room.clone().acquire_owned().await {
            Ok(permit) => permit,
            Err(_closed) => unreachable!("nobody closes the semaphore"),
        };
        if let Some(Slots(more)) = self.try_take(most.saturating_sub(1)) {
            permit.merge(more);
        }
        Slots(permit)
    }

    /// Resolves when no lane is worked on any more.
    pub(super) async fn idle(&self) {
        // An error would mean that the semaphore is closed, which nobody does.
        let _ = self.room.acquire_many(self.size).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_bounded_and_comes_back() {
        let pool = Pool::new(Queue::Inbox, 4);
        let mut three = pool.try_take(3).unwrap();
        let rest = pool.try_take(10).unwrap();
        assert_eq!((three.count(), rest.count()), (3, 1));
        assert!(pool.try_take(1).is_none());
        let one = three.take_one().unwrap();
        drop(three);
        assert_eq!(pool.take(10).await.count(), 2);
        drop((one, rest));
        pool.idle().await;
    }
}
