//! Routes: from the objects to the rules that the table is made of.

use std::{collections::BTreeSet, sync::Arc};

use service::{secrets::Secrets, signing::Signer};

use super::{
    Defaults, check,
    secrets::{Resolved, Use, Wanted},
    settle::{Good, Settled, Version, settle},
};
use crate::{
    config::{
        compiled::Compiled,
        objects::{self, RouteRule, RouteSpec},
        snapshot::Object,
    },
    retry::RetryPolicy,
    routing::{
        Ambiguity, Backend, DeadLetter, Debounce, DeliveryPolicy, Events, MarkRead, Remedy, Route, Rule,
        Undelivered, Wanted as WantedTypes, WeightedBackend, matching::Matcher,
    },
};

pub(super) fn settle_all<'a>(
    objects: impl Iterator<Item = &'a Object>,
    schema: &serde_json::Value,
    secrets: &Secrets,
    defaults: &Defaults,
    previous: Option<&Compiled>,
) -> Vec<Settled<'a, RouteSpec>> {
    objects
        .map(|object| {
            let last = previous.and_then(|previous| previous.routes.get(&object.id.name));
            let typed = check::typed::<RouteSpec>(schema, &object.value);
            let own = typed.clone().and_then(|spec| {
                let problems = check::route(&spec, defaults);
                if problems.is_empty() { Ok(spec) } else { Err(problems) }
            });
            let mut settled = settle(object, own, last, secrets, defaults.allow_unsigned, wanted);
            if settled.in_use.is_none() {
                // Its messages are nobody else's, and replies that are still to be sent obey it as far as it can be read.
                let spec = typed.ok().filter(check::is_clear).or_else(|| check::meant(schema, object));
                let hold = |spec| Good { spec, version: Version::of(object), secrets: Resolved::default() };
                settled.held = spec.map(hold).map(Arc::new);
                if settled.held.is_none() {
                    // A slip while it is being mended must not hand over what waits.
                    let before = previous.and_then(|previous| previous.held.get(&object.id.name));
                    let uid = Version::of(object).uid;
                    settled.held = before.filter(|before| before.version.uid == uid).cloned();
                }
            }
            settled
        })
        .collect()
}

fn wanted(spec: &RouteSpec) -> Vec<Wanted<'_>> {
    let rules = spec.rules.iter().enumerate();
    rules
        .filter_map(|(position, rule)| {
            let of = rule.signing_secret_ref.as_ref()?;
            let field = format!("spec.rules[{position}].signingSecretRef");
            Some(Wanted { field, of, purpose: Use::Signing })
        })
        .collect()
}

/// The route as the table has it, for those of its channels that are `in_use`.
pub(super) fn build(
    name: &str,
    good: &Good<RouteSpec>,
    is_held: bool,
    in_use: &BTreeSet<&str>,
    defaults: &Defaults,
) -> Result<Route, String> {
    let build = |one| {
        if is_held { held(name, one, defaults) } else { rule(name, one, good, defaults) }
    };
    // A channel that is named twice is meant once.
    let channels: BTreeSet<&str> =
        good.spec.channel_refs.iter().map(|channel| channel.name.as_str()).collect();
    Ok(Route {
        name: Arc::from(name),
        channels: channels.into_iter().filter(|name| in_use.contains(name)).map(Arc::from).collect(),
        priority: good.spec.priority,
        created_at: good.version.created_at.clone(),
        rules: good.spec.rules.iter().map(build).collect::<Result<_, _>>()?,
    })
}

fn rule(route: &str, spec: &RouteRule, good: &Good<RouteSpec>, defaults: &Defaults) -> Result<Rule, String> {
    let namespace = good.version.namespace.as_deref();
    let backend = |one: &objects::BackendRef| -> Result<WeightedBackend, String> {
        let base = check::address(one, namespace)?;
        let backend = match &defaults.backend_name {
            Some(name) => Backend::named(name, &base),
            None => Backend::at(&base),
        };
        Ok(WeightedBackend { backend, weight: one.weight })
    };
    let signer = match &spec.signing_secret_ref {
        Some(of) => Some(Signer::new(&good.secrets.valid(of)).map_err(|error| error.to_string())?),
        None => None,
    };
    let backends = spec.backends.iter().map(backend).collect::<Result<_, _>>()?;
    Ok(Rule { backends, signer, is_held: false, ..held(route, spec, defaults)? })
}

