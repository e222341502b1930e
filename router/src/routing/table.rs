//! The table that everything else asks: channels, and their rules in the order in which they are asked. It is never
//! changed, only replaced.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use whatsapp::signature::constant_time_eq;

use super::{
    channel::Channel,
    matching::{Facts, Matcher},
    rule::{Backend, Route, Rule},
};

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TableError {
    #[error("the channels {0} and {1} have the same phone number id")]
    SameNumber(Arc<str>, Arc<str>),
    #[error("there are two channels called {0}")]
    SameName(Arc<str>),
    #[error("the route {route} names the channel {channel}, which does not exist")]
    UnknownChannel { route: Arc<str>, channel: Arc<str> },
    #[error("there are two rules called {0}")]
    SameLabel(Arc<str>),
}

/// One match of one rule: rules are asked match by match, because how specific each is decides about the order.
#[derive(Debug, Clone)]
pub struct Entry {
    pub matcher: Matcher,
    pub rule: Arc<Rule>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Table {
    channels: HashMap<Arc<str>, Arc<Channel>>,
    by_number: HashMap<String, Arc<Channel>>,
    entries: HashMap<Arc<str>, Vec<Entry>>,
    rules: HashMap<Arc<str>, Arc<Rule>>,
    /// Each once, however many channels of one app have it.
    app_secrets: Vec<SecretString>,
    /// By channel: positions in `app_secrets`.
    signers: HashMap<Arc<str>, Vec<usize>>,
    allows_unsigned: bool,
    awaited: HashSet<String>,
    awaits_any: bool,
}

impl Table {
    /// The order of rules that match: priority of the route, how specific the match is, the older route, the route's
    /// name, the position of the rule.
    pub fn new(channels: Vec<Channel>, mut routes: Vec<Route>) -> Result<Self, TableError> {
        let mut table = Self::default();
        for channel in channels.into_iter().map(Arc::new) {
            let signers = channel.app_secrets.iter().map(|secret| table.signer(secret)).collect();
            table.signers.insert(channel.name.clone(), signers);
            let number = channel.number.phone_number_id().to_owned();
            if let Some(other) = table.by_number.insert(number, channel.clone()) {
                return Err(TableError::SameNumber(other.name.clone(), channel.name.clone()));
            }
            if let Some(other) = table.channels.insert(channel.name.clone(), channel) {
                return Err(TableError::SameName(other.name.clone()));
            }
        }
        table.allows_unsigned = !table.channels.is_empty() && table.app_secrets.is_empty();
        routes.sort_by(|a, b| {
            let key = |route: &Route| (Reverse(route.priority), route.created_at.is_none());
            key(a).cmp(&key(b)).then_with(|| (&a.created_at, &a.name).cmp(&(&b.created_at, &b.name)))
        });
        let mut ranked: HashMap<Arc<str>, Vec<(i32, Entry)>> = HashMap::new();
        for route in routes {
            for rule in route.rules.into_iter().map(Arc::new) {
                if table.rules.insert(rule.label.clone(), rule.clone()).is_some() {
                    return Err(TableError::SameLabel(rule.label.clone()));
                }
                for channel in &route.channels {
                    if !table.channels.contains_key(channel) {
                        let (route, channel) = (route.name.clone(), channel.clone());
                        return Err(TableError::UnknownChannel { route, channel });
                    }
                    let of_channel = ranked.entry(channel.clone()).or_default();
                    of_channel.extend(entries(&rule).map(|entry| (route.priority, entry)));
                }
            }
        }
        for (channel, mut ranked) in ranked {
            // Stable: what is equal here keeps the order of the routes by age and name, and of the rules in them.
            ranked
                .sort_by_key(|(priority, entry)| (Reverse(*priority), Reverse(entry.matcher.specificity())));
            table.entries.insert(channel, ranked.into_iter().map(|(_, entry)| entry).collect());
        }
        Ok(table)
    }

