//! Changes what is logged while the process runs.

use std::sync::{Arc, Mutex, PoisonError};

use tracing_subscriber::{Registry, filter::Targets, reload};

use super::parse_levels;

/// Cheap to clone; all clones change the same.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<Targets, Registry>,
    /// As it was written.
    levels: Arc<Mutex<String>>,
}

impl LogControl {
    /// And the filter that it changes.
    pub(super) fn new(levels: String, targets: Targets) -> (Self, reload::Layer<Targets, Registry>) {
        let (layer, filter) = reload::Layer::new(targets);
        (Self { filter, levels: Arc::new(Mutex::new(levels)) }, layer)
    }

    /// What is logged now, as `LOG_LEVEL` is written.
    pub fn levels(&self) -> String {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on; the error says what is wrong with `levels`, and then nothing has changed.
    pub fn set(&self, levels: &str) -> Result<(), String> {
        let targets = parse_levels(levels.trim())?;
        let mut known = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        self.filter.reload(targets).map_err(|_| "can't be changed any more: nothing is logged".to_owned())?;
        levels.trim().clone_into(&mut known);
        drop(known);
        tracing::warn!(levels, "what is logged was changed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

    use super::*;

    #[test]
    fn a_change_holds_at_once_and_nonsense_changes_nothing() {
        let (control, filter) = LogControl::new("info".to_owned(), parse_levels("info").unwrap());
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_filter(filter);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let debug = || tracing::enabled!(target: "router::engine", tracing::Level::DEBUG);
            assert!(!debug());
            control.set(" info,router=debug ").unwrap();
            assert!(debug());
            assert_eq!(control.levels(), "info,router=debug");
            for nonsense in ["", "loud", "router", "info,router=loud"] {
                assert!(control.set(nonsense).is_err(), "{nonsense}");
            }
            assert!(debug());
            control.set("warn").unwrap();
            assert!(!debug());
        });
    }
}
