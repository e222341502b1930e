//! Opens the home of the objects that the settings name.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{
    compile::Defaults,
    environment, files, kubernetes,
    source::{Source, SourceKind, SyncClock},
};
use crate::{
    retry::RetryPolicy,
    routing::{DeadLetter, DeliveryPolicy},
    settings::Settings,
};

/// Why there is no configuration to begin with.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("CONFIG_DIR: {} can't be read ({error}): name a folder that exists and that the router may read", .path.display())]
    Folder { path: PathBuf, error: std::io::Error },
    #[error(
        "CONFIG_SOURCE is {0}, and what that needs is not there; this is a mistake of the program, please report it"
    )]
    Incomplete(SourceKind),
}

/// What objects leave out is what the settings say.
pub fn defaults(settings: &Settings) -> Defaults {
    let (delivery, flow) = (&settings.delivery, &settings.flow);
    let is_environment = settings.config.source == SourceKind::Environment;
    Defaults {
        limits: settings.limits,
        delivery: DeliveryPolicy {
            timeout: delivery.backend_timeout,
            retry: RetryPolicy {
                attempts: Some(8),
                backoff: Duration::from_secs(1),
                max_backoff: Duration::from_secs(300),
                max_age: Duration::from_secs(86_400),
            },
            ambiguous: flow.ambiguous,
            reply_max_age: delivery.reply_max_age,
            debounce: flow.debounce,
            takeover_idle: flow.takeover_idle,
            undelivered: flow.undelivered.clone(),
            dead_letter: DeadLetter::default(),
        },
        api_version: settings.whatsapp.api_version.clone(),
        allow_unsigned: settings.whatsapp.allow_unsigned,
        // The one backend of the environment is called what it was always called in metrics.
        backend_name: is_environment.then(|| Arc::from("default")),
    }
}

/// The source that the settings name; `kubernetes` is open when that is it. Needs a Tokio runtime.
pub fn open(settings: &Settings, kubernetes: Option<&kubernetes::Home>) -> Result<Source, SourceError> {
    if let Some(home) = kubernetes {
        return Ok(home.source());
    }
    let config = &settings.config;
    match (config.source, &config.dir, &settings.whatsapp.phone_number_id) {
        (SourceKind::Files, Some(path), _) => {
            files::start(path).map_err(|error| SourceError::Folder { path: path.clone(), error })
        }
        (SourceKind::Environment, _, Some(id)) => {
            let snapshot = Arc::new(environment::snapshot(settings, id));
            let (_, snapshots) = watch::channel(Some(snapshot));
            Ok(Source { kind: SourceKind::Environment, snapshots, sync: SyncClock::default() })
        }
        // Reading the settings makes sure of what they need.
        (kind, _, _) => Err(SourceError::Incomplete(kind)),
    }
}