    /// Phone number ids of channels that somebody configured and that can't be used yet, such as one whose token is not
    /// mounted. What comes for them is ours, and is not to be lost. `any`: there may be others, whose ids can't be read.
    pub fn awaiting(mut self, numbers: impl IntoIterator<Item = String>, any: bool) -> Self {
        let unknown = numbers.into_iter().filter(|number| !self.by_number.contains_key(number));
        self.awaited = unknown.collect();
        self.awaits_any = any;
        self
    }

    pub fn awaited(&self) -> impl Iterator<Item = &str> {
        self.awaited.iter().map(String::as_str)
    }

    pub fn is_awaited(&self, phone_number_id: &str) -> bool {
        let is_known = || self.by_number.contains_key(phone_number_id);
        self.awaited.contains(phone_number_id) || (self.awaits_any && !is_known())
    }

    fn signer(&mut self, secret: &SecretString) -> usize {
        let same = |known: &SecretString| {
            constant_time_eq(known.expose_secret().as_bytes(), secret.expose_secret().as_bytes())
        };
        self.app_secrets.iter().position(same).unwrap_or_else(|| {
            self.app_secrets.push(secret.clone());
            self.app_secrets.len() - 1
        })
    }

    pub fn channel(&self, name: &str) -> Option<&Arc<Channel>> {
        self.channels.get(name)
    }

    pub fn channel_of_number(&self, phone_number_id: &str) -> Option<&Arc<Channel>> {
        self.by_number.get(phone_number_id)
    }

    pub fn channels(&self) -> impl Iterator<Item = &Arc<Channel>> {
        self.channels.values()
    }

    /// The rule that takes a message of this channel.
    pub fn select(&self, channel: &str, facts: &Facts<'_>) -> Option<&Arc<Rule>> {
        self.entries(channel).iter().find(|entry| entry.matcher.matches(facts)).map(|entry| &entry.rule)
    }

    /// What messages of this channel are held against, in order.
    pub fn entries(&self, channel: &str) -> &[Entry] {
        self.entries.get(channel).map_or(&[], Vec::as_slice)
    }

    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.values()
    }

    /// By its label.
    pub fn rule(&self, label: &str) -> Option<&Arc<Rule>> {
        self.rules.get(label)
    }

    /// The rules whose messages wait, each with a channel of theirs.
    pub fn held(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Rule>)> {
        self.entries.iter().flat_map(|(channel, entries)| {
            let held = entries.iter().filter(|entry| entry.rule.is_held);
            held.map(move |entry| (channel, &entry.rule))
        })
    }

    /// Those of all rules that are called; one that several rules name comes several times.
    pub fn backends(&self) -> impl Iterator<Item = &Backend> {
        let weighted = self.rules().flat_map(|rule| &rule.backends);
        weighted.filter(|it| it.weight > 0).map(|it| &it.backend)
    }

    /// For how long a message typed on the phone leaves a conversation of this channel to the person who did. It is
    /// not known then which rule would take the next message, so the longest counts; zero: not at all.
    pub fn takeover_idle(&self, channel: &str) -> Duration {
        self.entries(channel).iter().map(|entry| entry.rule.delivery.takeover_idle).max().unwrap_or_default()
    }

    /// Of all channels.
    pub fn app_secrets(&self) -> &[SecretString] {
        &self.app_secrets
    }

    /// Whether the secret at this position of `app_secrets` is one of this channel's. With several apps, knowing the
    /// secret of one must not be enough to write in the name of another's customers.
    pub fn may_sign(&self, signer: usize, channel: &str) -> bool {
        self.signers.get(channel).is_some_and(|signers| signers.contains(&signer))
    }

    /// Webhooks without a signature were allowed expressly.
    pub fn allows_unsigned(&self) -> bool {
        self.allows_unsigned
    }
}

fn entries(rule: &Arc<Rule>) -> impl Iterator<Item = Entry> {
    let everything = rule.matchers.is_empty().then(Matcher::everything);
    let matchers = rule.matchers.iter().cloned().chain(everything);
    matchers.map(|matcher| Entry { matcher, rule: rule.clone() })
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
