//! The environment as the settings see it: values, what was wrong with them, and what was asked for.

use std::{collections::HashMap, fmt, path::PathBuf, time::Duration};

use super::{
    Problems, SettingDoc, SettingProblem, mounted::Mounted, parse_duration, to_markdown, variable::Variable,
};
use crate::secrets::{DEFAULT_SECRETS_DIR, SecretNames, SecretOptions, Variables};

/// Reading a few small files more often than this is of no use to anybody.
const LEAST_POLL: Duration = Duration::from_secs(1);

/// Reads settings, collects all their problems and keeps their documentation.
pub struct Env {
    /// An `Err` is a value that is not Unicode.
    values: HashMap<String, Result<String, ()>>,
    /// True when only the documentation is wanted.
    describing: bool,
    mounted: Mounted,
    problems: Vec<SettingProblem>,
    reference: Vec<SettingDoc>,
}

/// Values stay out of it, because some are secrets.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl Env {
    fn new(values: HashMap<String, Result<String, ()>>, describing: bool) -> Self {
        let mounted = Mounted::default();
        Self { values, describing, mounted, problems: Vec::new(), reference: Vec::new() }
    }

    /// The environment of this process.
    pub fn from_process() -> Self {
        let values = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().map_err(|_| ()))))
            .collect();
        Self::new(values, false)
    }

    /// An environment of exactly these variables, for tests and for processes that configure others.
    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = pairs.into_iter().map(|(name, value)| (name.into(), Ok(value.into()))).collect();
        Self::new(values, false)
    }

    /// Reads nothing and finds no problems; what was asked for ends up in [`Env::reference`].
    pub fn describing() -> Self {
        Self::new(HashMap::new(), true)
    }

    /// Starts the description of one variable; the reading happens in the last call of the chain.
    pub fn var(&mut self, name: &'static str, meaning: impl Into<String>) -> Variable<'_> {
        Variable::new(self, name, meaning.into())
    }

    /// Reads where secrets are and how they change. From now on a mounted file wins over the secret variable of the
    /// same name. The answer is what [`crate::secrets::watch`] needs.
    pub fn use_secrets(&mut self, names: SecretNames) -> Option<SecretOptions> {
        let folder = self
            .var(
                "SECRETS_DIR",
                "folder of mounted secrets; a file there wins over the variable of the same name, and may change at any time",
            )
            .default(DEFAULT_SECRETS_DIR)
            .parse_with(|path| Ok(PathBuf::from(path)));
        let poll = self
            .var(
                "SECRETS_POLL_INTERVAL",
                "changes of secrets are noticed at once; where the file system reports none, after this time",
            )
            .default("30s")
            .parse_with(|text| match parse_duration(text)? {
                poll if poll < LEAST_POLL => Err("is shorter than 1s".to_owned()),
                poll => Ok(poll),
            });
        let grace = self
            .var(
                "SECRETS_GRACE",
                "how long webhooks signed with a replaced app secret are still taken; `0` refuses them at once",
            )
            .default("10m")
            .duration();
        let folder = folder?;
        if !self.describing {
            if folder.exists() && !folder.is_dir() {
                let what = format!("{} is not a folder", folder.display());
                self.problem("SECRETS_DIR", what, "name a folder, or unset it");
            }
            self.mounted = Mounted::read(&folder, names);
        }
        let environment =
            self.values.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref().ok()?)));
        let variables = Variables::new(names, environment);
        Some(SecretOptions { folder, poll: poll?, grace: grace?, variables })
    }

    /// True when the variable is set to something other than white space.
    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// True when the variable is set to exactly this.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == Some(Ok(value))
    }

    /// Names that begin so and are set, and that nothing has asked for so far, in order.
    pub fn unasked(&self, prefix: &str) -> Vec<String> {
        let asked = |name: &str| self.reference.iter().any(|doc| doc.name == name);
        let names = self.values.keys().filter(|name| name.starts_with(prefix));
        let mut unasked: Vec<_> =
            names.filter(|name| self.is_set(name) && !asked(name)).map(String::to_owned).collect();
        unasked.sort_unstable();
        unasked
    }

    /// Records that something is wrong, for checks that look at more than one variable. Has no effect while describing.
    pub fn problem(&mut self, name: impl Into<String>, what: impl Into<String>, instead: impl Into<String>) {
        if !self.describing {
            self.problems.push(SettingProblem {
                name: name.into(),
                what: what.into(),
                instead: instead.into(),
            });
        }
    }

    /// All problems so far, or nothing to complain about.
    pub fn finish(&mut self) -> Result<(), Problems> {
        Problems::from_list(std::mem::take(&mut self.problems)).map_or(Ok(()), Err)
    }

    /// The settings when nothing was wrong, else every problem.
    pub fn finish_with<T>(&mut self, settings: Option<T>) -> Result<T, Problems> {
        self.finish()?;
        settings.ok_or_else(|| {
            // A reader gave up without saying why; better a vague problem than a panic.
            let what = "a setting is missing".to_owned();
            let instead = "look at the configuration reference".to_owned();
            Problems::from_list(vec![SettingProblem { name: "configuration".to_owned(), what, instead }])
                .unwrap_or_else(|| unreachable!("the list has one problem"))
        })
    }

    /// Everything that was asked for, in that order, each name once.
    pub fn reference(&self) -> &[SettingDoc] {
        &self.reference
    }

    /// The reference as a Markdown table.
    pub fn to_markdown(&self) -> String {
        to_markdown(&self.reference)
    }

    pub(super) fn is_describing(&self) -> bool {
        self.describing
    }

    pub(super) fn mounted(&self) -> &Mounted {
        &self.mounted
    }

    pub(super) fn document(&mut self, doc: SettingDoc) {
        if !self.reference.iter().any(|known| known.name == doc.name) {
            self.reference.push(doc);
        }
    }

    /// The trimmed value; empty counts as not set. `Some(Err)` is a value that is not Unicode.
    pub(super) fn value(&self, name: &str) -> Option<Result<&str, ()>> {
        match self.values.get(name)? {
            Ok(value) => Some(value.trim()).filter(|value| !value.is_empty()).map(Ok),
            Err(()) => Some(Err(())),
        }
    }
}
