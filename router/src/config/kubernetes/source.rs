//! The watches of all kinds and namespaces as one source of snapshots.

use std::{sync::Arc, time::Duration};

use kube::Client;
use service::health::CheckHandle;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    scope::Scope,
    watch::{News, watch},
    world::{Live, World, scopes},
};
use crate::config::{
    snapshot::Snapshot,
    source::{Source, SourceKind, SyncClock},
};

pub use super::watch::WatchTimes;

/// News come in groups: a list of both kinds, an apply of ten objects.
const TOGETHER: Duration = Duration::from_millis(20);
const ROOM_FOR_NEWS: usize = 256;

/// Why one namespace is enough to keep a router from being ready.
const ALL_OR_NOTHING: &str = "no webhook is taken before every namespace of WATCH_NAMESPACES was read: what comes for a \
     channel that is not known would be lost";

/// What runs: the source for the table, and the objects' own state for whoever writes their status.
#[derive(Debug, Clone)]
pub struct Watched {
    pub source: Source,
    pub live: watch::Receiver<Arc<Live>>,
}

/// Begins to watch. `check` says what keeps the first list from coming, and passes for good once it has: a router that
/// has a table goes on with it when the API server is gone.
pub fn start(client: &Client, namespaces: &[String], times: &WatchTimes, check: CheckHandle) -> Watched {
    let scopes = scopes(namespaces);
    let (news, heard) = mpsc::channel(ROOM_FOR_NEWS);
    let mut watches = JoinSet::new();
    for scope in &scopes {
        watches.spawn(watch(client.clone(), scope.clone(), times.clone(), news.clone()));
    }
    let (snapshots, receiver) = watch::channel(None);
    let (live, live_receiver) = watch::channel(Arc::default());
    let sync = SyncClock::default();
    let gatherer = Gatherer {
        world: World::new(scopes),
        snapshots,
        live,
        sync: sync.clone(),
        check,
        namespaces: namespaces.len(),
        said: None,
        _watches: watches,
    };
    tokio::spawn(gatherer.run(heard));
    let source = Source { kind: SourceKind::Kubernetes, snapshots: receiver, sync };
    Watched { source, live: live_receiver }
}

struct Gatherer {
    world: World,
    snapshots: watch::Sender<Option<Arc<Snapshot>>>,
    live: watch::Sender<Arc<Live>>,
    sync: SyncClock,
    check: CheckHandle,
    namespaces: usize,
    /// What the log said last of what is wrong.
    said: Option<String>,
    /// End with this.
    _watches: JoinSet<()>,
}

impl Gatherer {
    async fn run(mut self, mut heard: mpsc::Receiver<(Scope, News)>) {
        let mut news = Vec::new();
        loop {
            tokio::select! {
                count = heard.recv_many(&mut news, ROOM_FOR_NEWS) => if count == 0 { return },
                () = self.snapshots.closed() => return,
            }
            tokio::time::sleep(TOGETHER).await;
            while let Ok(more) = heard.try_recv() {
                news.push(more);
            }
            let mut may_differ = false;
            for (scope, news) in news.drain(..) {
                may_differ |= self.world.hear(&scope, news);
            }
            if may_differ {
                self.publish();
            }
            if let Some(heard) = self.world.heard() {
                self.sync.synced_at(heard.into_std());
            }
            self.report();
        }
    }

    fn publish(&mut self) {
        let Some((snapshot, live)) = self.world.view() else { return };
        // The live state first: who hears of a snapshot may look at it.
        self.live.send_if_modified(|current| {
            let differs = **current != live;
            if differs {
                *current = Arc::new(live);
            }
            differs
        });
        self.snapshots.send_if_modified(|current| {
            let differs = current.as_deref() != Some(&snapshot);
            if differs {
                *current = Some(Arc::new(snapshot));
            }
            differs
        });
    }

    /// On transitions only; the age of the last sync tells the rest.
    fn report(&mut self) {
        let troubles: Vec<_> = self.world.troubles().iter().map(ToString::to_string).collect();
        let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
        let has_snapshot = self.snapshots.borrow().is_some();
        match &trouble {
            Some(why) if !has_snapshot && self.namespaces > 1 => {
                self.check.failing(format!("{why} ({ALL_OR_NOTHING})"));
            }
            Some(why) if !has_snapshot => self.check.failing(why),
            _ if has_snapshot => self.check.ok(),
            _ => {}
        }
        if trouble == self.said {
            return;
        }
        match &trouble {
            Some(why) if has_snapshot => {
                tracing::warn!(reason = %why, "channels and routes can't be watched; the last ones known stay in use");
            }
            // The check says it.
            Some(_) => {}
            None => tracing::info!("channels and routes are watched again"),
        }
        self.said = trouble;
    }
}
