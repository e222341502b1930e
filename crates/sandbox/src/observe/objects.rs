//! The channels and routes of the scene: right ones, one whose token is refused, and one that breaks the schema.

use serde_json::{Value, json};

/// Whatever is JSON is YAML.
fn documents(all: &[Value]) -> String {
    all.iter().map(|object| format!("---\n{object}\n")).collect()
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "whatsapp-router.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn channel(name: &str, number: &str, secret: &str, provider: &str) -> Value {
    let of_default = |key: &str| json!({"name": "default", "key": key});
    object(
        "Channel",
        name,
        &json!({
            "provider": provider,
            "phoneNumberId": number,
            "accessTokenRef": {"name": secret, "key": "access-token"},
            "verification": {"verifyTokenRef": of_default("verify-token"), "appSecretRef": of_default("app-secret")},
            // So little that sends have to wait now and then.
            "limits": {"messagesPerSecond": 20, "pairBurst": 5, "pairInterval": "300ms"},
        }),
    )
}

pub(super) fn channels(shop: &str, stale: &str) -> String {
    documents(&[
        channel("shop", shop, "default", "WhatsAppCloud"),
        channel("stale", stale, "stale", "WhatsAppCloud"),
        channel("pigeon", "1", "default", "Pigeon"),
    ])
}

/// `ask…` goes to one backend and `flaky…` to the other; nobody takes the rest.
pub(super) fn routes(server: &str, flaky: &str) -> String {
    let rule = |name: &str, url: &str| {
        json!({
            "name": name,
            "matches": [{"text": {"type": "Prefix", "value": name}}],
            "backends": [{"url": url}],
            "delivery": {"retry": {"backoff": "200ms", "maxBackoff": "1s", "attempts": 100}},
            // For a while statuses fail to come.
            "undelivered": {"after": "1s", "action": "Leave"},
        })
    };
    documents(&[object(
        "Route",
        "all",
        &json!({"channelRefs": [{"name": "shop"}, {"name": "stale"}], "rules": [rule("ask", server), rule("flaky", flaky)]}),
    )])
}
