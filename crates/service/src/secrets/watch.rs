//! Keeps the secrets as the files have them. Folders are watched and never files: a mount is changed by swapping a link
//! in its folder, after which a watched file would be one that nobody writes to any more.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    SecretId, Secrets, Variables,
    eyes::Eyes,
    found::{self, Found, Unreadable},
    meters::{Meters, Outcome},
};
use crate::metrics::Metrics;

/// One change of a mount is several events.
const QUIET: Duration = Duration::from_millis(100);
/// Whatever happens, the first of several changes waits no longer than this.
const LONGEST_QUIET: Duration = Duration::from_secs(1);

/// Where secrets are, and how they change.
#[derive(Debug, Clone)]
pub struct SecretOptions {
    /// It may be missing, and appear later.
    pub folder: PathBuf,
    /// The files are read again after this time in any case, for file systems that report no changes.
    pub poll: Duration,
    /// How long a value stays [valid](Secrets::valid) after it was replaced.
    pub grace: Duration,
    pub variables: Variables,
}

/// The secrets now, read once, and a line for each file that can't be read. For programs that do not stay.
pub fn read(options: &SecretOptions) -> (Secrets, Vec<String>) {
    let found = found::read(&options.folder);
    let problems = found.unreadable.iter().map(ToString::to_string).collect();
    (first(options, found.values), problems)
}

/// The secrets now, and from now on: the receiver always has the newest. Ends when nobody listens any more.
/// Needs a Tokio runtime.
pub fn watch(options: SecretOptions, metrics: &Metrics) -> watch::Receiver<Secrets> {
    let changed = Arc::new(Notify::new());
    let mut eyes = Eyes::open(options.folder.clone(), Arc::clone(&changed));
    // Looked at before it is read, so that no change falls in between.
    eyes.look(&[]);
    let found = eyes.read();
    let meters = Meters::new(metrics);
    let mut watcher = Watcher { eyes, meters, unreadable: Vec::new(), changed, options };
    watcher.complain(&found);
    if !found.values.is_empty() {
        tracing::info!(
            folder = %watcher.options.folder.display(),
            secrets = %names(found.values.keys()),
            "secrets read"
        );
    }
    let (sender, receiver) = watch::channel(first(&watcher.options, found.values));
    // Once more, for what happened before the folders in the folder were looked at.
    watcher.changed.notify_one();
    tokio::spawn(watcher.run(sender));
    receiver
}

fn first(options: &SecretOptions, files: super::Values) -> Secrets {
    Secrets::of_variables(options.variables.clone()).with_files(files)
}

struct Watcher {
    options: SecretOptions,
    eyes: Eyes,
    changed: Arc<Notify>,
    meters: Meters,
    /// What was complained about already.
    unreadable: Vec<Unreadable>,
}

impl Watcher {
    async fn run(mut self, sender: watch::Sender<Secrets>) {
        let mut next_poll = Instant::now() + self.options.poll;
        loop {
            let expiry = sender.borrow().next_expiry();
            tokio::select! {
                () = sender.closed() => return,
                () = self.changed.notified() => self.settle().await,
                () = sleep_until(next_poll) => {}
                () = sleep_until(expiry.unwrap_or(next_poll)), if expiry.is_some() => {
                    sender.send_modify(|secrets| *secrets = secrets.without_expired(Instant::now()));
                    tracing::info!("the grace time of a secret's former value is over");
                    continue;
                }
            }
            next_poll = Instant::now() + self.options.poll;
            // File systems may hang; requests must not wait for them.
            let reading = tokio::task::spawn_blocking(move || {
                let found = self.eyes.read();
                (self, found)
            });
            let Ok((watcher, found)) = reading.await else { return };
            self = watcher;
            self.complain(&found);
            self.publish(&sender, found);
        }
    }

    /// Waits until a change is over.
    async fn settle(&self) {
        let until = Instant::now() + LONGEST_QUIET;
        while Instant::now() < until && timeout(QUIET, self.changed.notified()).await.is_ok() {}
    }

    fn publish(&self, sender: &watch::Sender<Secrets>, found: Found) {
        let before = sender.borrow().clone();
        let mut files = found.values;
        for (id, value) in before.files() {
            // Better the value that was there than none at all.
            if found.unreadable.iter().any(|unreadable| unreadable.concerns(id)) {
                files.entry(id.clone()).or_insert_with(|| value.clone());
            }
        }
        let rotated = before.rotate(files, self.options.grace, Instant::now());
        let outcome = match (found.unreadable.is_empty(), rotated.changed.is_empty()) {
            (false, _) => Outcome::Unreadable,
            (true, true) => Outcome::Unchanged,
            (true, false) => Outcome::Changed,
        };
        self.meters.read(outcome, found.unreadable.len());
        if !rotated.changed.is_empty() {
            tracing::info!(secrets = %names(&rotated.changed), "secrets changed");
            sender.send_replace(rotated.secrets);
        }
    }

    /// Says what can't be read, once.
    fn complain(&mut self, found: &Found) {
        for unreadable in &found.unreadable {
            if !self.unreadable.contains(unreadable) {
                tracing::warn!("a secret {unreadable}; the value before it stays in use");
            }
        }
        self.unreadable.clone_from(&found.unreadable);
    }
}

fn names<'a>(ids: impl IntoIterator<Item = &'a SecretId>) -> String {
    ids.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
