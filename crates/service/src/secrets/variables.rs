//! Secrets in the environment, and the plain names that some secrets have beside their name and key.

use std::{collections::BTreeMap, fmt};

use secrecy::SecretString;

use super::{SecretId, Values, text::clean};

/// A secret that also has names of its own: `default/access-token` is `WHATSAPP_ACCESS_TOKEN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alias {
    pub name: &'static str,
    pub key: &'static str,
    /// All of them mean the same; the first that is set counts.
    pub variables: &'static [&'static str],
}

/// How secrets are named outside of configuration objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SecretNames {
    /// Begins the variable of every secret: `<prefix><NAME>_<KEY>`.
    pub prefix: &'static str,
    /// In files it may be left out at the beginning of an alias: with `WHATSAPP_` the file `access-token` means
    /// `WHATSAPP_ACCESS_TOKEN`.
    pub short: &'static str,
    pub aliases: &'static [Alias],
}

impl SecretNames {
    /// The variable that holds a secret: the alias where it has one, else `PREFIX_NAME_KEY`.
    pub fn variable(&self, name: &str, key: &str) -> String {
        let alias = self.aliases.iter().find(|alias| alias.name == name && alias.key == key);
        alias.and_then(|alias| alias.variables.first()).map_or_else(
            || variable_name(self.prefix, &SecretId::new(name, key)),
            |&variable| variable.to_owned(),
        )
    }

    pub(crate) fn alias_of(&self, variable: &str) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.variables.contains(&variable))
    }
}

/// The part of the environment that holds secrets. It does not change while the process runs.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, SecretString>,
    names: SecretNames,
}

/// Values stay out of it.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").field("names", &self.values.keys()).finish_non_exhaustive()
    }
}

impl Variables {
    /// Those of the environment's variables that are secrets.
    pub fn new<'a>(names: SecretNames, environment: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let has_prefix = |name: &str| !names.prefix.is_empty() && name.starts_with(names.prefix);
        let values = environment
            .into_iter()
            .filter(|(name, _)| has_prefix(name) || names.alias_of(name).is_some())
            .filter_map(|(name, value)| Some((name.to_owned(), clean(value)?)))
            .collect();
        Self { values, names }
    }

    /// The current value by the order of the module's description.
    pub(super) fn resolve<'a>(&'a self, id: &SecretId, files: &'a Values) -> Option<&'a SecretString> {
        let alias = self.alias(id);
        let named_file = || files.get(id);
        let flat_file = || {
            alias?
                .variables
                .iter()
                .flat_map(|variable| spellings(variable, self.names.short))
                .find_map(|file| files.get(&SecretId::flat(file)))
        };
        let named_variable = || {
            // A flat file has no variable of its own.
            if self.names.prefix.is_empty() || id.name.is_empty() {
                return None;
            }
            self.values.get(&variable_name(self.names.prefix, id))
        };
        let alias_variable = || alias?.variables.iter().find_map(|variable| self.values.get(*variable));
        named_file().or_else(flat_file).or_else(named_variable).or_else(alias_variable)
    }

    /// The secrets that have names of their own.
    pub(super) fn aliases(&self) -> impl Iterator<Item = SecretId> {
        self.names.aliases.iter().map(|alias| SecretId::new(alias.name, alias.key))
    }

    fn alias(&self, id: &SecretId) -> Option<&Alias> {
        self.names.aliases.iter().find(|alias| alias.name == id.name && alias.key == id.key)
    }
}

/// The variable of a secret that no alias names: upper case, and an underscore for everything that is neither letter nor
/// digit.
pub(crate) fn variable_name(prefix: &str, id: &SecretId) -> String {
    let plain = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
    };
    format!("{prefix}{}_{}", plain(&id.name), plain(&id.key))
}

/// The names of a file directly in the folder that means this variable, best first.
pub(crate) fn spellings(variable: &str, short: &str) -> Vec<String> {
    let kebab = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let mut names = vec![variable.to_owned(), kebab(variable)];
    if let Some(rest) = variable.strip_prefix(short).filter(|_| !short.is_empty()) {
        names.push(kebab(rest));
    }
    names
}
