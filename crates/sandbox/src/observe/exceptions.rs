//! The checks that can't have data here, and why: a list in a file, in which nothing may be out of date.

use std::{collections::BTreeMap, path::Path};

use super::ObserveError;

/// By the name of the check.
#[derive(Debug, Default)]
pub(super) struct Exceptions(BTreeMap<String, String>);

impl Exceptions {
    pub(super) fn read(file: &Path, has_postgres: bool) -> Result<Self, ObserveError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| ObserveError::Files(format!("read {}", file.display()), error))?;
        Self::parse(&text, has_postgres)
            .map_err(|problem| ObserveError::Dashboard(file.display().to_string(), problem))
    }

    /// Lines of `WHEN | CHECK | WHY`, where `WHEN` is `always` or `without postgresql`.
    fn parse(text: &str, has_postgres: bool) -> Result<Self, String> {
        let mut exceptions = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let parts: Vec<_> = line.split('|').map(str::trim).collect();
            let [when, check, why] = parts[..] else {
                return Err(format!("{line}: is not WHEN | CHECK | WHY"));
            };
            let holds = match when {
                "always" => true,
                "without postgresql" => !has_postgres,
                _ => return Err(format!("{line}: begins neither with always nor with without postgresql")),
            };
            if why.is_empty() {
                return Err(format!("{line}: says not why"));
            }
            if holds && exceptions.insert(check.to_owned(), why.to_owned()).is_some() {
                return Err(format!("{check} is there twice"));
            }
        }
        Ok(Self(exceptions))
    }

    /// What is wrong, given what each check lacks.
    pub(super) fn judge(&self, lacks: &BTreeMap<String, Vec<String>>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (check, lacking) in lacks {
            match (self.0.get(check), lacking.is_empty()) {
                (None, false) => {
                    wrong.extend(lacking.iter().map(|what| format!("{check} has no data: {what}")));
                }
                (Some(_), true) => wrong.push(format!("{check} is an exception and has data: take it out")),
                (None, true) | (Some(_), false) => {}
            }
        }
        for check in self.0.keys().filter(|check| !lacks.contains_key(*check)) {
            wrong.push(format!("{check} is an exception and does not exist: take it out"));
        }
        wrong
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lacks_data_and_what_does_not_any_more_is_said() {
        let text = "# Why\n\nalways | panel Leader A | only in Kubernetes\nwithout postgresql | panel Pool A | it has none\n";
        let lacks = |leader: &[&str], other: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
            BTreeMap::from([
                ("panel Leader A".to_owned(), owned(leader)),
                ("panel Other A".to_owned(), owned(other)),
            ])
        };
        let exceptions = Exceptions::parse(text, true).unwrap();
        assert_eq!(exceptions.len(), 1);
        assert_eq!(exceptions.judge(&lacks(&["x"], &[])), Vec::<String>::new());
        assert_eq!(exceptions.judge(&lacks(&[], &["y"])).len(), 2);
        let without = Exceptions::parse(text, false).unwrap();
        assert_eq!(
            without.judge(&lacks(&["x"], &[])),
            ["panel Pool A is an exception and does not exist: take it out"]
        );
        for wrong in
            ["panel A", "always | panel A |", "never | panel A | why", "always | a | b\nalways | a | c"]
        {
            assert!(Exceptions::parse(wrong, true).is_err(), "{wrong}");
        }
    }
}
