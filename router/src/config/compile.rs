//! From the objects of a source to the table that everything asks, and to what is said of every object. Pure: the same
//! objects, secrets and history always give the same.
//!
//! A bad object takes nothing with it. Its last good version stays in use, for as long as this process has one.

mod channels;
mod check;
mod conditions;
mod routes;
mod secrets;
mod settle;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use serde_json::Value;
use service::secrets::Secrets;
use sha2::{Digest, Sha256};

pub use self::settle::Good;
use self::settle::Settled;
use super::{
    compiled::Compiled,
    objects::definitions,
    snapshot::{Kind, Object, Snapshot},
};
use crate::{
    pacing::Limits,
    routing::{DeliveryPolicy, Table, TableError},
};

/// Past so many matches of one channel nobody is told which of them never get a message: every pair is looked at.
const MOST_COMPARED: usize = 4_000;

/// What an object leaves out.
#[derive(Debug, Clone)]
pub struct Defaults {
    pub limits: Limits,
    pub delivery: DeliveryPolicy,
    /// Of the Graph API, such as v25.0.
    pub api_version: String,
    /// A channel may have no app secret.
    pub allow_unsigned: bool,
    /// What backends are called; without it, by their address.
    pub backend_name: Option<Arc<str>>,
}

/// See the module.
#[derive(Debug)]
pub struct Compiler {
    channel_schema: Value,
    route_schema: Value,
    defaults: Defaults,
}

impl Compiler {
    pub fn new(defaults: Defaults) -> Self {
        let [channel_schema, route_schema] = definitions().map(|definition| {
            // A definition is JSON by nature; were it not, every object would be refused as not fitting.
            let mut value = serde_json::to_value(&definition).unwrap_or_default();
            value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take()
        });
        Self { channel_schema, route_schema, defaults }
    }

    /// `previous` is what this returned before, for the same source. An error is a mistake of this code: what is in use
    /// stays so.
    pub fn compile(
        &self,
        snapshot: &Snapshot,
        secrets: &Secrets,
        previous: Option<&Compiled>,
    ) -> Result<(Table, Compiled), TableError> {
        // The order in which a source hands its objects over says nothing.
        let by_id: BTreeMap<_, &Object> =
            snapshot.objects.iter().rev().map(|object| (&object.id, object)).collect();
        let of_kind = |kind| by_id.values().copied().filter(move |object| object.id.kind == kind);
        let defaults = &self.defaults;
        let mut channels =
            channels::settle_all(of_kind(Kind::Channel), &self.channel_schema, secrets, defaults, previous);
        let built: Vec<_> = channels
            .iter_mut()
            .filter_map(|it| it.build(|name, good| channels::build(name, good, defaults)))
            .collect();

        let in_use: BTreeSet<&str> = channels
            .iter()
            .filter(|channel| channel.in_use.is_some())
            .map(|channel| channel.object.id.name.as_str())
            .collect();
        let mut routes =
            routes::settle_all(of_kind(Kind::Route), &self.route_schema, secrets, defaults, previous);
        for route in &mut routes {
            route.missing_channels = routes::missing_channels(route, &in_use, &channels);
        }
        let built_routes: Vec<_> = routes
            .iter_mut()
            .filter_map(|it| {
                let is_held = it.in_use.is_none();
                let built = it.build(|name, good| routes::build(name, good, is_held, &in_use, defaults))?;
                it.is_idle = built.channels.is_empty();
                // Without a channel it gets no message, whoever comes before it.
                (!it.is_idle).then_some(built)
            })
            .collect();

        let numbers = of_kind(Kind::Channel).filter_map(channels::number);
        // What could not be read may be a channel.
        let awaits_any = snapshot.may_lack_channel
            || channels.iter().any(|it| it.in_use.is_none() && channels::number(it.object).is_none());
        let table = Table::new(built, built_routes)?.awaiting(numbers, awaits_any);
        let held = routes.iter().filter(|route| !route.is_idle);
        let held =
            held.filter_map(|route| Some((route.object.id.name.clone(), route.held.clone()?))).collect();
        let shadowed = shadowed(&table);
        for route in &mut routes {
            let name = route.object.id.name.as_str();
            route.shadowed = shadowed.get(name).cloned().unwrap_or_default();
        }
        let compiled = Compiled {
            generation: 0,
            checksum: String::new(),
            reports: channels
                .iter()
                .map(conditions::report)
                .chain(routes.iter().map(conditions::report))
                .collect(),
            problems: snapshot.problems.clone(),
            channels: kept(&channels),
            routes: kept(&routes),
            held,
            awaited: table.awaited().map(str::to_owned).collect(),
            awaits_any,
        };
        Ok((table, counted(compiled, previous)))
    }
}

impl<S> Settled<'_, S> {
    /// What the table has of it. That a checked object can't be built is a mistake of this code; it must not be the
    /// end of all others.
    fn build<T>(&mut self, build: impl FnOnce(&str, &Good<S>) -> Result<T, String>) -> Option<T> {
        match build(&self.object.id.name, self.in_use.as_ref().or(self.held.as_ref())?) {
            Ok(built) => Some(built),
            Err(why) => {
                self.problems.push(why);
                self.in_use = None;
                self.held = None;
                self.is_current = false;
                None
            }
        }
    }
}

fn kept<S>(settled: &[Settled<'_, S>]) -> BTreeMap<String, Arc<Good<S>>> {
    settled.iter().filter_map(|it| Some((it.object.id.name.clone(), it.in_use.clone()?))).collect()
}

fn counted(mut compiled: Compiled, previous: Option<&Compiled>) -> Compiled {
    let same = |previous: &&Compiled| {
        previous.channels == compiled.channels
            && previous.routes == compiled.routes
            && previous.held == compiled.held
    };
    compiled.generation = match previous {
        Some(previous) if same(&previous) => previous.generation,
        previous => previous.map_or(0, |previous| previous.generation) + 1,
    };
    let mut hash = Sha256::new();
    add(&mut hash, &compiled.channels);
    add(&mut hash, &compiled.routes);
    if !compiled.held.is_empty() {
        hash.update("held\n");
        add(&mut hash, &compiled.held);
    }
    compiled.checksum = hash.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    compiled
}

fn add<S: Serialize>(hash: &mut Sha256, objects: &BTreeMap<String, Arc<Good<S>>>) {
    for (name, good) in objects {
        // What was read from JSON can be written as JSON.
        let spec = serde_json::to_string(&good.spec).unwrap_or_default();
        hash.update(format!("{name}\n{spec}\n"));
    }
}

/// Names of the rules that get no message on any channel, by route.
fn shadowed(table: &Table) -> BTreeMap<String, Vec<String>> {
    let mut silent: BTreeSet<&str> = table.rules().map(|rule| &*rule.label).collect();
    for channel in table.channels() {
        let entries = table.entries(&channel.name);
        if entries.len() > MOST_COMPARED {
            silent.retain(|label| !entries.iter().any(|entry| &*entry.rule.label == *label));
            continue;
        }
        for (position, entry) in entries.iter().enumerate() {
            let is_covered = entries[..position]
                .iter()
                .any(|before| before.rule.label != entry.rule.label && before.matcher.covers(&entry.matcher));
            if !is_covered {
                silent.remove(&*entry.rule.label);
            }
        }
    }
    let mut by_route: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in silent.into_iter().filter_map(|label| table.rule(label)) {
        by_route.entry(rule.route.to_string()).or_default().push(rule.name.to_string());
    }
    by_route
}

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
