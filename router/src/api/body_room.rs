//! A bound on the memory of bodies whose sender is not known yet: the signature is over the whole body, so all of it
//! is held before anything can be said about it. What is announced takes no room, only what came.

use std::sync::Arc;

use service::http::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All bodies together, in KiB: 85 of the largest, or thousands of the usual.
const ROOM: usize = 256 * 1024;

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BodyRoom(Arc<Semaphore>);

impl Default for BodyRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM)))
    }
}

impl BodyRoom {
    /// For one body, of which nothing came yet.
    pub(super) fn enter(&self) -> Held {
        Held { room: self.0.clone(), bytes: 0, kib: 0, permit: None }
    }
}

/// What one body takes of the room until it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    room: Arc<Semaphore>,
    bytes: usize,
    kib: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Takes room for so many bytes more; a 503 when there is none.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        self.bytes += bytes;
        let more = self.bytes.div_ceil(1024) - self.kib;
        if more == 0 {
            return Ok(());
        }
        let full = || Problem::unavailable("too many bodies are being read at once; send it again");
        let count = u32::try_from(more).map_err(|_| full())?;
        let permit = self.room.clone().try_acquire_many_owned(count).map_err(|_| full())?;
        self.kib += more;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use whatsapp::webhook::MAX_BYTES;

    use super::*;

    #[test]
    fn bodies_are_refused_when_their_memory_is_used_up_and_taken_again_after() {
        let room = BodyRoom::default();
        let mut large: Vec<_> = (0..ROOM * 1024 / MAX_BYTES).map(|_| room.enter()).collect();
        for held in &mut large {
            held.grow(MAX_BYTES).unwrap();
        }
        assert!(room.enter().grow(700).is_ok(), "what is left is enough for a usual one");
        assert_eq!(room.enter().grow(MAX_BYTES).unwrap_err().status(), 503);
        drop(large);
        assert!(room.enter().grow(MAX_BYTES).is_ok());
    }

    #[test]
    fn a_body_in_pieces_takes_as_much_as_one_in_one_piece() {
        let room = BodyRoom::default();
        let mut held = room.enter();
        (0..2_000).for_each(|_| held.grow(1).unwrap());
        assert_eq!(room.0.available_permits(), ROOM - 2);
        drop(held);
        assert_eq!(room.0.available_permits(), ROOM);
    }
}
