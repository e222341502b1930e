//! Keeps the table what the objects and the secrets say: compiles when one of them changes, swaps the table as a whole,
//! and tells whoever wants to know what became of every object.

mod transitions;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use service::{health::CheckHandle, secrets::Secrets};
use tokio::sync::watch;

use super::{
    compile::Compiler,
    compiled::Compiled,
    snapshot::{Kind, Snapshot},
    source::{Source, SourceKind},
};
use crate::{metrics::ConfigMetrics, routing::LiveTable};

/// Changes come in groups: an apply of ten objects, a secret and the object that names it.
const DEBOUNCE: Duration = Duration::from_millis(150);

/// What a reconciler needs.
#[derive(Debug)]
pub struct Parts {
    pub compiler: Compiler,
    pub source: Source,
    pub secrets: watch::Receiver<Secrets>,
    pub table: LiveTable,
    pub metrics: ConfigMetrics,
    /// Passes from the first compile on, whatever becomes of the source then.
    pub check: CheckHandle,
}

/// Compiles now if the source has something already, and from then on with every change. The receiver has the newest;
/// its generation is 0 until there was a first.
pub fn start(parts: Parts) -> watch::Receiver<Arc<Compiled>> {
    let (sender, receiver) = watch::channel(Arc::default());
    parts.metrics.expect(parts.source.kind.as_str());
    let mut reconciler = Reconciler { parts, sender };
    reconciler.compile();
    tokio::spawn(reconciler.run());
    receiver
}

struct Reconciler {
    parts: Parts,
    sender: watch::Sender<Arc<Compiled>>,
}

impl Reconciler {
    async fn run(mut self) {
        loop {
            let (snapshots, secrets) = (&mut self.parts.source.snapshots, &mut self.parts.secrets);
            // A sender that is gone is a home that does not change any more, and no reason to spin.
            tokio::select! {
                Ok(()) = snapshots.changed() => {}
                Ok(()) = secrets.changed() => {}
                else => return,
            }
            tokio::time::sleep(DEBOUNCE).await;
            self.compile();
        }
    }

    fn compile(&mut self) {
        let snapshot = self.parts.source.snapshots.borrow_and_update().clone();
        let secrets = self.parts.secrets.borrow_and_update().clone();
        let Some(snapshot) = snapshot else { return };
        let before = self.sender.borrow().clone();
        let previous = (before.generation > 0).then_some(&*before);
        let source = self.parts.source.kind;
        match self.parts.compiler.compile(&snapshot, &secrets, previous) {
            Ok((table, compiled)) => {
                let result = if compiled.is_good() { "ok" } else { "partial" };
                self.parts.metrics.reloaded(source.as_str(), result);
                self.count(&snapshot, &compiled);
                transitions::log(source, previous, &compiled);
                if previous.is_none_or(|previous| !previous.has_the_table_of(&compiled)) {
                    self.parts.table.store(table);
                }
                self.parts.check.ok();
                self.sender.send_if_modified(|current| {
                    let is_new = **current != compiled;
                    if is_new {
                        *current = Arc::new(compiled);
                    }
                    is_new
                });
            }
            Err(error) => {
                self.parts.metrics.reloaded(source.as_str(), "failed");
                tracing::error!(%source, %error, "the configuration can't be compiled, what was in use stays so; please report this");
            }
        }
    }

    fn count(&self, snapshot: &Snapshot, compiled: &Compiled) {
        let mut counts: BTreeMap<Kind, (usize, usize)> = Kind::ALL.map(|kind| (kind, (0, 0))).into();
        for report in &compiled.reports {
            let count = counts.entry(report.id.kind).or_default();
            if report.is_accepted() {
                count.0 += 1;
            } else {
                count.1 += 1;
            }
        }
        self.parts.metrics.held(self.parts.source.kind.as_str(), compiled.held.len());
        debug_assert!(compiled.reports.len() <= snapshot.objects.len());
        self.parts.metrics.problems(self.parts.source.kind.as_str(), compiled.problems.len());
        for (kind, (accepted, refused)) in counts {
            self.parts.metrics.objects(kind.as_str(), accepted, refused);
        }
    }
}

/// Shows before every scrape how long ago the source was last in step; a source that never changes always is.
pub fn watch_age(metrics: &service::metrics::Metrics, config: ConfigMetrics, source: &Source) {
    if source.kind == SourceKind::Environment {
        return;
    }
    let (kind, sync) = (source.kind, source.sync.clone());
    metrics.before_scrape(move || config.sync_age(kind.as_str(), sync.age().as_secs_f64()));
}
