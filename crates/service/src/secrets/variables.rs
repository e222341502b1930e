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

/// The part of the environment that holds secrets. It does not change while the process runs.
#[derive(Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, SecretString>,
    prefix: &'static str,
    short: &'static str,
    aliases: Vec<Alias>,
}

/// Values stay out of it.
impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variables").field("names", &self.values.keys()).finish_non_exhaustive()
    }
}

impl Variables {
    /// `prefix` begins the variable of every secret without an alias. In files, `short` may be left out at the
    /// beginning of an alias: with `WHATSAPP_` the file `access-token` means `WHATSAPP_ACCESS_TOKEN`.
    pub fn new<'a>(
        prefix: &'static str,
        short: &'static str,
        aliases: &[Alias],
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let is_alias = |name: &str| aliases.iter().any(|alias| alias.variables.contains(&name));
        let is_ours = |name: &str| (!prefix.is_empty() && name.starts_with(prefix)) || is_alias(name);
        let values = environment
            .into_iter()
            .filter(|(name, _)| is_ours(name))
            .filter_map(|(name, value)| Some((name.to_owned(), clean(value)?)))
            .collect();
        Self { values, prefix, short, aliases: aliases.to_vec() }
    }

    /// The current value by the order of the module's description.
    pub(super) fn resolve<'a>(&'a self, id: &SecretId, files: &'a Values) -> Option<&'a SecretString> {
        let alias = self.alias(id);
        let named_file = || files.get(id);
        let flat_file = || {
            alias?
                .variables
                .iter()
                .flat_map(|variable| spellings(variable, self.short))
                .find_map(|file| files.get(&SecretId::flat(file)))
        };
        let named_variable = || {
            // A flat file has no variable of its own.
            if self.prefix.is_empty() || id.name.is_empty() {
                return None;
            }
            self.values.get(&variable_name(self.prefix, id))
        };
        let alias_variable = || alias?.variables.iter().find_map(|variable| self.values.get(*variable));
        named_file().or_else(flat_file).or_else(named_variable).or_else(alias_variable)
    }

    /// The secrets that have names of their own.
    pub(super) fn aliases(&self) -> impl Iterator<Item = SecretId> {
        self.aliases.iter().map(|alias| SecretId::new(alias.name, alias.key))
    }

    fn alias(&self, id: &SecretId) -> Option<&Alias> {
        self.aliases.iter().find(|alias| alias.name == id.name && alias.key == id.key)
    }
}

/// The variable of a secret: upper case, and an underscore for everything that is neither letter nor digit.
pub(super) fn variable_name(prefix: &str, id: &SecretId) -> String {
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
