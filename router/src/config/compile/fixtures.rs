//! Objects, secrets and a small world of both, for the tests of the configuration.

use std::time::Duration;

use serde_json::{Value, json};
use service::secrets::Secrets;

use super::*;
use crate::{
    config::{
        compiled::Status,
        objects::{ConditionType, Reason},
        snapshot::ObjectId,
    },
    retry::RetryPolicy,
    routing::{Ambiguity, DeadLetter, matching::Facts},
};

pub(in crate::config) fn defaults() -> Defaults {
    Defaults {
        limits: Limits::default(),
        delivery: DeliveryPolicy {
            timeout: Duration::from_secs(10),
            retry: RetryPolicy {
                attempts: Some(8),
                backoff: Duration::from_secs(1),
                max_backoff: Duration::from_secs(300),
                max_age: Duration::from_secs(86_400),
            },
            ambiguous: Ambiguity::Repeat,
            reply_max_age: Duration::from_secs(86_400),
            debounce: None,
            takeover_idle: Duration::from_secs(1_800),
            undelivered: None,
            dead_letter: DeadLetter::Store,
        },
        api_version: "v25.0".to_owned(),
        allow_unsigned: false,
        backend_name: None,
    }
}

pub(in crate::config) fn channel(name: &str, number: &str) -> Value {
    json!({
        "apiVersion": "whatsapp-router.dev/v1alpha1", "kind": "Channel", "metadata": {"name": name},
        "spec": {
            "provider": "WhatsAppCloud", "phoneNumberId": number,
            "accessTokenRef": {"name": name, "key": "access-token"},
            "verification": {
                "verifyTokenRef": {"name": "app", "key": "verify-token"},
                "appSecretRef": {"name": "app", "key": "app-secret"}
            }
        }
    })
}

pub(super) fn route(name: &str, channel: &str, rules: Value) -> Value {
    let mut route = json!({
        "apiVersion": "whatsapp-router.dev/v1alpha1", "kind": "Route", "metadata": {"name": name},
        "spec": {"channelRefs": [{"name": channel}]}
    });
    route["spec"]["rules"] = rules;
    route
}

pub(in crate::config) fn rule(name: &str) -> Value {
    json!({"name": name, "backends": [{"url": format!("http://{name}:8080")}]})
}

pub(super) fn keyword(name: &str, text: Value) -> Value {
    let mut rule = rule(name);
    rule["matches"] = json!([{}]);
    rule["matches"][0]["text"] = text;
    rule
}

pub(super) fn with(mut object: Value, path: &str, value: Value) -> Value {
    let (parent, field) = path.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"))[field] = value;
    object
}

pub(super) fn snapshot(objects: &[Value]) -> Snapshot {
    let mut snapshot = Snapshot::default();
    for object in objects {
        snapshot.add(object.clone(), "test");
    }
    assert_eq!(snapshot.problems, [""; 0]);
    snapshot
}

pub(in crate::config) const SECRETS: [(&str, &str, &str); 5] = [
    ("a", "access-token", "token-a"),
    ("b", "access-token", "token-b"),
    ("c", "access-token", "token-c"),
    ("app", "verify-token", "verify"),
    ("app", "app-secret", "secret"),
];

pub(in crate::config) fn secrets() -> Secrets {
    Secrets::from_pairs(SECRETS)
}

pub(super) fn without(name: &str, key: &str) -> Secrets {
    Secrets::from_pairs(SECRETS.into_iter().filter(|(n, k, _)| (*n, *k) != (name, key)))
}

/// A compiler, and what it made of the objects that it was given last.
pub(super) struct World {
    pub(super) compiler: Compiler,
    pub(super) table: Table,
    pub(super) compiled: Compiled,
}

impl World {
    pub(super) fn new(objects: &[Value]) -> Self {
        let compiler = Compiler::new(defaults());
        let (table, compiled) = compiler.compile(&snapshot(objects), &secrets(), None).unwrap();
        Self { compiler, table, compiled }
    }

    pub(super) fn then(&mut self, objects: &[Value]) -> &mut Self {
        self.then_with(objects, &secrets())
    }

    pub(super) fn then_with(&mut self, objects: &[Value], secrets: &Secrets) -> &mut Self {
        let next = self.compiler.compile(&snapshot(objects), secrets, Some(&self.compiled)).unwrap();
        (self.table, self.compiled) = next;
        self
    }

    /// The statuses in order, such as `TFF`, and the reason and message of the first that is not True.
    pub(super) fn said(&self, kind: Kind, name: &str) -> (String, Reason, String) {
        let report = self.compiled.report(&ObjectId { kind, name: name.to_owned() }).unwrap();
        let statuses =
            report.conditions.iter().map(|it| it.status.as_str().chars().next().unwrap()).collect();
        let wrong = report.conditions.iter().find(|it| it.status != Status::True);
        let condition = wrong.unwrap_or_else(|| report.condition(ConditionType::Accepted));
        (statuses, condition.reason, condition.message.clone())
    }

    /// The rule that takes it; one that can't be used `keeps` it.
    pub(super) fn asked(&self, channel: &str, text: &str) -> Option<String> {
        let facts = Facts { message_type: "text", text: Some(text), from: None, reply_id: None };
        let rule = self.table.select(channel, &facts)?;
        Some(if rule.is_held { format!("{} keeps it", rule.label) } else { rule.label.to_string() })
    }

    pub(super) fn is_programmed(&self, kind: Kind, name: &str) -> (Status, Reason) {
        let report = self.compiled.report(&ObjectId { kind, name: name.to_owned() }).unwrap();
        let condition = report.condition(ConditionType::Programmed);
        (condition.status, condition.reason)
    }
}
