//! What others may look at: the objects as they are now, from whichever home.

use std::sync::Arc;

use tokio::sync::watch;

use super::{compiled::Compiled, source::SourceKind};

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConfigView {
    pub source: SourceKind,
    /// Its generation is 0 until there was a first compile.
    pub compiled: watch::Receiver<Arc<Compiled>>,
}

impl Default for ConfigView {
    /// Of nothing, for where only the document is made.
    fn default() -> Self {
        Self { source: SourceKind::Environment, compiled: watch::channel(Arc::default()).1 }
    }
}
