//! Writes to every object what became of it, while the Lease is ours: only what differs, and again whenever somebody
//! else changed it.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;
use service::shutdown::Shutdown;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    backoff::Backoff,
    events::Recorder,
    metrics::KubernetesMetrics,
    scope::{resource, status_of},
    status,
    trouble::Trouble,
    world::{Live, LiveObject},
};
use crate::{
    config::{
        compiled::{Compiled, ObjectReport},
        objects::{API_VERSION, ObjectStatus},
        snapshot::{Kind, ObjectId},
    },
    working::Working,
};

/// Owns what is written, for every router and every version of it.
const FIELD_MANAGER: &str = "whatsapp-router";

#[derive(Debug, Clone)]
pub struct WriterTimes {
    /// Everything is compared again after this, though no object has changed: a token may have been refused.
    pub resync: Duration,
    /// For any answer.
    pub answer: Duration,
    /// Before the first round of a new leader: the watch has to tell it first what the former one wrote.
    pub settle: Duration,
    /// Between two rounds at least, so that a quarrel with another writer stays a slow one.
    pub pause: Duration,
    pub least_backoff: Duration,
    pub most_backoff: Duration,
}

impl Default for WriterTimes {
    fn default() -> Self {
        Self {
            resync: Duration::from_secs(15),
            answer: Duration::from_secs(5),
            settle: Duration::from_millis(500),
            pause: Duration::from_millis(100),
            least_backoff: Duration::from_secs(1),
            most_backoff: Duration::from_secs(30),
        }
    }
}

/// What is known of a channel of this name besides its configuration.
pub(super) type Knows = Arc<dyn Fn(&str) -> Vec<Working> + Send + Sync>;

pub struct Writer {
    client: Client,
    compiled: watch::Receiver<Arc<Compiled>>,
    knows: Knows,
    live: watch::Receiver<Arc<Live>>,
    leading: watch::Receiver<bool>,
    metrics: KubernetesMetrics,
    times: WriterTimes,
    recorder: Recorder,
    /// What was written and has not come back by the watch yet: the version that it was written over, and the status.
    written: HashMap<ObjectId, (LiveVersion, ObjectStatus)>,
    /// What the log said last of what is wrong.
    said: Option<String>,
}

/// One state of one object: uid and resource version.
type LiveVersion = (String, String);

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("times", &self.times).finish_non_exhaustive()
    }
}

impl Writer {
    /// `reporter` is named in events: the pod.
    pub fn new(
        client: Client,
        compiled: watch::Receiver<Arc<Compiled>>,
        live: watch::Receiver<Arc<Live>>,
        leading: watch::Receiver<bool>,
        metrics: KubernetesMetrics,
        times: WriterTimes,
        reporter: &str,
    ) -> Self {
        let recorder = Recorder::new(client.clone(), reporter, times.answer);
        let (knows, written): (Knows, _) = (Arc::new(|_| Vec::new()), HashMap::new());
        Self { client, compiled, knows, live, leading, metrics, times, recorder, written, said: None }
    }

    /// Writes to channels what this knows of them, too.
    #[must_use]
    pub fn with(mut self, knows: Knows) -> Self {
        self.knows = knows;
        self
    }

    /// Until the shutdown begins, or what it looks at is gone.
    pub async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            () = self.rounds() => {}
            () = shutdown.draining() => {}
        }
        self.metrics.leader.set(0);
    }

    async fn rounds(&mut self) {
        let mut backoff = Backoff::new(self.times.least_backoff, self.times.most_backoff);
        let mut led = false;
        loop {
            let leads = *self.leading.borrow_and_update();
            self.metrics.leader.set(leads.into());
            if leads && !led {
                sleep(self.times.settle).await;
            }
            led = leads;
            let next = match leads {
                false => {
                    self.written.clear();
                    self.times.resync
                }
                true if self.round().await => {
                    backoff.reset();
                    self.times.resync
                }
                true => backoff.next(),
            };
            sleep(self.times.pause).await;
            tokio::select! {
                changed = self.compiled.changed() => if changed.is_err() { return },
                changed = self.live.changed() => if changed.is_err() { return },
                changed = self.leading.changed() => if changed.is_err() { return },
                () = sleep(next) => {}
            }
        }
    }

    /// True when nothing is left to be written.
    async fn round(&mut self) -> bool {
        let compiled = self.compiled.borrow_and_update().clone();
        let live = self.live.borrow_and_update().clone();
        self.written.retain(|id, (version, _)| live.get(id).is_some_and(|live| version_of(live) == *version));
        let mut trouble = None;
        for report in &compiled.reports {
            let Some(live) = live.get(&report.id) else { continue };
            if !*self.leading.borrow() {
                return true;
            }
            if let Err(why) = self.write(report, live).await {
                trouble = Some(why);
            }
        }
        let done = trouble.is_none();
        self.say(trouble.map(|trouble| trouble.to_string()));
        done
    }

    async fn write(&mut self, report: &ObjectReport, live: &LiveObject) -> Result<(), Trouble> {
        let mut live = live.clone();
        if let Some((_, status)) = self.written.get(&report.id) {
            live.status = Some(status.clone());
        }
        let working = match report.id.kind {
            Kind::Channel => (self.knows)(&report.id.name),
            Kind::Route => Vec::new(),
        };
        let due = status::due(report, &working, &live, Timestamp::now());
        let Some(status) = due else { return Ok(()) };
        let result = self.patch(&report.id, &live, &status).await;
        self.metrics.status_writes.with_label_values(&[if result.is_ok() { "ok" } else { "failed" }]).inc();
        let is_there = result?;
        if is_there {
            for notice in status::news(report, &working, &live) {
                let result = self.recorder.tell(&report.id, &live, &notice).await;
                self.metrics.events.with_label_values(&[result]).inc();
            }
            self.written.insert(report.id.clone(), (version_of(&live), status));
        }
        Ok(())
    }

    /// False when the object is not there any more, or is another one by that name.
    async fn patch(&self, id: &ObjectId, live: &LiveObject, status: &ObjectStatus) -> Result<bool, Trouble> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &live.namespace, &resource(id.kind));
        // The uid keeps what is said of a deleted object from an object that was made in its place.
        let body = json!({
            "apiVersion": API_VERSION,
            "kind": id.kind.as_str(),
            "metadata": {"name": id.name, "uid": live.uid},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(&body);
        let call = api.patch_status(&id.name, &params, &patch);
        match timeout(self.times.answer, call).await {
            Err(_) => Err(Trouble::Silent(self.times.answer)),
            Ok(Ok(_)) => Ok(true),
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(false),
            Ok(Err(error)) => Err(Trouble::of_other(&error, "patch", status_of(id.kind), &live.namespace)),
        }
    }

    fn say(&mut self, why: Option<String>) {
        if why != self.said {
            match &why {
                Some(why) => tracing::warn!(reason = %why, "conditions can't be written"),
                None => tracing::info!("conditions are written again"),
            }
            self.said = why;
        }
    }
}

fn version_of(live: &LiveObject) -> LiveVersion {
    (live.uid.clone(), live.version.clone())
}
