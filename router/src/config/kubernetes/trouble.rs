//! What keeps us from the API server, in words that say what to do about it.

use std::{error::Error as _, fmt, time::Duration};

/// Installs the definitions; the same words everywhere.
pub(super) const INSTALL: &str =
    "install them with `router crd | kubectl apply -f -`, or with the chart's `crds.enabled=true`";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The kinds are not defined in the cluster.
    NotInstalled {
        resource: &'static str,
    },
    /// The Role lacks something.
    Forbidden {
        verb: &'static str,
        resource: String,
        namespace: String,
    },
    /// The token is none, or none any more.
    Unauthorized,
    /// What we know is too old to go on from.
    Expired,
    /// Neither an object nor a sign of life.
    Silent(Duration),
    Other(String),
}

impl Trouble {
    pub(super) fn of(
        error: &kube::Error,
        verb: &'static str,
        resource: &'static str,
        namespace: &str,
    ) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 => Self::Unauthorized,
                403 => {
                    Self::Forbidden { verb, resource: resource.to_owned(), namespace: namespace.to_owned() }
                }
                404 => Self::NotInstalled { resource },
                410 => Self::Expired,
                code => Self::Other(format!("the API server answers {code}: {}", short(&status.message))),
            },
            error => Self::Other(format!("the API server can't be reached: {}", short(&innermost(error)))),
        }
    }

    /// Of what every cluster knows, such as leases: not to find one of them says nothing about what is installed.
    pub(super) fn of_other(
        error: &kube::Error,
        verb: &'static str,
        resource: &'static str,
        namespace: &str,
    ) -> Self {
        match Self::of(error, verb, resource, namespace) {
            Self::NotInstalled { .. } => {
                Self::Other(format!("the API server finds no such thing among the {resource}"))
            }
            other => other,
        }
    }

    /// Nothing to tell anybody: the next list mends it.
    pub(super) fn is_usual(&self) -> bool {
        *self == Self::Expired
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { resource } => {
                write!(f, "the cluster does not know {resource}.whatsapp-router.dev: {INSTALL}")
            }
            Self::Forbidden { verb, resource, namespace } => write!(
                f,
                "no permission to {verb} {resource} in the namespace {namespace}: the Role that is bound to this \
                 service account there needs the verb {verb} on {resource}"
            ),
            Self::Unauthorized => f.write_str(
                "the API server does not know our token: look at the pod's service account and its mounted token, or \
                 at KUBECONFIG",
            ),
            Self::Expired => f.write_str("what we know is too old to go on from"),
            Self::Silent(time) => write!(f, "the API server has been silent for {} s", time.as_secs()),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The cause at the bottom says what happened; those above it that something did.
fn innermost(error: &kube::Error) -> String {
    let mut source = error.source();
    let mut text = error.to_string();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

fn short(text: &str) -> String {
    text.chars().take(300).collect::<String>().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn it_says_what_to_do() {
        let of = |code| {
            let status = Status::failure("no", "reason").with_code(code);
            Trouble::of(&kube::Error::Api(status.boxed()), "watch", "routes", "shop").to_string()
        };
        for (code, says) in [
            (401, &["token"][..]),
            (403, &["to watch routes in the namespace shop", "Role", "verb watch"]),
            (404, &["routes.whatsapp-router.dev", "router crd | kubectl apply", "crds.enabled"]),
            (500, &["answers 500: no"]),
        ] {
            for words in says {
                assert!(of(code).contains(words), "{words} is not in {}", of(code));
            }
        }
    }

    #[test]
    fn what_every_cluster_knows_is_never_said_to_be_missing_from_it() {
        let of = |code| {
            let status = Status::failure("no", "reason").with_code(code);
            let error = kube::Error::Api(status.boxed());
            Trouble::of_other(&error, "update", "leases.coordination.k8s.io", "shop").to_string()
        };
        assert!(of(403).contains("needs the verb update on leases.coordination.k8s.io"), "{}", of(403));
        assert!(!of(404).contains("install"), "{}", of(404));
    }
}
