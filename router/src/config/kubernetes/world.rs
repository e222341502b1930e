//! What the watches have told so far, and what it comes to: a snapshot for the table, and the state of each object's
//! status for whoever writes that.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::Value;
use tokio::time::Instant;

use super::{scope::Scope, trouble::Trouble, watch::News};
use crate::config::{
    objects::{API_VERSION, ObjectStatus},
    snapshot::{Kind, ObjectId, Snapshot},
};

/// The objects of the snapshot as the cluster has them now.
pub type Live = BTreeMap<ObjectId, LiveObject>;

#[derive(Debug, Clone, PartialEq)]
pub struct LiveObject {
    pub namespace: String,
    pub uid: String,
    pub generation: i64,
    /// Changes with every write, of the status too.
    pub version: String,
    /// Nothing when there is none, or none that we could have written.
    pub status: Option<ObjectStatus>,
}

#[derive(Debug, Default)]
struct Place {
    /// Nothing before the first list.
    objects: Option<BTreeMap<String, DynamicObject>>,
    heard: Option<Instant>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
pub(super) struct World {
    /// In the order of their precedence: a name that is in two namespaces is that of the first.
    scopes: Vec<Scope>,
    places: BTreeMap<Scope, Place>,
}

impl World {
    pub(super) fn new(scopes: Vec<Scope>) -> Self {
        let places = scopes.iter().map(|scope| (scope.clone(), Place::default())).collect();
        Self { scopes, places }
    }

    /// Takes news in. True when the objects may be other ones than before.
    pub(super) fn hear(&mut self, scope: &Scope, news: News) -> bool {
        let Some(place) = self.places.get_mut(scope) else { return false };
        if let News::Lost(trouble) = news {
            place.trouble = Some(trouble);
            return false;
        }
        // A list that works says nothing of the watch that follows it.
        if !matches!(news, News::All(_)) {
            place.trouble = None;
        }
        place.heard = Some(Instant::now());
        match (news, &mut place.objects) {
            (News::All(objects), place) => {
                *place = Some(objects.into_iter().map(|object| (name(&object), object)).collect());
                true
            }
            (News::Put(object), Some(objects)) => {
                objects.insert(name(&object), *object);
                true
            }
            (News::Removed(name), Some(objects)) => objects.remove(&name).is_some(),
            (News::Put(_) | News::Removed(_) | News::Alive | News::Lost(_), _) => false,
        }
    }

    /// When the scope that is heard of least was heard of; nothing before all were.
    pub(super) fn heard(&self) -> Option<Instant> {
        self.places.values().map(|place| place.heard).min().flatten()
    }

    /// All that is wrong now, each once.
    pub(super) fn troubles(&self) -> Vec<&Trouble> {
        let mut troubles = Vec::new();
        for trouble in self.scopes.iter().filter_map(|scope| self.places.get(scope)?.trouble.as_ref()) {
            if !troubles.contains(&trouble) {
                troubles.push(trouble);
            }
        }
        troubles
    }

    /// Everything, once all of it has been listed.
    pub(super) fn view(&self) -> Option<(Snapshot, Live)> {
        let mut snapshot = Snapshot::default();
        let mut live = Live::new();
        for scope in &self.scopes {
            for (name, object) in self.places.get(scope)?.objects.as_ref()? {
                let (value, state) = take_apart(scope, object);
                let before = snapshot.objects.len();
                snapshot.add(value, &format!("namespace {}", scope.namespace));
                if snapshot.objects.len() > before {
                    live.insert(ObjectId { kind: scope.kind, name: name.clone() }, state);
                }
            }
        }
        Some((snapshot, live))
    }
}

fn name(object: &DynamicObject) -> String {
    object.metadata.name.clone().unwrap_or_default()
}

/// The snapshot has what decides, so that a status that we write does not look like another configuration.
fn take_apart(scope: &Scope, object: &DynamicObject) -> (Value, LiveObject) {
    let metadata = &object.metadata;
    let status = object.data.get("status").and_then(|status| serde_json::from_value(status.clone()).ok());
    let live = LiveObject {
        namespace: scope.namespace.clone(),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        version: metadata.resource_version.clone().unwrap_or_default(),
        status,
    };
    let value = serde_json::json!({
        "apiVersion": object.types.as_ref().map_or(API_VERSION, |types| &types.api_version),
        "kind": scope.kind.as_str(),
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "generation": metadata.generation,
            "creationTimestamp": metadata.creation_timestamp,
        },
        "spec": object.data.get("spec").cloned().unwrap_or_default(),
    });
    (value, live)
}

