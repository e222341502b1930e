//! The credentials that an object names: looked up, made ready for their use, and remembered when they vanish.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use service::{
    secrets::{self, Secrets},
    signing::Signer,
};

use crate::{config::objects::SecretKeyRef, settings::secrets::SECRET_NAMES};

/// What a credential is for, and so what it has to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    AccessToken,
    VerifyToken,
    /// One or several, separated by commas.
    AppSecret,
    Signing,
}

/// One reference of an object, and the field that it is in.
#[derive(Debug, Clone)]
pub(super) struct Wanted<'a> {
    pub(super) field: String,
    pub(super) of: &'a SecretKeyRef,
    pub(super) purpose: Use,
}

/// The credentials of an object by the reference that names them.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolved(BTreeMap<SecretKeyRef, Values>);

#[derive(Debug, Clone, Default)]
struct Values {
    /// Never empty, except where unsigned webhooks were allowed expressly.
    current: Vec<SecretString>,
    /// What was current until a short time ago.
    older: Vec<SecretString>,
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        let plain = |values: &[SecretString]| -> Vec<String> {
            values.iter().map(|value| value.expose_secret().to_owned()).collect()
        };
        plain(&self.current) == plain(&other.current) && plain(&self.older) == plain(&other.older)
    }
}

impl PartialEq for Resolved {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Resolved {
    /// All that is `wanted`, or nothing when something is missing; `last` stands in for what is gone. Beside it, what
    /// is wrong, field by field.
    pub(super) fn of(
        wanted: &[Wanted<'_>],
        secrets: &Secrets,
        last: Option<&Self>,
        allow_unsigned: bool,
    ) -> (Option<Self>, Vec<String>) {
        let mut resolved = Self::default();
        let mut problems = Vec::new();
        let mut complete = true;
        for Wanted { field, of, purpose } in wanted {
            let values = match look_up(secrets, of, *purpose) {
                Ok(values) => values,
                Err(Unusable::Missing) if *purpose == Use::AppSecret && allow_unsigned => Values::default(),
                Err(why) => {
                    let remembered =
                        last.and_then(|last| last.0.get(of)).filter(|values| !values.current.is_empty());
                    let rest = if remembered.is_some() { "; its last value stays in use" } else { "" };
                    let place = match why {
                        Unusable::Missing => place(of),
                        _ => String::new(),
                    };
                    problems.push(format!("{field}: the secret {}/{} {why}{place}{rest}", of.name, of.key));
                    let Some(values) = remembered else {
                        complete = false;
                        continue;
                    };
                    Values { current: values.current.clone(), older: Vec::new() }
                }
            };
            resolved.0.insert((*of).clone(), values);
        }
        (complete.then_some(resolved), problems)
    }

    /// The current value.
    pub(super) fn current(&self, of: &SecretKeyRef) -> Option<&SecretString> {
        self.0.get(of)?.current.first()
    }

    /// Every value that something may be signed with.
    pub(super) fn valid(&self, of: &SecretKeyRef) -> Vec<SecretString> {
        self.0
            .get(of)
            .map_or(Vec::new(), |values| values.current.iter().chain(&values.older).cloned().collect())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unusable {
    #[error("is not there or empty: ")]
    Missing,
    #[error("is still the example's value: put your own there")]
    Example,
    #[error("has a space, a line break or another character in it that no token has: copy it again")]
    NoToken,
    #[error("{0}")]
    NoKey(String),
}

/// Where a missing one is looked for.
fn place(of: &SecretKeyRef) -> String {
    let variable = SECRET_NAMES.variable(&of.name, &of.key);
    format!("put it in the file {}/{} below SECRETS_DIR, or in the variable {variable}", of.name, of.key)
}

fn look_up(secrets: &Secrets, of: &SecretKeyRef, purpose: Use) -> Result<Values, Unusable> {
    let current = secrets.get(&of.name, &of.key).ok_or(Unusable::Missing)?;
    // The first valid one is the current one.
    let older = secrets.valid(&of.name, &of.key).into_iter().skip(1);
    Ok(Values {
        current: usable(&current, purpose)?,
        // What is no good any more needs no grace.
        older: older.flat_map(|value| usable(&value, purpose).unwrap_or_default()).collect(),
    })
}

fn usable(value: &SecretString, purpose: Use) -> Result<Vec<SecretString>, Unusable> {
    let text = value.expose_secret();
    if text.starts_with("change-me") {
        return Err(Unusable::Example);
    }
    match purpose {
        Use::AccessToken if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(Unusable::NoToken),
        Use::AppSecret => {
            let list = secrets::list(value);
            if list.is_empty() { Err(Unusable::Missing) } else { Ok(list) }
        }
        Use::Signing => match Signer::new(std::slice::from_ref(value)) {
            Ok(_) => Ok(vec![value.clone()]),
            Err(why) => Err(Unusable::NoKey(why.to_string())),
        },
        Use::AccessToken | Use::VerifyToken => Ok(vec![value.clone()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(purpose: Use, value: &str) -> Result<Vec<String>, String> {
        let secrets = Secrets::from_pairs([("s", "k", value)]);
        let of = SecretKeyRef { name: "s".to_owned(), key: "k".to_owned() };
        let wanted = Wanted { field: "spec.ref".to_owned(), of: &of, purpose };
        match Resolved::of(&[wanted], &secrets, None, false) {
            (Some(resolved), problems) if problems.is_empty() => {
                Ok(resolved.valid(&of).iter().map(|value| value.expose_secret().to_owned()).collect())
            }
            (None, problems) => Err(problems.join("\n")),
            other => panic!("complete with problems: {other:?}"),
        }
    }

    #[test]
    fn values_are_judged_by_their_use() {
        for (purpose, value, wanted) in [
            (Use::AccessToken, "token\n", Ok(vec!["token"])),
            (Use::AccessToken, "to ken", Err("no token has")),
            (
                Use::AccessToken,
                "",
                Err("spec.ref: the secret s/k is not there or empty: put it in the file s/k below"),
            ),
            (Use::AccessToken, "\n", Err("or in the variable WHATSAPP_ROUTER_SECRET_S_K")),
            (Use::VerifyToken, "two words", Ok(vec!["two words"])),
            (Use::VerifyToken, " \n", Err("empty")),
            (Use::AppSecret, "change-me-app-secret", Err("example")),
            (Use::AppSecret, "new, old\n", Ok(vec!["new", "old"])),
            (Use::AppSecret, " , ", Err("empty")),
            (Use::Signing, "hunter2", Err("signing secret")),
            (
                Use::Signing,
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                Ok(vec!["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]),
            ),
        ] {
            match (one(purpose, value), wanted) {
                (Ok(values), Ok(wanted)) => assert_eq!(values, wanted),
                (Err(problem), Err(says)) => {
                    assert!(problem.contains(says), "{says} is not in {problem}");
                    assert!(value.trim().is_empty() || !problem.contains(value), "{problem}");
                }
                (got, _) => panic!("{value:?} as {purpose:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_secret_that_is_gone_is_remembered_and_missed() {
        let of = SecretKeyRef { name: "s".to_owned(), key: "k".to_owned() };
        let wanted = [Wanted { field: "spec.ref".to_owned(), of: &of, purpose: Use::AccessToken }];
        let there = Secrets::from_pairs([("s", "k", "token")]);
        let (last, _) = Resolved::of(&wanted, &there, None, false);
        let (still, problems) = Resolved::of(&wanted, &Secrets::default(), last.as_ref(), false);
        assert_eq!(still.as_ref(), last.as_ref());
        assert!(problems[0].ends_with("its last value stays in use"), "{problems:?}");
        let (never, problems) = Resolved::of(&wanted, &Secrets::default(), None, true);
        assert!(never.is_none() && problems.len() == 1, "only app secrets may be left out");
    }
}
