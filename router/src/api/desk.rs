//! The API's way to the engine; empty where only the document is made.

use std::sync::Arc;

use service::http::Problem;

use crate::engine::Engine;

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Desk(Option<Arc<Engine>>);

impl Desk {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self(Some(engine))
    }

    pub(super) fn engine(&self) -> Result<&Arc<Engine>, Problem> {
        self.0.as_ref().ok_or_else(|| Problem::unavailable("the router does not run yet"))
    }
}