/// Each kind in each namespace; channels first, as routes name them.
pub(super) fn scopes(namespaces: &[String]) -> Vec<Scope> {
    let of_kind =
        |kind: Kind| namespaces.iter().map(move |namespace| Scope { kind, namespace: namespace.clone() });
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope(kind: Kind, namespace: &str) -> Scope {
        Scope { kind, namespace: namespace.to_owned() }
    }

    fn object(kind: &str, name: &str, version: &str, status: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": API_VERSION, "kind": kind,
            "metadata": {"name": name, "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": version},
            "spec": {"anything": ["at", "all"]}, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn there_is_nothing_to_see_before_every_scope_was_listed() {
        let mut world = World::new(scopes(&["shop".to_owned()]));
        world.hear(&scope(Kind::Channel, "shop"), News::All(vec![object("Channel", "a", "1", &json!({}))]));
        assert!(world.view().is_none());
        assert!(world.heard().is_none());
        world.hear(&scope(Kind::Route, "shop"), News::All(Vec::new()));
        let (snapshot, live) = world.view().unwrap();
        assert_eq!(snapshot.objects.len(), 1);
        assert_eq!(live.len(), 1);
        assert!(world.heard().is_some());
    }

    #[test]
    fn a_status_is_no_other_configuration() {
        let mut world = World::new(scopes(&["shop".to_owned()]));
        let channels = scope(Kind::Channel, "shop");
        world.hear(&channels, News::All(vec![object("Channel", "a", "1", &json!({}))]));
        world.hear(&scope(Kind::Route, "shop"), News::All(Vec::new()));
        let (snapshot, live) = world.view().unwrap();
        let status = json!({"observedGeneration": 1, "conditions": []});
        assert!(world.hear(&channels, News::Put(Box::new(object("Channel", "a", "2", &status)))));
        let (same, other) = world.view().unwrap();
        assert_eq!(snapshot, same);
        assert_ne!(live, other);
    }

    #[test]
    fn what_is_lost_is_kept_as_it_was_and_said() {
        let mut world = World::new(scopes(&["shop".to_owned()]));
        let channels = scope(Kind::Channel, "shop");
        world.hear(&channels, News::All(vec![object("Channel", "a", "1", &json!(null))]));
        world.hear(&scope(Kind::Route, "shop"), News::All(Vec::new()));
        assert!(!world.hear(&channels, News::Lost(Trouble::Unauthorized)));
        assert_eq!(world.troubles(), [&Trouble::Unauthorized]);
        assert_eq!(world.view().unwrap().0.objects.len(), 1);
        world.hear(&channels, News::Alive);
        assert_eq!(world.troubles(), [] as [&Trouble; 0]);
        assert!(world.hear(&channels, News::Removed("a".to_owned())));
        assert!(world.view().unwrap().1.is_empty());
    }

    #[test]
    fn all_that_is_wrong_is_said_once_and_a_list_is_no_watch() {
        let namespaces = ["shop".to_owned(), "other".to_owned()];
        let mut world = World::new(scopes(&namespaces));
        let forbidden = || Trouble::Forbidden {
            verb: "watch",
            resource: "routes".to_owned(),
            namespace: "other".to_owned(),
        };
        world.hear(&scope(Kind::Channel, "shop"), News::Lost(Trouble::Unauthorized));
        world.hear(&scope(Kind::Channel, "other"), News::Lost(Trouble::Unauthorized));
        world.hear(&scope(Kind::Route, "other"), News::Lost(forbidden()));
        assert_eq!(world.troubles(), [&Trouble::Unauthorized, &forbidden()]);
        for namespace in &namespaces {
            world.hear(&scope(Kind::Channel, namespace), News::Alive);
        }
        world.hear(&scope(Kind::Route, "other"), News::All(Vec::new()));
        assert_eq!(world.troubles(), [&forbidden()], "it is listed again and again, and never watched");
        world.hear(&scope(Kind::Route, "other"), News::Alive);
        assert!(world.troubles().is_empty());
    }

    #[test]
    fn a_name_in_two_namespaces_is_that_of_the_first() {
        let namespaces = ["shop".to_owned(), "other".to_owned()];
        let mut world = World::new(scopes(&namespaces));
        for namespace in &namespaces {
            world.hear(
                &scope(Kind::Channel, namespace),
                News::All(vec![object("Channel", "a", "1", &json!({}))]),
            );
            world.hear(&scope(Kind::Route, namespace), News::All(Vec::new()));
        }
        let (snapshot, live) = world.view().unwrap();
        assert_eq!(live.values().map(|live| live.namespace.as_str()).collect::<Vec<_>>(), ["shop"]);
        assert_eq!(snapshot.problems, ["namespace other: Channel/a is in namespace shop already"]);
    }
}
