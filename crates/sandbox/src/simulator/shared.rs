//! Everything that the parts of a running simulator share.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    backend::BackendLog,
    credentials::Credentials,
    events::Events,
    faults::FaultBoard,
    graph::media::StoredMedia,
    options::{Recording, SimulatorOptions},
    phone::Phone,
    records::Records,
    statuses::Job,
    webhooks::{Webhooks, handshake::Handshake},
};

/// Sees every message that the Graph side takes, even when nothing is recorded. Called on the request's own path:
/// it must be quick.
pub trait Observer: Send + Sync {
    /// `to` is digits or a user id, `text` what a person reads.
    fn taken(&self, to: &str, text: &str);

    /// The message was given this id; `callback_data` is what its sender wants to read in its statuses.
    fn named(&self, _to: &str, _wamid: &str, _callback_data: Option<&str>) {}
}

pub(crate) struct Shared {
    pub(crate) options: SimulatorOptions,
    pub(crate) credentials: Credentials,
    /// Where this simulator is, without a trailing slash.
    pub(crate) url: String,
    pub(crate) started: Instant,
    pub(crate) faults: FaultBoard,
    pub(crate) records: Records,
    pub(crate) events: Events,
    pub(crate) phone: Phone,
    pub(crate) webhooks: Webhooks,
    pub(crate) handshake: Mutex<Option<Handshake>>,
    pub(crate) media: Mutex<HashMap<String, StoredMedia>>,
    pub(crate) templates: Mutex<Vec<Value>>,
    pub(crate) backend: BackendLog,
    pub(crate) observer: OnceLock<Arc<dyn Observer>>,
    status_jobs: mpsc::UnboundedSender<Job>,
    stop: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(
        options: SimulatorOptions,
        url: String,
        status_jobs: mpsc::UnboundedSender<Job>,
    ) -> Result<Self, reqwest::Error> {
        let events = Events::new();
        let credentials = Credentials::new(&options);
        Ok(Self {
            phone: Phone::new(&options.people, events.clone()),
            webhooks: Webhooks::new(&options, credentials.clone())?,
            credentials,
            url,
            started: Instant::now(),
            faults: FaultBoard::default(),
            records: Records::new(),
            events,
            handshake: Mutex::default(),
            media: Mutex::default(),
            templates: Mutex::default(),
            backend: BackendLog::default(),
            observer: OnceLock::new(),
            status_jobs,
            stop: watch::Sender::new(false),
            options,
        })
    }

    pub(crate) fn records_everything(&self) -> bool {
        self.options.recording == Recording::Full
    }

    pub(crate) fn schedule(&self, job: Job) {
        // The receiver lives as long as the simulator runs; afterwards no status is due.
        let _ = self.status_jobs.send(job);
    }

    /// Index of the business number with this Graph id.
    pub(crate) fn number(&self, phone_number_id: &str) -> Option<usize> {
        self.options.numbers.iter().position(|number| number.phone_number_id == phone_number_id)
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Answers `false` at once when the simulator stops.
    pub(crate) async fn sleep(&self, time: Duration) -> bool {
        self.until_stopped(tokio::time::sleep(time)).await.is_some()
    }

    /// The future's result, or `None` when the simulator stops first.
    pub(crate) async fn until_stopped<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut stopped = self.stopped();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => None,
            output = future => Some(output),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("url", &self.url).finish_non_exhaustive()
    }
}
