//! Notices that something happens in the folders of secrets.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::sync::Notify;

use super::found::{self, Found};

/// Looks at the folder, at what is in it, and at the folder above it, in which it may appear or be replaced.
pub(super) struct Eyes {
    folder: PathBuf,
    /// None where the system can't tell of changes.
    watcher: Option<RecommendedWatcher>,
}

impl Eyes {
    pub(super) fn open(folder: PathBuf, changed: Arc<Notify>) -> Self {
        // Paths of events are absolute.
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        let ours = folder.clone();
        let handler = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_change(&event, &ours)) {
                changed.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(handler)
            .inspect_err(|error| tracing::warn!(%error, "changes of secrets are only found by polling"))
            .ok();
        Self { folder, watcher }
    }

    /// Everything in the folder; from now on, changes in all of it are noticed.
    pub(super) fn read(&mut self) -> Found {
        let found = found::read(&self.folder);
        self.look(&found.folders);
        found
    }

    /// Looking again at what is looked at already costs nothing, and a folder that was replaced is a new one.
    pub(super) fn look(&mut self, folders: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        // The first ancestor is the folder itself.
        let nearest = self.folder.ancestors().skip(1).find(|ancestor| ancestor.is_dir());
        let all =
            nearest.into_iter().chain([self.folder.as_path()]).chain(folders.iter().map(PathBuf::as_path));
        for folder in all {
            // Missing folders appear in the one above; for the rest there is the polling.
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(folder = %folder.display(), %error, "a folder of secrets is not watched");
            }
        }
    }
}

/// Whether it may have changed a secret. Our own reading is an event, too.
fn is_change(event: &Event, folder: &Path) -> bool {
    let written = AccessKind::Close(AccessMode::Write);
    match event.kind {
        EventKind::Access(kind) if kind != written => false,
        // Of the folders above, only what leads to ours.
        _ => {
            event.paths.is_empty()
                || event.paths.iter().any(|path| path.starts_with(folder) || folder.starts_with(path))
        }
    }
}
