//! The home of objects that needs no file: the settings make one channel and one route, both called `default`.

use serde::Serialize;
use serde_json::{Value, json};
use service::settings::{Problems, SettingProblem};

use super::{
    compiled::{Compiled, Status},
    objects::{
        API_VERSION, Ambiguous, BackendRef, ChannelRef, ChannelSpec, ConfigDuration, Debounce, Delivery,
        Limits, Provider, RouteRule, RouteSpec, SecretKeyRef, Takeover, Undelivered, UndeliveredAction,
        Verification,
    },
    snapshot::Snapshot,
};
use crate::{
    routing::{Ambiguity, Remedy},
    settings::{
        Settings,
        secrets::{ACCESS_TOKEN, APP_SECRET, VERIFY_TOKEN},
    },
};

/// Of the channel, of the route and of its only rule.
const NAME: &str = "default";
const ORIGIN: &str = "the environment";

/// The two objects, as anybody could have written them.
pub fn snapshot(settings: &Settings, phone_number_id: &str) -> Snapshot {
    let mut snapshot = Snapshot::default();
    snapshot.add(object("Channel", &channel(settings, phone_number_id)), ORIGIN);
    snapshot.add(object("Route", &route(settings)), ORIGIN);
    snapshot
}

/// What is wrong with what the settings made: they are looked at one by one, and not everything can be seen so.
pub fn judge(compiled: &Compiled) -> Result<(), Problems> {
    let objects = compiled.reports.iter().flat_map(|report| {
        let wrong = report.conditions.iter().filter(|condition| condition.status == Status::False);
        wrong.map(|condition| (report.id.to_string(), condition.message.clone()))
    });
    let others = compiled.problems.iter().map(|problem| (ORIGIN.to_owned(), problem.clone()));
    let problems = objects.chain(others).map(|(name, what)| SettingProblem {
        name,
        what,
        instead: "correct the variable that it comes from".to_owned(),
    });
    Problems::from_list(problems.collect()).map_or(Ok(()), Err)
}

fn object(kind: &str, spec: &impl Serialize) -> Value {
    // These types are made to be written as JSON; were one not, the schema would say that the spec is missing.
    let spec = serde_json::to_value(spec).unwrap_or_default();
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": NAME}, "spec": spec})
}

fn channel(settings: &Settings, phone_number_id: &str) -> ChannelSpec {
    let reference = |alias: service::secrets::Alias| SecretKeyRef {
        name: alias.name.to_owned(),
        key: alias.key.to_owned(),
    };
    let limits = &settings.limits;
    ChannelSpec {
        provider: Provider::WhatsAppCloud,
        phone_number_id: phone_number_id.to_owned(),
        display_phone_number: None,
        waba_id: None,
        api_version: Some(settings.whatsapp.api_version.clone()),
        access_token_ref: reference(ACCESS_TOKEN),
        verification: Verification {
            verify_token_ref: reference(VERIFY_TOKEN),
            app_secret_ref: reference(APP_SECRET),
        },
        limits: Some(Limits {
            messages_per_second: Some(limits.throughput),
            business_initiated_per_second: Some(limits.business_initiated),
            user_initiated_per_second: Some(limits.user_initiated),
            pair_burst: Some(limits.pair.burst),
            pair_interval: Some(ConfigDuration(limits.pair.interval)),
        }),
    }
}

fn route(settings: &Settings) -> RouteSpec {
    let (delivery, flow) = (&settings.delivery, &settings.flow);
    let rule = RouteRule {
        name: NAME.to_owned(),
        matches: Vec::new(),
        backends: vec![BackendRef { url: Some(delivery.backend.to_string()), service: None, weight: 1 }],
        delivery: Some(Delivery {
            timeout: Some(ConfigDuration(delivery.backend_timeout)),
            retry: None,
            ambiguous: Some(match flow.ambiguous {
                Ambiguity::Repeat => Ambiguous::Repeat,
                Ambiguity::NeverRepeat => Ambiguous::NeverRepeat,
            }),
            dead_letter: None,
            reply_max_age: Some(ConfigDuration(delivery.reply_max_age)),
        }),
        types: Vec::new(),
        events: Vec::new(),
        debounce: flow
            .debounce
            .map(|it| Debounce { quiet: ConfigDuration(it.quiet), max: ConfigDuration(it.max) }),
        takeover: Some(Takeover { idle: ConfigDuration(flow.takeover_idle) }),
        undelivered: flow.undelivered.as_ref().map(|it| Undelivered {
            after: ConfigDuration(it.after),
            action: match it.action {
                Remedy::Leave => UndeliveredAction::Leave,
                Remedy::Alarm => UndeliveredAction::Alarm,
                Remedy::Template { .. } => UndeliveredAction::Template,
            },
            template: match &it.action {
                Remedy::Template { name, language } => Some(format!("{name}/{language}")),
                Remedy::Leave | Remedy::Alarm => None,
            },
        }),
        mark_read: super::objects::MarkRead::default(),
        signing_secret_ref: None,
    };
    RouteSpec { channel_refs: vec![ChannelRef { name: NAME.to_owned() }], priority: 0, rules: vec![rule] }
}
