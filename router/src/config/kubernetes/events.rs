//! Events for people who ask `kubectl describe` or `kubectl events` why an object is not in use.

use std::time::Duration;

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::time::{Instant, timeout};

use super::{status::Notice, trouble::Trouble, world::LiveObject};
use crate::config::{objects::API_VERSION, snapshot::ObjectId};

/// Limits of the API server for an event's note and for the name of a reporter.
const MOST_OF_A_NOTE: usize = 1_000;
const MOST_OF_A_NAME: usize = 128;
const CONTROLLER: &str = "whatsapp-router.dev/router";
/// So many at once, as when a channel that many routes name goes.
const BURST: f64 = 25.0;
const PER_SECOND: f64 = 0.2;

/// Sends events, and leaves some out when they become too many: the conditions say the same.
pub(super) struct Recorder {
    client: Client,
    reporter: String,
    answer: Duration,
    left: f64,
    at: Instant,
    is_failing: bool,
}

impl Recorder {
    pub(super) fn new(client: Client, reporter: &str, answer: Duration) -> Self {
        let reporter = reporter.chars().take(MOST_OF_A_NAME).collect();
        Self { client, reporter, answer, left: BURST, at: Instant::now(), is_failing: false }
    }

    /// What came of it: `ok`, `failed` or `limited`.
    pub(super) async fn tell(&mut self, id: &ObjectId, live: &LiveObject, notice: &Notice) -> &'static str {
        if !self.may() {
            return "limited";
        }
        let api = Api::<Event>::namespaced(self.client.clone(), &live.namespace);
        let event = event(id, live, notice, &self.reporter, Timestamp::now());
        match timeout(self.answer, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => {
                self.is_failing = false;
                "ok"
            }
            Ok(Err(error)) => {
                let why = Trouble::of_other(&error, "create", "events.events.k8s.io", &live.namespace);
                self.failed(&why);
                "failed"
            }
            Err(_) => {
                self.failed(&Trouble::Silent(self.answer));
                "failed"
            }
        }
    }

    /// The first of several says it for all.
    fn failed(&mut self, why: &Trouble) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(reason = %why, "events can't be sent; the conditions say the same");
        }
    }

    fn may(&mut self) -> bool {
        let now = Instant::now();
        self.left = (self.left + now.duration_since(self.at).as_secs_f64() * PER_SECOND).min(BURST);
        self.at = now;
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}

fn event(id: &ObjectId, live: &LiveObject, notice: &Notice, reporter: &str, now: Timestamp) -> Event {
    let action = match notice.kind {
        "Accepted" => "Accept",
        "ResolvedRefs" => "ResolveRefs",
        "Sending" => "Send",
        "Receiving" => "Receive",
        other => other,
    };
    let note = match (notice.message.as_str(), notice.is_good) {
        ("", true) => "it is right again",
        ("", false) => "see the object's conditions",
        (message, _) => message,
    };
    Event {
        metadata: ObjectMeta {
            // As client-go names them. A generated name can't be had: its prefix has to be a name in itself.
            name: Some(format!("{}.{:016x}", id.name, rand::random::<u64>())),
            namespace: Some(live.namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some(action.to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(note.chars().take(MOST_OF_A_NOTE).collect()),
        reason: Some(notice.reason.to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(id.kind.as_str().to_owned()),
            name: Some(id.name.clone()),
            namespace: Some(live.namespace.clone()),
            uid: Some(live.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(CONTROLLER.to_owned()),
        reporting_instance: Some(reporter.to_owned()),
        type_: Some(if notice.is_good { "Normal" } else { "Warning" }.to_owned()),
        ..Event::default()
    }
}
