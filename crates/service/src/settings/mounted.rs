//! Settings that are secret may come from a mounted file; see [`crate::secrets`] for which one.

use std::path::Path;

use secrecy::SecretString;

use crate::secrets::{Found, SecretId, SecretNames, variables};

/// The folder of secrets as it was when the settings were read.
#[derive(Debug, Default)]
pub(super) struct Mounted {
    found: Found,
    names: SecretNames,
}

impl Mounted {
    pub(super) fn read(folder: &Path, names: SecretNames) -> Self {
        Self { found: crate::secrets::found::read(folder), names }
    }

    /// The value of the first file that means one of these variables. The error says which variable's file cannot be
    /// read, and why: the variable itself is no way out then, since it would be another value.
    pub(super) fn file(
        &self,
        variables: &[&'static str],
    ) -> Result<Option<SecretString>, (&'static str, String)> {
        for variable in variables {
            let named = self.names.alias_of(variable).map(|alias| SecretId::new(alias.name, alias.key));
            let flat = variables::spellings(variable, self.names.short).into_iter().map(SecretId::flat);
            for id in named.into_iter().chain(flat) {
                if let Some(unreadable) = self.found.unreadable.iter().find(|file| file.concerns(&id)) {
                    return Err((variable, format!("its file {unreadable}")));
                }
                if let Some(value) = self.found.values.get(&id) {
                    return Ok(Some(value.clone()));
                }
            }
        }
        Ok(None)
    }

    /// The variable that means the secret itself: `<PREFIX><NAME>_<KEY>`.
    pub(super) fn named_variable(&self, variable: &str) -> Option<String> {
        let alias = self.names.alias_of(variable)?;
        (!self.names.prefix.is_empty())
            .then(|| variables::variable_name(self.names.prefix, &SecretId::new(alias.name, alias.key)))
    }
}
