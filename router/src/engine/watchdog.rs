//! Looks for messages that Graph took and that were never reported as delivered, and does what their rule says.

use std::{sync::Arc, time::Duration};

use super::{Engine, streak::Streak};
use crate::{
    routing::{Remedy, Table},
    store::{MessageId, NewOutbound, Remedies, Undelivered},
};

const INTERVAL: Duration = Duration::from_secs(2);
const AT_ONCE: usize = 100;

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>) {
    let mut failures = Streak::default();
    loop {
        tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        let table = engine.table.load();
        if table.rules().all(|rule| rule.delivery.undelivered.is_none()) {
            continue;
        }
        let remedies = remedies(&table);
        match engine.store.take_undelivered(engine.clock.now(), remedies, AT_ONCE).await {
            Ok(found) => {
                failures.ended();
                for undelivered in &found {
                    report(&engine, undelivered);
                }
                if found.iter().any(|found| found.remedy.is_some()) {
                    engine.outbox.bell.notify_one();
                }
            }
            Err(error) if failures.begins() => {
                tracing::warn!(%error, "can't look for undelivered messages now; trying again until it can be done");
            }
            Err(error) => tracing::debug!(%error, "still can't look for undelivered messages"),
        }
    }
}

/// The store gives each a new id. None of them has a route: a remedy gets no remedy.
fn remedies(table: &Table) -> Remedies {
    let mut remedies = Remedies::new();
    for rule in table.rules() {
        if let Some(Remedy::Template { name, language }) =
            rule.delivery.undelivered.as_ref().map(|it| &it.action)
        {
            let body = serde_json::json!({
                "type": "template",
                "template": {"name": name, "language": {"code": language}},
            });
            let remedy = NewOutbound {
                id: MessageId::generate(),
                message_type: "template".to_owned(),
                payload: body.to_string().into(),
                route: None,
                trace: None,
            };
            remedies.insert(rule.label.clone(), remedy);
        }
    }
    remedies
}

fn report(engine: &Engine, found: &Undelivered) {
    let table = engine.table.load();
    let rule = found.route.as_deref().and_then(|label| table.rule(label));
    let action = rule.and_then(|rule| rule.delivery.undelivered.as_ref()).map(|it| &it.action);
    let word = action.map_or("leave", Remedy::as_str);
    engine.metrics.flow.undelivered.with_label_values(&[&found.channel, word]).inc();
    let (correlation_id, channel) = (found.correlation, &*found.channel);
    if matches!(action, Some(Remedy::Alarm)) {
        tracing::error!(%correlation_id, message_id = %found.id, channel, "message was not delivered by its deadline");
    } else {
        tracing::warn!(
            %correlation_id, message_id = %found.id, channel, action = word,
            "message was not delivered by its deadline"
        );
    }
}