/// The rule without anybody to answer.
fn held(route: &str, spec: &RouteRule, defaults: &Defaults) -> Result<Rule, String> {
    Ok(Rule {
        label: Rule::label(route, &spec.name),
        route: Arc::from(route),
        name: Arc::from(spec.name.as_str()),
        matchers: spec.matches.iter().map(Matcher::compile).collect::<Result<_, _>>()?,
        backends: Vec::new(),
        wanted: match &spec.types[..] {
            [] => WantedTypes::WhateverHasText,
            types => WantedTypes::Types(types.to_vec()),
        },
        delivery: delivery(spec, &defaults.delivery),
        events: Events { statuses: spec.events.contains(&objects::Event::Statuses) },
        mark_read: match spec.mark_read {
            objects::MarkRead::OnReceive => MarkRead::OnReceive,
            objects::MarkRead::OnReply => MarkRead::OnReply,
            objects::MarkRead::Never => MarkRead::Never,
        },
        signer: None,
        is_held: true,
    })
}

fn delivery(rule: &RouteRule, defaults: &DeliveryPolicy) -> DeliveryPolicy {
    let spec = rule.delivery.clone().unwrap_or_default();
    let retry = spec.retry.unwrap_or_default();
    DeliveryPolicy {
        timeout: spec.timeout.map_or(defaults.timeout, |time| time.0),
        retry: RetryPolicy {
            attempts: retry.attempts.or(defaults.retry.attempts),
            backoff: retry.backoff.map_or(defaults.retry.backoff, |time| time.0),
            max_backoff: retry.max_backoff.map_or(defaults.retry.max_backoff, |time| time.0),
            max_age: retry.max_age.map_or(defaults.retry.max_age, |time| time.0),
        },
        ambiguous: match spec.ambiguous {
            Some(objects::Ambiguous::Repeat) => Ambiguity::Repeat,
            Some(objects::Ambiguous::NeverRepeat) => Ambiguity::NeverRepeat,
            None => defaults.ambiguous,
        },
        reply_max_age: spec.reply_max_age.map_or(defaults.reply_max_age, |time| time.0),
        debounce: match rule.debounce {
            Some(debounce) => (!debounce.quiet.0.is_zero())
                .then_some(Debounce { quiet: debounce.quiet.0, max: debounce.max.0 }),
            None => defaults.debounce,
        },
        takeover_idle: rule.takeover.map_or(defaults.takeover_idle, |takeover| takeover.idle.0),
        undelivered: match &rule.undelivered {
            Some(spec) => {
                (!spec.after.0.is_zero()).then(|| Undelivered { after: spec.after.0, action: remedy(spec) })
            }
            None => defaults.undelivered.clone(),
        },
        dead_letter: match spec.dead_letter {
            Some(objects::DeadLetter::Store) => DeadLetter::Store,
            Some(objects::DeadLetter::Drop) => DeadLetter::Drop,
            None => defaults.dead_letter,
        },
    }
}

fn remedy(spec: &objects::Undelivered) -> Remedy {
    match (spec.action, spec.template.as_deref().and_then(|template| template.split_once('/'))) {
        (objects::UndeliveredAction::Alarm, _) => Remedy::Alarm,
        (objects::UndeliveredAction::Template, Some((name, language))) => {
            Remedy::Template { name: name.to_owned(), language: language.to_owned() }
        }
        (objects::UndeliveredAction::Leave | objects::UndeliveredAction::Template, _) => Remedy::Leave,
    }
}

/// Lines about channels that the version in use, or else the source's, names in vain.
pub(super) fn missing_channels(
    route: &Settled<'_, RouteSpec>,
    in_use: &BTreeSet<&str>,
    all: &[Settled<'_, objects::ChannelSpec>],
) -> Vec<String> {
    let spec = match (&route.own, &route.in_use) {
        (Some(own), _) => own,
        (None, Some(good)) => &good.spec,
        (None, None) => return Vec::new(),
    };
    let refs = spec.channel_refs.iter().enumerate();
    refs.filter(|(_, channel)| !in_use.contains(channel.name.as_str()))
        .map(|(position, channel)| {
            let name = &channel.name;
            let what = if all.iter().any(|other| other.object.id.name == *name) {
                "is not in use: its conditions say why"
            } else {
                "does not exist"
            };
            format!("spec.channelRefs[{position}]: Channel/{name} {what}")
        })
        .collect()
}
