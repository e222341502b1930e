//! Reads the folder again when something in it changes, and now and then in case nobody was told.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, sync::Arc, time::Duration};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until, timeout},
};

use super::Folder;
use crate::config::{
    snapshot::Snapshot,
    source::{Source, SourceKind, SyncClock},
};

/// Editors and ConfigMaps change several things at once: so long without an event, and they are done.
const QUIET: Duration = Duration::from_millis(150);
/// Somebody who never stops writing is read all the same.
const LONGEST: Duration = Duration::from_secs(1);
/// Network file systems and some containers tell nobody of changes.
const POLL: Duration = Duration::from_secs(10);

/// Reads the folder, and watches it for as long as somebody holds the source. Only a folder that can't be read at all
/// is an error.
pub fn start(path: &Path) -> io::Result<Source> {
    let mut folder = Folder::new(path);
    let first = folder.read()?;
    let sync = SyncClock::default();
    sync.synced();
    let (sender, snapshots) = watch::channel(Some(Arc::new(first)));
    tokio::spawn(follow(folder, sender, sync.clone()));
    Ok(Source { kind: SourceKind::Files, snapshots, sync })
}

async fn follow(mut folder: Folder, sender: watch::Sender<Option<Arc<Snapshot>>>, sync: SyncClock) {
    let (ring, mut bell) = mpsc::channel(1);
    let mut watched = Watched::default();
    loop {
        watched.renew(folder.path(), &ring);
        tokio::select! {
            () = sender.closed() => return,
            rung = timeout(POLL, bell.recv()) => {
                if rung.is_ok() {
                    settle(&mut bell).await;
                }
            }
        }
        // Reading is quick, but a disk may be not.
        let read = tokio::task::spawn_blocking(move || {
            let read = folder.read();
            (folder, read)
        });
        let Ok((back, read)) = read.await else { return };
        folder = back;
        match read {
            Ok(snapshot) => {
                sync.synced();
                publish(&sender, snapshot);
            }
            Err(error) => publish(&sender, without_folder(&sender, folder.path(), &error)),
        }
    }
}

/// Waits until nothing has happened for a moment.
async fn settle(bell: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + LONGEST;
    loop {
        tokio::select! {
            () = sleep_until(end.min(Instant::now() + QUIET)) => return,
            _ = bell.recv() => {}
        }
    }
}

fn publish(sender: &watch::Sender<Option<Arc<Snapshot>>>, snapshot: Snapshot) {
    sender.send_if_modified(|current| {
        let is_new = current.as_deref() != Some(&snapshot);
        if is_new {
            *current = Some(Arc::new(snapshot));
        }
        is_new
    });
}

/// What was read last, and that it is not known to be right any more.
fn without_folder(sender: &watch::Sender<Option<Arc<Snapshot>>>, path: &Path, error: &io::Error) -> Snapshot {
    let last = sender.borrow();
    let objects = last.as_ref().map(|last| last.objects.clone()).unwrap_or_default();
    let problem =
        format!("CONFIG_DIR: {} can't be read ({error}); what was read last stays in use", path.display());
    Snapshot { objects, problems: vec![problem], may_lack_channel: true }
}

/// The watch on the folder that is there now. A folder that is replaced is another one under the same name.
#[derive(Debug, Default)]
struct Watched {
    watcher: Option<RecommendedWatcher>,
    folder: Option<(u64, u64)>,
}

impl Watched {
    fn renew(&mut self, path: &Path, ring: &mpsc::Sender<()>) {
        let folder = fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
        if self.watcher.is_some() && self.folder == folder {
            return;
        }
        let ring = ring.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is an access too, and would ring for ever.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Full: it rings already.
                let _ = ring.try_send(());
            }
        });
        let watching = watcher.and_then(|mut watcher| {
            watcher.watch(path, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        self.folder = folder;
        self.watcher = watching
            .inspect_err(|error| {
                tracing::debug!(%error, "the folder can't be watched, it is only looked at now and then");
            })
            .ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn object(name: &str) -> String {
        format!(
            "apiVersion: whatsapp-router.dev/v1alpha1\nkind: Route\nmetadata: {{name: {name}}}\nspec: {{}}\n"
        )
    }

    async fn until(
        source: &mut Source,
        is_right: impl FnMut(&Option<Arc<Snapshot>>) -> bool,
    ) -> Arc<Snapshot> {
        let found = timeout(PATIENCE, source.snapshots.wait_for(is_right)).await.unwrap().unwrap();
        found.clone().unwrap()
    }

    fn has(snapshot: &Option<Arc<Snapshot>>, name: &str) -> bool {
        snapshot.as_ref().is_some_and(|it| it.objects.iter().any(|object| object.id.name == name))
    }

    #[tokio::test]
    async fn a_change_is_noticed_and_a_folder_that_vanishes_keeps_what_was_there() {
        let above = tempfile::tempdir().unwrap();
        let path = above.path().join("config");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a.yaml"), object("one")).unwrap();
        let mut source = start(&path).unwrap();
        assert!(has(&source.snapshots.borrow(), "one"));
        fs::write(path.join("b.yaml"), object("two")).unwrap();
        until(&mut source, |snapshot| has(snapshot, "two")).await;
        fs::rename(&path, above.path().join("away")).unwrap();
        let last = until(&mut source, |it| it.as_ref().is_some_and(|it| !it.problems.is_empty())).await;
        assert_eq!(last.objects.len(), 2);
        assert!(last.problems[0].contains("CONFIG_DIR"), "{:?}", last.problems);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("c.yaml"), object("three")).unwrap();
        let back = until(&mut source, |snapshot| has(snapshot, "three")).await;
        assert_eq!((back.objects.len(), back.problems.len()), (1, 0));
    }

    /// What the kubelet does with a ConfigMap: everything is there at once, by one rename.
    #[tokio::test]
    async fn the_swap_of_a_mounted_config_map_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let version = |name: &str| {
            let data = folder.path().join(format!("..{name}"));
            fs::create_dir(&data).unwrap();
            fs::write(data.join("routes.yaml"), object(name)).unwrap();
            std::os::unix::fs::symlink(format!("..{name}"), folder.path().join("..data_tmp")).unwrap();
            fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
        };
        version("first");
        std::os::unix::fs::symlink("..data/routes.yaml", folder.path().join("routes.yaml")).unwrap();
        let mut source = start(folder.path()).unwrap();
        assert!(has(&source.snapshots.borrow(), "first"));
        for name in ["second", "third"] {
            version(name);
            let snapshot = until(&mut source, |snapshot| has(snapshot, name)).await;
            assert_eq!(snapshot.objects.len(), 1);
        }
    }
}
