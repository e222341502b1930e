//! What changes when the files are read again: which values are new, and which of the old ones are still good.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::{Inner, SecretId, Secrets, Values};

/// Nobody rotates faster than this within a grace time, unless something is wrong.
const MOST_RETIRED: usize = 8;

/// A value that was current until a short time ago.
#[derive(Debug, Clone)]
pub(super) struct Retired {
    pub(super) value: SecretString,
    until: Instant,
}

/// The secrets after the files were read again, and the names of those with another value than before.
#[derive(Debug)]
pub(super) struct Rotated {
    pub(super) secrets: Secrets,
    pub(super) changed: Vec<SecretId>,
}

impl Secrets {
    /// What the files hold now takes the place of what they held. A value that is replaced or taken away stays
    /// [valid](Secrets::valid) for the grace time.
    pub(super) fn rotate(&self, files: Values, grace: Duration, now: Instant) -> Rotated {
        let mut inner = Inner { files, ..Inner::clone(&self.inner) };
        let before = &self.inner;
        let all: BTreeSet<SecretId> = before
            .files
            .keys()
            .chain(inner.files.keys())
            .cloned()
            .chain(before.variables.aliases())
            .collect();
        let mut changed = Vec::new();
        for id in all {
            let old = before.variables.resolve(&id, &before.files);
            let new = before.variables.resolve(&id, &inner.files);
            if same(old, new) {
                continue;
            }
            let retired = inner.retired.entry(id.clone()).or_default();
            if let Some(old) = old.filter(|_| !grace.is_zero()) {
                retired.retain(|known| !same(Some(&known.value), Some(old)));
                retired.insert(0, Retired { value: old.clone(), until: now + grace });
                retired.truncate(MOST_RETIRED);
            }
            // A value that came back needs no grace.
            retired.retain(|known| !same(Some(&known.value), new));
            changed.push(id);
        }
        forget(&mut inner, now);
        Rotated { secrets: Self { inner: Arc::new(inner) }, changed }
    }

    /// The next moment at which a grace time ends.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.inner.retired.values().flatten().map(|retired| retired.until).min()
    }

    /// Without the values whose grace time is over.
    pub(super) fn without_expired(&self, now: Instant) -> Self {
        let mut inner = Inner::clone(&self.inner);
        forget(&mut inner, now);
        Self { inner: Arc::new(inner) }
    }
}

fn forget(inner: &mut Inner, now: Instant) {
    for retired in inner.retired.values_mut() {
        retired.retain(|retired| retired.until > now);
    }
    inner.retired.retain(|_, retired| !retired.is_empty());
}

fn same(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    one.map(ExposeSecret::expose_secret) == other.map(ExposeSecret::expose_secret)
}
