//! Whether an object is right in itself: its schema, and what a schema can't say.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::settings::format_duration;
use url::Url;

use super::Defaults;
use crate::{
    config::{
        objects::{BackendRef, ChannelSpec, ConfigDuration, RouteRule, RouteSpec, UndeliveredAction},
        schema,
        snapshot::Object,
    },
    routing::matching::Matcher,
    settings::base_url,
};

/// One call of a backend keeps a conversation waiting for so long at most.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
const SHORTEST_PAIR_INTERVAL: Duration = Duration::from_millis(1);
const LONGEST_PAIR_INTERVAL: Duration = Duration::from_secs(3_600);

/// What the object says, in types; else what is wrong, as lines `field: what`.
pub(super) fn typed<S: DeserializeOwned>(schema: &Value, object: &Value) -> Result<S, Vec<String>> {
    let problems = schema::problems(schema, object);
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(object["spec"].clone())
        .map_err(|error| vec![format!("spec: can't be read: {error}")])
}

/// A route with what it says of which messages it is about, and nothing else; `None` when something is wrong with that.
pub(super) fn meant(schema: &Value, object: &Object) -> Option<RouteSpec> {
    let mut value = object.value.clone();
    let known = &schema["properties"]["spec"]["properties"]["rules"]["items"]["properties"];
    for rule in value.pointer_mut("/spec/rules")?.as_array_mut()? {
        let rule = rule.as_object_mut()?;
        // A field that nobody knows stays: it may be `matches` with a letter missing.
        rule.retain(|field, _| matches!(field.as_str(), "name" | "matches") || known.get(field).is_none());
        rule.insert("backends".to_owned(), json!([{"url": "http://nobody"}]));
    }
    typed(schema, &value).ok().filter(is_clear)
}

/// Whether it is known which messages the route means.
pub(super) fn is_clear(spec: &RouteSpec) -> bool {
    matches(spec).is_empty()
}

pub(super) fn channel(spec: &ChannelSpec) -> Vec<String> {
    let interval = spec.limits.as_ref().and_then(|limits| limits.pair_interval);
    let wrong = interval.is_some_and(|it| !(SHORTEST_PAIR_INTERVAL..=LONGEST_PAIR_INTERVAL).contains(&it.0));
    wrong
        .then(|| "spec.limits.pairInterval: is not from 1ms to 1h: write a time between them".to_owned())
        .into_iter()
        .collect()
}

fn matches(spec: &RouteSpec) -> Vec<String> {
    let mut found = Vec::new();
    for (position, rule) in spec.rules.iter().enumerate() {
        for (number, one) in rule.matches.iter().enumerate() {
            if let Err(why) = Matcher::compile(one) {
                // It says the field itself.
                found.push(format!("spec.rules[{position}].matches[{number}]: {why}"));
            }
        }
    }
    found
}

pub(super) fn route(spec: &RouteSpec, defaults: &Defaults) -> Vec<String> {
    let mut found = matches(spec);
    for (position, one) in spec.rules.iter().enumerate() {
        let mut say =
            |field: &str, what: String| found.push(format!("spec.rules[{position}].{field}: {what}"));
        for (number, one) in one.backends.iter().enumerate() {
            if let Err(why) = address(one, None) {
                say(&format!("backends[{number}].url"), why);
            }
        }
        if !one.events.is_empty() {
            // Better refused than promised and not done.
            say("events", "can't be posted to backends by this version: leave it out".to_owned());
        }
        times(one, defaults, &mut say);
    }
    found
}

fn times(rule: &RouteRule, defaults: &Defaults, say: &mut impl FnMut(&str, String)) {
    let shown = |time: Duration, given: bool| {
        format!("{}{}", format_duration(time), if given { "" } else { " by default" })
    };
    let delivery = rule.delivery.as_ref();
    let retry = delivery.and_then(|delivery| delivery.retry.as_ref());
    let given = |time: Option<ConfigDuration>| time.map(|time| time.0);
    if let Some(timeout) = delivery.and_then(|delivery| given(delivery.timeout))
        && !(Duration::from_millis(1)..=LONGEST_TIMEOUT).contains(&timeout)
    {
        say("delivery.timeout", "is not from 1ms to 10m: write a time between them".to_owned());
    }
    let backoff = retry.and_then(|retry| given(retry.backoff));
    let max_backoff = retry.and_then(|retry| given(retry.max_backoff));
    let max_age = retry.and_then(|retry| given(retry.max_age));
    let policy = &defaults.delivery.retry;
    let (first, most, age) = (
        backoff.unwrap_or(policy.backoff),
        max_backoff.unwrap_or(policy.max_backoff),
        max_age.unwrap_or(policy.max_age),
    );
    if first > most {
        say(
            "delivery.retry",
            format!(
                "backoff ({}) is longer than maxBackoff ({}): set maxBackoff to at least backoff",
                shown(first, backoff.is_some()),
                shown(most, max_backoff.is_some())
            ),
        );
    }
    if first > age {
        say(
            "delivery.retry",
            format!(
                "backoff ({}) is longer than maxAge ({}), so nothing would be tried twice: set maxAge higher",
                shown(first, backoff.is_some()),
                shown(age, max_age.is_some())
            ),
        );
    }
    if max_backoff.is_some_and(|most| most > age) {
        say(
            "delivery.retry",
            format!(
                "maxBackoff ({}) is longer than maxAge ({}): set maxAge to at least maxBackoff",
                shown(most, true),
                shown(age, max_age.is_some())
            ),
        );
    }
    if let Some(debounce) = rule.debounce.as_ref().filter(|it| it.max < it.quiet) {
        let (quiet, max) = (format_duration(debounce.quiet.0), format_duration(debounce.max.0));
        say("debounce", format!("max ({max}) is shorter than quiet ({quiet}): set max to at least quiet"));
    }
    if let Some(undelivered) = &rule.undelivered {
        match (undelivered.action, &undelivered.template) {
            (UndeliveredAction::Template, None) => {
                say(
                    "undelivered.template",
                    "is missing: write it as name/language, such as follow_up/en_US".to_owned(),
                );
            }
            (UndeliveredAction::Leave | UndeliveredAction::Alarm, Some(_)) => {
                say(
                    "undelivered.template",
                    "is only for the action Template: leave it out, or set the action".to_owned(),
                );
            }
            _ => {}
        }
    }
}

/// Where the backend is, without `/process`. `namespace` is that of the route; files have none, and a service there is
/// a host name, as in compose.
pub(super) fn address(backend: &BackendRef, namespace: Option<&str>) -> Result<Url, String> {
    let text = match (&backend.url, &backend.service) {
        (Some(url), _) => url.clone(),
        (None, Some(service)) => match service.namespace.as_deref().or(namespace) {
            Some(namespace) => format!("http://{}.{namespace}.svc:{}", service.name, service.port),
            None => format!("http://{}:{}", service.name, service.port),
        },
        (None, None) => return Err("is missing: write a url or a service".to_owned()),
    };
    base_url(&text)
}
