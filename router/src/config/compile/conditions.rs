//! What is said of an object, in the words of its three conditions.

use serde::Serialize;
use serde_json::Value;

use super::settle::Settled;
use crate::config::{
    compiled::{Condition, ObjectReport, Status},
    objects::{ConditionType, Reason},
};

pub(super) fn report<S: Serialize>(settled: &Settled<'_, S>) -> ObjectReport {
    let shown: Option<&S> = settled.in_use.as_ref().map(|good| &good.spec).or(settled.own.as_ref());
    ObjectReport {
        id: settled.object.id.clone(),
        origin: settled.object.origin.clone(),
        generation: settled.object.generation,
        // From the types and not from the source: there may be more in that than anybody should see.
        spec: shown.and_then(|spec| serde_json::to_value(spec).ok()).filter(Value::is_object),
        conditions: [accepted(settled), resolved(settled), programmed(settled)],
    }
}

fn condition(kind: ConditionType, status: Status, reason: Reason, message: impl Into<String>) -> Condition {
    Condition { kind, status, reason, message: message.into() }
}

fn accepted<S>(settled: &Settled<'_, S>) -> Condition {
    let say = |status, reason, message: String| condition(ConditionType::Accepted, status, reason, message);
    if !settled.problems.is_empty() {
        return say(Status::False, Reason::Invalid, settled.problems.join("; "));
    }
    match (&settled.conflict, &settled.shadowed[..]) {
        (Some(conflict), _) => say(Status::False, Reason::Conflicted, conflict.clone()),
        (None, []) => say(Status::True, Reason::Accepted, "nothing is wrong with it".to_owned()),
        (None, rules) => {
            let rules = rules.join(", ");
            say(
                Status::True,
                Reason::Shadowed,
                format!("rules that never get a message, because others take all of theirs before: {rules}"),
            )
        }
    }
}

fn resolved<S>(settled: &Settled<'_, S>) -> Condition {
    let say =
        |status, reason, message: String| condition(ConditionType::ResolvedRefs, status, reason, message);
    let reason = match (&settled.missing_secrets[..], &settled.missing_channels[..]) {
        ([], []) if settled.own.is_none() && settled.in_use.is_none() => {
            return say(
                Status::Unknown,
                Reason::Invalid,
                "not looked at, the object is not accepted".to_owned(),
            );
        }
        ([], []) => {
            return say(Status::True, Reason::ResolvedRefs, "everything that it names is there".to_owned());
        }
        ([], _) => Reason::ChannelNotFound,
        _ => Reason::SecretNotFound,
    };
    let all: Vec<_> =
        settled.missing_secrets.iter().chain(&settled.missing_channels).map(String::as_str).collect();
    say(Status::False, reason, all.join("; "))
}

fn programmed<S>(settled: &Settled<'_, S>) -> Condition {
    let say = |status, reason, message: &str| condition(ConditionType::Programmed, status, reason, message);
    match (&settled.in_use, settled.is_current) {
        _ if settled.is_idle => say(Status::False, Reason::NotProgrammed, "none of its channels is in use"),
        (Some(_), true) => say(Status::True, Reason::Programmed, "this version is in use"),
        (Some(_), false) => say(Status::False, Reason::LastGoodVersion, "the last good version is in use"),
        (None, _) if settled.held.is_some() => say(
            Status::False,
            Reason::MessagesWait,
            "no version of it is in use: messages that it would take wait until it is mended or deleted, up to 7 days",
        ),
        (None, _) => say(Status::False, Reason::NotProgrammed, "no version of it is in use"),
    }
}
