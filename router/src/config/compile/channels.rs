//! Channels: one number belongs to one of them, for ever.

use std::{collections::BTreeMap, sync::Arc};

use service::secrets::Secrets;
use whatsapp::client::Number;

use super::{
    Defaults, check,
    secrets::{Use, Wanted},
    settle::{Good, Settled, settle},
};
use crate::{
    config::{
        compiled::Compiled,
        objects::{ChannelSpec, Limits as LimitsSpec},
        snapshot::Object,
    },
    pacing::{Limits, Pair},
    routing,
};

type Channel<'a> = Settled<'a, ChannelSpec>;

pub(super) fn settle_all<'a>(
    objects: impl Iterator<Item = &'a Object>,
    schema: &serde_json::Value,
    secrets: &Secrets,
    defaults: &Defaults,
    previous: Option<&Compiled>,
) -> Vec<Channel<'a>> {
    let mut channels: Vec<_> = objects
        .map(|object| {
            let last = previous.and_then(|previous| previous.channels.get(&object.id.name));
            let mut own = check::typed::<ChannelSpec>(schema, &object.value);
            if let Ok(spec) = &own {
                let mut problems = check::channel(spec);
                problems.extend(moved(spec, object, last.map(Arc::as_ref)));
                if !problems.is_empty() {
                    own = Err(problems);
                }
            }
            settle(object, own, last, secrets, defaults.allow_unsigned, wanted)
        })
        .collect();
    give_numbers_away(&mut channels, previous);
    channels
}

/// The phone number id, also of a channel that breaks the schema: such as one that is written without quotes. With
/// anything but digits it is none, and may stand for any.
pub(super) fn number(object: &Object) -> Option<String> {
    let number = &object.value["spec"]["phoneNumberId"];
    let is_id = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = number.as_str().filter(is_id).map(str::to_owned);
    text.or_else(|| number.as_u64().map(|number| number.to_string()))
}

fn wanted(spec: &ChannelSpec) -> Vec<Wanted<'_>> {
    let one = |field: &str, of, purpose| Wanted { field: field.to_owned(), of, purpose };
    vec![
        one("spec.accessTokenRef", &spec.access_token_ref, Use::AccessToken),
        one("spec.verification.verifyTokenRef", &spec.verification.verify_token_ref, Use::VerifyToken),
        one("spec.verification.appSecretRef", &spec.verification.app_secret_ref, Use::AppSecret),
    ]
}

/// The API server holds custom resources to this already; files have nobody else to do it. What a channel stored is
/// filed under its name, and conversations of one number are none of another's.
fn moved(spec: &ChannelSpec, object: &Object, last: Option<&Good<ChannelSpec>>) -> Option<String> {
    let last = last?;
    let is_same_object = last.version.uid.as_deref() == object.value["metadata"]["uid"].as_str();
    (is_same_object && last.spec.phone_number_id != spec.phone_number_id)
        .then(|| "spec.phoneNumberId: can't be changed: make another channel with another name".to_owned())
}

/// Of two channels with one number the older has it: by the time it was made; where nobody knows that, the one that has
/// had it; and between two that are new together, the first by name.
fn give_numbers_away(channels: &mut [Channel<'_>], previous: Option<&Compiled>) {
    let mut order: Vec<usize> = (0..channels.len()).filter(|at| channels[*at].in_use.is_some()).collect();
    order.sort_by_cached_key(|at| {
        let channel = &channels[*at];
        let created_at = channel.in_use.as_ref().and_then(|good| good.version.created_at.clone());
        let name = channel.object.id.name.clone();
        let is_new = previous.is_none_or(|previous| !previous.channels.contains_key(&name));
        (created_at.is_none(), created_at, is_new, name)
    });
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for at in order {
        let channel = &mut channels[at];
        let Some(good) = &channel.in_use else { continue };
        match owners.get(&good.spec.phone_number_id) {
            Some(owner) => {
                channel.conflict = Some(format!(
                    "spec.phoneNumberId: Channel/{owner} is older and has the same: delete one of them, or correct the id"
                ));
                channel.in_use = None;
                channel.is_current = false;
            }
            None => {
                owners.insert(good.spec.phone_number_id.clone(), channel.object.id.name.clone());
            }
        }
    }
}

/// The channel as the table has it.
pub(super) fn build(
    name: &str,
    good: &Good<ChannelSpec>,
    defaults: &Defaults,
) -> Result<routing::Channel, String> {
    let Good { spec, secrets, .. } = good;
    let missing = || "a credential is missing".to_owned();
    let token = secrets.current(&spec.access_token_ref).ok_or_else(missing)?;
    let version = spec.api_version.as_deref().unwrap_or(&defaults.api_version);
    Ok(routing::Channel {
        name: Arc::from(name),
        number: Number::new(&spec.phone_number_id, version, token).map_err(|error| error.to_string())?,
        app_secrets: secrets.valid(&spec.verification.app_secret_ref),
        verify_token: secrets.current(&spec.verification.verify_token_ref).ok_or_else(missing)?.clone(),
        limits: limits(spec.limits.as_ref(), defaults.limits),
    })
}

fn limits(spec: Option<&LimitsSpec>, defaults: Limits) -> Limits {
    let Some(spec) = spec else { return defaults };
    Limits {
        throughput: spec.messages_per_second.unwrap_or(defaults.throughput),
        business_initiated: spec.business_initiated_per_second.unwrap_or(defaults.business_initiated),
        user_initiated: spec.user_initiated_per_second.unwrap_or(defaults.user_initiated),
        pair: Pair {
            interval: spec.pair_interval.map_or(defaults.pair.interval, |interval| interval.0),
            burst: spec.pair_burst.unwrap_or(defaults.pair.burst),
        },
        stopped_wait: defaults.stopped_wait,
    }
}
