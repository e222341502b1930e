//! Which messages go to which backends, and how. A route is a list of rules.

use std::{fmt::Write, sync::Arc};

use service::{signing::Signer, telemetry::Callee};
use url::Url;

use super::{
    balance,
    matching::Matcher,
    policy::{DeliveryPolicy, Events, MarkRead, Wanted},
};

/// The rule whose name is left out wherever its route is named.
const DEFAULT: &str = "default";

/// An HTTP service that answers `POST /process`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// A bounded label for logs and metrics, and what its circuit breaker is kept by.
    pub name: Arc<str>,
    /// The address of `/process` itself.
    pub process_url: Url,
    /// The address of `/events` itself.
    pub events_url: Url,
    /// How calls of `/process` are told about.
    pub callee: Callee,
}

impl Backend {
    /// Called by its address, as far as that tells it from others: `orders:8080/shop`. `base` may have a path of its
    /// own, with or without a slash at its end.
    pub fn at(base: &Url) -> Self {
        let mut name = base.host_str().unwrap_or_default().to_owned();
        if let Some(port) = base.port() {
            // Writing to a String can't fail.
            let _ = write!(name, ":{port}");
        }
        name.push_str(base.path().trim_end_matches('/'));
        Self::named(&name, base)
    }

    pub fn named(name: &str, base: &Url) -> Self {
        let below = |name: &str| {
            let mut url = base.clone();
            url.set_path(&format!("{}/{name}", base.path().trim_end_matches('/')));
            url
        };
        Self {
            name: Arc::from(name),
            process_url: below("process"),
            events_url: below("events"),
            callee: Callee::below(base, "/process"),
        }
    }
}

/// A backend and its part of the conversations; 0: none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedBackend {
    pub backend: Backend,
    pub weight: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Rule {
    /// Bounded, stored with the work: the route's name, and the rule's unless it is `default`.
    pub label: Arc<str>,
    pub route: Arc<str>,
    pub name: Arc<str>,
    /// One of them has to match; none: every message.
    pub matchers: Vec<Matcher>,
    pub backends: Vec<WeightedBackend>,
    pub wanted: Wanted,
    pub delivery: DeliveryPolicy,
    pub events: Events,
    pub mark_read: MarkRead,
    /// Signs the calls of the backends.
    pub signer: Option<Signer>,
    /// It can't be used yet. What it takes waits for it, because any other rule would give a wrong answer.
    pub is_held: bool,
}

impl Rule {
    pub fn label(route: &str, name: &str) -> Arc<str> {
        if name == DEFAULT { Arc::from(route) } else { Arc::from(format!("{route}/{name}")) }
    }

    /// Who answers this conversation: the same one as long as the weights are the same. `None` when no weight is
    /// above 0.
    pub fn backend(&self, conversation: i64) -> Option<&Backend> {
        if let [only] = &self.backends[..] {
            return (only.weight > 0).then_some(&only.backend);
        }
        let weights = self.backends.iter().map(|it| (&*it.backend.name, it.weight));
        balance::draw(&conversation.to_string(), weights).map(|position| &self.backends[position].backend)
    }
}

/// Which messages of which channels go where.
#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub channels: Vec<Arc<str>>,
    /// Higher goes first.
    pub priority: i32,
    /// RFC 3339 in UTC, where its source knows it.
    pub created_at: Option<String>,
    pub rules: Vec<Rule>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_named_by_its_address() {
        for (base, name, process, events) in [
            ("http://orders:8080", "orders:8080", "http://orders:8080/process", "http://orders:8080/events"),
            ("http://orders:8080/", "orders:8080", "http://orders:8080/process", "http://orders:8080/events"),
            (
                "https://a.example/shop/",
                "a.example/shop",
                "https://a.example/shop/process",
                "https://a.example/shop/events",
            ),
        ] {
            let backend = Backend::at(&base.parse().unwrap());
            assert_eq!(
                (&*backend.name, backend.process_url.as_str(), backend.events_url.as_str()),
                (name, process, events)
            );
        }
    }

    #[test]
    fn the_default_rule_is_called_like_its_route() {
        assert_eq!(
            (&*Rule::label("orders", "default"), &*Rule::label("orders", "keyword")),
            ("orders", "orders/keyword")
        );
    }
}
