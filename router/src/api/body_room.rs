//! A bound on the memory of bodies whose sender is not known yet: the signature is over the whole body, so all of it
//! is held before anything can be said about it.

use std::sync::Arc;

use poem::http::{HeaderMap, header::CONTENT_LENGTH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whatsapp::webhook::MAX_BYTES;

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
    /// Room for the body that these headers announce; for the largest one when they announce none.
    pub(super) fn take(&self, headers: &HeaderMap) -> Option<OwnedSemaphorePermit> {
        let announced =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        let bytes = announced.map_or(MAX_BYTES, |length| length.min(MAX_BYTES));
        self.0.clone().try_acquire_many_owned(u32::try_from(bytes.div_ceil(1024)).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_refused_when_their_memory_is_used_up_and_taken_again_after() {
        let room = BodyRoom::default();
        let chunked = HeaderMap::new();
        let held: Vec<_> = std::iter::from_fn(|| room.take(&chunked)).collect();
        assert_eq!(held.len(), ROOM * 1024 / MAX_BYTES);
        let mut small = HeaderMap::new();
        small.insert(CONTENT_LENGTH, "700".parse().unwrap());
        assert!(room.take(&small).is_some(), "what is left is enough for a usual one");
        drop(held);
        assert!(room.take(&chunked).is_some());
    }
}
