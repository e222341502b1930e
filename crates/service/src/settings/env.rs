//! The environment as the settings see it: values, what was wrong with them, and what was asked for.

use std::{collections::HashMap, fmt};

use super::{
    DEFAULT_SECRETS_DIR, Problems, SecretFiles, SettingDoc, SettingProblem, to_markdown, variable::Variable,
};

/// Reads settings, collects all their problems and keeps their documentation.
pub struct Env {
    /// An `Err` is a value that is not Unicode.
    values: HashMap<String, Result<String, ()>>,
    /// True when only the documentation is wanted.
    describing: bool,
    secret_files: SecretFiles,
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
        let secret_files = SecretFiles::new(DEFAULT_SECRETS_DIR, "");
        Self { values, describing, secret_files, problems: Vec::new(), reference: Vec::new() }
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

    /// Reads `SECRETS_DIR`. From now on a mounted file wins over the secret variable of the same name, which may
    /// leave out `prefix`: with `WHATSAPP_` the file `access-token` means `WHATSAPP_ACCESS_TOKEN`.
    pub fn use_secret_files(&mut self, prefix: &'static str) {
        let folder = self
            .var(
                "SECRETS_DIR",
                "folder of mounted secrets; a file there wins over the variable of the same name",
            )
            .default(DEFAULT_SECRETS_DIR)
            .parse_with(|path| Ok(path.to_owned()));
        let Some(folder) = folder else { return };
        let chosen = self.value("SECRETS_DIR").is_some();
        if chosen && !self.describing && !std::path::Path::new(&folder).is_dir() {
            self.problem(
                "SECRETS_DIR",
                format!("{folder} is not a folder"),
                "name a folder that exists, or unset it",
            );
        }
        self.secret_files = SecretFiles::new(folder, prefix);
    }

    /// Where secrets are looked for; can be kept to read them again after a rotation.
    pub fn secret_files(&self) -> &SecretFiles {
        &self.secret_files
    }

    /// True when the variable is set to something other than white space.
    pub fn is_set(&self, name: &str) -> bool {
        self.value(name).is_some()
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
