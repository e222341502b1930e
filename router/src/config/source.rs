//! Where the objects come from: exactly one of three homes. Whatever the home, it hands over snapshots of everything.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::snapshot::Snapshot;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// The variables `WHATSAPP_*` make one channel and one route.
    Environment,
    /// A folder of YAML files.
    Files,
    /// Custom resources.
    Kubernetes,
}

impl SourceKind {
    /// The word of `CONFIG_SOURCE`, of the API and of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "env",
            Self::Files => "files",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A source that runs. It ends when this is dropped.
#[derive(Debug, Clone)]
pub struct Source {
    pub kind: SourceKind,
    /// `None` until everything was read for the first time.
    pub snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    pub sync: SyncClock,
}

/// When a source last knew that it has what there is. Cheap to clone; all clones are one clock.
#[derive(Debug, Clone, Default)]
pub struct SyncClock(Arc<Mutex<Option<Instant>>>);

impl SyncClock {
    /// What the source has is what there is, now.
    pub fn synced(&self) {
        self.synced_at(Instant::now());
    }

    /// What the source has was what there is at that time.
    pub fn synced_at(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    /// How long ago that was; nothing for a source that never changes, or has not begun.
    pub fn age(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|at| at.elapsed()).unwrap_or_default()
    }
}
