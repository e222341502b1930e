//! Whether the handler of a request has logged why it refused: then the edge need not, too.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use poem::Request;

/// Handlers find it with `request.data::<Told>()`.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<AtomicBool>);

impl Told {
    /// The log has a line with the reason and this request's ids.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn begin(request: &mut Request) -> Self {
        let told = Self::default();
        request.set_data(told.clone());
        told
    }
}
