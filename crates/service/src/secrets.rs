//! Secrets as they are right now: from mounted files first, else from the environment. A change of a file is noticed
//! while the process runs, and for a grace time the value before it is still good for what was signed with it.
//!
//! A secret has a name and a key, as in Kubernetes. It is looked for in this order:
//! 1. the file `<folder>/<name>/<key>`;
//! 2. for the few that have an [`Alias`], a file directly in the folder, such as `WHATSAPP_ACCESS_TOKEN` or `access-token`;
//! 3. the variable `<PREFIX><NAME>_<KEY>`;
//! 4. for the few that have an [`Alias`], its variable, such as `WHATSAPP_ACCESS_TOKEN`.
//!
//! ```
//! use secrecy::ExposeSecret;
//! use service::secrets::Secrets;
//!
//! let secrets = Secrets::from_pairs([("support", "access-token", "EAAB")]);
//! assert_eq!(secrets.get("support", "access-token").unwrap().expose_secret(), "EAAB");
//! assert!(secrets.get("support", "app-secret").is_none());
//! ```

mod eyes;
pub(crate) mod found;
mod id;
mod meters;
mod rotation;
mod text;
pub(crate) mod variables;
mod watch;

use std::{collections::BTreeMap, fmt, sync::Arc};

use secrecy::SecretString;

pub(crate) use self::found::Found;
use self::rotation::Retired;
pub use self::{
    id::SecretId,
    text::list,
    variables::{Alias, SecretNames, Variables},
    watch::{SecretOptions, read, watch},
};

/// Registers what [`watch`] counts, for the reference of all metrics.
pub fn declare_metrics(metrics: &crate::metrics::Metrics) {
    let _registers = meters::Meters::new(metrics);
}

/// Where secrets are mounted when `SECRETS_DIR` does not say otherwise.
pub const DEFAULT_SECRETS_DIR: &str = "/var/run/secrets/whatsapp-router";

/// What the files hold, by name and key. Files directly in the folder have the name `""`.
pub(crate) type Values = BTreeMap<SecretId, SecretString>;

/// All secrets at one moment; it never changes. Cheap to clone.
#[derive(Clone, Default)]
pub struct Secrets {
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    files: Values,
    variables: Arc<Variables>,
    /// Values that were current until a short time ago, newest first.
    retired: BTreeMap<SecretId, Vec<Retired>>,
}

/// Values stay out of it.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").field("files", &self.inner.files.keys()).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Those of the environment alone.
    pub fn of_variables(variables: Variables) -> Self {
        Self { inner: Arc::new(Inner { variables: Arc::new(variables), ..Inner::default() }) }
    }

    /// Exactly these (name, key, value), for tests.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Self {
        let files = pairs
            .into_iter()
            .filter_map(|(name, key, value)| Some((SecretId::new(name, key), text::clean(value)?)))
            .collect();
        Self { inner: Arc::new(Inner { files, ..Inner::default() }) }
    }

    /// The value to use from now on. None when there is no file and no variable, or nothing in it.
    pub fn get(&self, name: &str, key: &str) -> Option<SecretString> {
        self.current(&SecretId::new(name, key)).cloned()
    }

    /// Every value that something may be signed with: the current one first, then those before it whose grace time
    /// lasts. A secret that was taken away is still in here for its grace time.
    pub fn valid(&self, name: &str, key: &str) -> Vec<SecretString> {
        let id = SecretId::new(name, key);
        let retired = self.inner.retired.get(&id).into_iter().flatten().map(|retired| &retired.value);
        self.current(&id).into_iter().chain(retired).cloned().collect()
    }

    fn with_files(&self, files: Values) -> Self {
        Self { inner: Arc::new(Inner { files, ..Inner::clone(&self.inner) }) }
    }

    fn files(&self) -> &Values {
        &self.inner.files
    }

    fn current(&self, id: &SecretId) -> Option<&SecretString> {
        self.inner.variables.resolve(id, &self.inner.files)
    }
}

#[cfg(test)]
mod tests;
