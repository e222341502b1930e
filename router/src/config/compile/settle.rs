//! Which version of an object is in use: the one that the source has if it is good, else the last good one.

use std::sync::Arc;

use service::secrets::Secrets;

use super::secrets::{Resolved, Wanted};
use crate::config::snapshot::Object;

/// A version of an object that can be in use, with its credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct Good<S> {
    pub(super) spec: S,
    pub(super) version: Version,
    pub(super) secrets: Resolved,
}

/// Which version, and of which object: one that was deleted and made again with the same name is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) uid: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) namespace: Option<String>,
}

impl Version {
    pub(super) fn of(object: &Object) -> Self {
        let metadata = |name: &str| object.value["metadata"][name].as_str().map(str::to_owned);
        Self {
            uid: metadata("uid"),
            // In UTC and with as many digits as are needed, so that texts compare like times.
            created_at: object
                .created_at
                .as_ref()
                .and_then(|at| at.parse::<jiff::Timestamp>().ok())
                .map(|at| format!("{at:.6}")),
            namespace: metadata("namespace"),
        }
    }
}

/// What became of one object.
#[derive(Debug)]
pub(super) struct Settled<'a, S> {
    pub(super) object: &'a Object,
    /// The version that the source has, when it breaks no rule.
    pub(super) own: Option<S>,
    pub(super) in_use: Option<Arc<Good<S>>>,
    /// What is in use is what the source has.
    pub(super) is_current: bool,
    /// What is wrong with the object itself.
    pub(super) problems: Vec<String>,
    /// Another object wants the same thing and has it.
    pub(super) conflict: Option<String>,
    pub(super) missing_secrets: Vec<String>,
    /// Route: channels that are not there or not in use.
    pub(super) missing_channels: Vec<String>,
    /// Route: there is no channel that it could take messages of.
    pub(super) is_idle: bool,
    /// Route: rules that no message reaches.
    pub(super) shadowed: Vec<String>,
    /// Route: no version of it can be used, but which messages it means is known: they wait for it.
    pub(super) held: Option<Arc<Good<S>>>,
}

pub(super) fn settle<'a, S: Clone>(
    object: &'a Object,
    own: Result<S, Vec<String>>,
    last: Option<&Arc<Good<S>>>,
    secrets: &Secrets,
    allow_unsigned: bool,
    wanted: impl Fn(&S) -> Vec<Wanted<'_>>,
) -> Settled<'a, S> {
    let version = Version::of(object);
    // What another object of the same name had is nothing to fall back on.
    let last = last.filter(|last| last.version.uid == version.uid);
    let mut settled = Settled {
        object,
        own: None,
        in_use: None,
        is_current: false,
        problems: Vec::new(),
        conflict: None,
        missing_secrets: Vec::new(),
        missing_channels: Vec::new(),
        is_idle: false,
        shadowed: Vec::new(),
        held: None,
    };
    let with_secrets =
        |spec: &S| Resolved::of(&wanted(spec), secrets, last.map(|last| &last.secrets), allow_unsigned);
    match own {
        Ok(spec) => {
            let (resolved, missing) = with_secrets(&spec);
            settled.missing_secrets = missing;
            if let Some(secrets) = resolved {
                settled.in_use = Some(Arc::new(Good { spec: spec.clone(), version, secrets }));
                settled.is_current = object.stale.is_none();
            }
            settled.own = Some(spec);
        }
        Err(problems) => settled.problems = problems,
    }
    settled.problems.extend(object.stale.clone());
    if settled.in_use.is_none()
        && let Some(last) = last
    {
        // Its credentials go on being changed all the same.
        let (resolved, missing) = with_secrets(&last.spec);
        if settled.own.is_none() {
            settled.missing_secrets = missing;
        }
        settled.in_use = resolved.map(|secrets| {
            Arc::new(Good { spec: last.spec.clone(), version: last.version.clone(), secrets })
        });
    }
    settled
}
