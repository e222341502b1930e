//! The objects of a source as they were at one moment, not judged yet.

use std::fmt;

use serde_json::Value;

use super::objects::API_VERSION;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Channel,
    Route,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Channel, Self::Route];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "Channel",
            Self::Route => "Route",
        }
    }
}

/// Which object is meant, within a source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId {
    pub kind: Kind,
    pub name: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}

/// One object as its source has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    pub id: ObjectId,
    /// Of Kubernetes; files have none.
    pub generation: Option<i64>,
    /// RFC 3339, when the source knows it: the older of two that want the same thing has it.
    pub created_at: Option<String>,
    /// For people: the file and the place in it, or the namespace.
    pub origin: String,
    /// All of it: apiVersion, kind, metadata, spec.
    pub value: Value,
    /// Why the source has nothing newer although there is something: this is what it read last. Else `None`.
    pub stale: Option<String>,
}

/// Everything that a source holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    pub objects: Vec<Object>,
    /// What is no object of ours at all, as lines for people: such as a file that is not YAML.
    pub problems: Vec<String>,
    /// One of the problems may be with a channel that nobody can read. Others' objects that lie here by mistake are none.
    pub may_lack_channel: bool,
}

impl Snapshot {
    /// Something could not be read, whatever it is.
    pub fn unreadable(&mut self, problem: String) {
        self.problems.push(problem);
        self.may_lack_channel = true;
    }

    /// Takes a document in, or says what keeps it from being one of our objects.
    pub fn add(&mut self, value: Value, origin: &str) {
        let is_others = is_others(&value);
        match object(value, origin.to_owned()) {
            Ok(object) => self.include(object),
            Err(problem) if is_others => self.problems.push(format!("{origin}: {problem}")),
            Err(problem) => self.unreadable(format!("{origin}: {problem}")),
        }
    }

    /// Takes an object in, unless there is one of that kind and name already.
    pub fn include(&mut self, object: Object) {
        if let Some(other) = self.objects.iter().find(|other| other.id == object.id) {
            let problem = format!("{}: {} is in {} already", object.origin, object.id, other.origin);
            self.unreadable(problem);
        } else {
            self.objects.push(object);
        }
    }
}

/// A Secret, a Kustomization: an object of another group and with a name that is none of our kinds. With only one of them
/// it may be one of ours with a slip in it.
fn is_others(value: &Value) -> bool {
    let group = |api_version: &str| api_version.split_once('/').map(|(group, _)| group.to_owned());
    let is_other_group = value["apiVersion"].as_str().is_some_and(|it| group(it) != group(API_VERSION));
    let is_other_kind =
        value["kind"].as_str().is_some_and(|it| Kind::ALL.iter().all(|kind| kind.as_str() != it));
    is_other_group && is_other_kind
}

fn object(value: Value, origin: String) -> Result<Object, String> {
    if !value.is_object() {
        return Err("is no object with apiVersion, kind, metadata and spec".to_owned());
    }
    match value["apiVersion"].as_str() {
        Some(API_VERSION) => {}
        Some(other) => return Err(format!("has the apiVersion {other}, write {API_VERSION}")),
        None => return Err(format!("has no apiVersion, write {API_VERSION}")),
    }
    let kind = match value["kind"].as_str() {
        Some(name) => Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| format!("has the kind {name}, which is neither Channel nor Route"))?,
        None => return Err("has no kind, write Channel or Route".to_owned()),
    };
    let metadata = &value["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    if !is_name(&name) {
        return Err(format!(
            "metadata.name has to be 1 to 63 lower-case letters, digits and hyphens, beginning and ending with a letter or digit, not `{name}`"
        ));
    }
    Ok(Object {
        id: ObjectId { kind, name },
        generation: metadata["generation"].as_i64(),
        created_at: metadata["creationTimestamp"].as_str().map(str::to_owned),
        origin,
        value,
        stale: None,
    })
}

/// A DNS label, so that the same name is good in every home of an object.
fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_none_of_ours_is_named() {
        let metadata = json!({"name": "a"});
        let slip = "whatsapp-routr.dev/v1alpha1";
        for (value, says, may_be_channel) in [
            (json!([]), "is no object", true),
            (json!({"kind": "Channel"}), "no apiVersion", true),
            (json!({"apiVersion": "v1", "kind": "Secret"}), "has the apiVersion v1", false),
            (
                json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}),
                "kustomize",
                false,
            ),
            (json!({"apiVersion": "v1", "metadata": metadata}), "has the apiVersion v1", true),
            (json!({"apiVersion": slip, "kind": "Channel", "metadata": metadata}), "routr", true),
            (json!({"apiVersion": API_VERSION, "metadata": metadata}), "has no kind", true),
            (
                json!({"apiVersion": API_VERSION, "kind": "Chanel", "metadata": metadata}),
                "the kind Chanel",
                true,
            ),
            (json!({"apiVersion": API_VERSION, "kind": "Channel"}), "metadata.name", true),
            (
                json!({"apiVersion": API_VERSION, "kind": "Channel", "metadata": {"name": "-a"}}),
                "metadata.name",
                true,
            ),
        ] {
            let mut snapshot = Snapshot::default();
            snapshot.add(value, "x.yaml, document 1");
            assert!(snapshot.objects.is_empty());
            assert!(snapshot.problems[0].contains(says), "{says}: {:?}", snapshot.problems);
            assert_eq!(snapshot.may_lack_channel, may_be_channel, "{says}");
        }
    }

    #[test]
    fn a_name_is_there_once_for_each_kind() {
        let mut snapshot = Snapshot::default();
        for (kind, origin) in [("Channel", "a.yaml"), ("Route", "b.yaml"), ("Channel", "c.yaml")] {
            let value = json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "support"}});
            snapshot.add(value, origin);
        }
        assert_eq!(snapshot.objects.len(), 2);
        assert_eq!(snapshot.problems, ["c.yaml: Channel/support is in a.yaml already"]);
    }
}
