//! What a compile says of every object, for the API, for the status in Kubernetes, and for `check-config`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    compile::Good,
    objects::{ChannelSpec, ConditionType, Reason, RouteSpec},
    snapshot::ObjectId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    True,
    False,
    /// It was not looked at, because something before it is wrong.
    Unknown,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One answer to one of the three questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub kind: ConditionType,
    pub status: Status,
    pub reason: Reason,
    /// For people; never a secret.
    pub message: String,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectReport {
    pub id: ObjectId,
    /// For people: where the object is.
    pub origin: String,
    /// `metadata.generation` of the version that the conditions are about.
    pub generation: Option<i64>,
    /// The version in use, else the one that would be if it were all right; none when it breaks the schema.
    pub spec: Option<Value>,
    /// `Accepted`, `ResolvedRefs`, `Programmed`.
    pub conditions: [Condition; 3],
}

impl ObjectReport {
    pub fn condition(&self, kind: ConditionType) -> &Condition {
        // The array is made in the order of the questions.
        &self.conditions[kind as usize]
    }

    pub fn is_accepted(&self) -> bool {
        self.condition(ConditionType::Accepted).status == Status::True
    }

    /// Everything holds.
    pub fn is_good(&self) -> bool {
        self.conditions.iter().all(|condition| condition.status == Status::True)
    }
}

/// What a source came to, apart from the table itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compiled {
    /// Goes up by one whenever what is in use changes; 1 for the first.
    pub generation: u64,
    /// Of what is in use, without any secret: routers that show the same one route alike.
    pub checksum: String,
    /// By kind and name.
    pub reports: Vec<ObjectReport>,
    /// What is no object at all, as lines for people.
    pub problems: Vec<String>,
    /// What is in use, so that a bad new version can be done without.
    pub(super) channels: BTreeMap<String, Arc<Good<ChannelSpec>>>,
    pub(super) routes: BTreeMap<String, Arc<Good<RouteSpec>>>,
    /// Routes that can't be used and whose messages wait for them.
    pub(super) held: BTreeMap<String, Arc<Good<RouteSpec>>>,
    /// Phone number ids of channels that can't be used.
    pub(super) awaited: BTreeSet<String>,
    /// There may be channels whose phone number ids can't be read.
    pub(super) awaits_any: bool,
}

impl Compiled {
    pub fn report(&self, id: &ObjectId) -> Option<&ObjectReport> {
        self.reports.iter().find(|report| report.id == *id)
    }

    /// Nothing that the table is made of differs: a number that is waited for is not in use, and in the table.
    pub(super) fn has_the_table_of(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.generation, it.awaits_any);
        of(self) == of(other) && self.awaited == other.awaited
    }

    /// Every object does what it says, and there is nothing else.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.reports.iter().all(ObjectReport::is_good)
    }
}
