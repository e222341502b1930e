//! One kind in one namespace: what one watch is about.

use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
};

use crate::config::{
    objects::{Channel, Route},
    snapshot::Kind,
};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub(super) kind: Kind,
    pub(super) namespace: String,
}

impl Scope {
    pub(super) fn api(&self, client: Client) -> Api<DynamicObject> {
        Api::namespaced_with(client, &self.namespace, &resource(self.kind))
    }
}

/// Objects are taken as they are: a type that refuses one of them would end the watch of all.
pub(super) fn resource(kind: Kind) -> ApiResource {
    match kind {
        Kind::Channel => ApiResource::erase::<Channel>(&()),
        Kind::Route => ApiResource::erase::<Route>(&()),
    }
}

/// `channels` or `routes`.
pub(super) fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Channel => "channels",
        Kind::Route => "routes",
    }
}

/// The same with the part of an object that a router writes, as a Role names it.
pub(super) fn status_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Channel => "channels/status",
        Kind::Route => "routes/status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_definitions() {
        for kind in Kind::ALL {
            assert_eq!(resource(kind).plural, plural(kind));
        }
    }
}
