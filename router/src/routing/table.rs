//! The table that everything else asks. It holds no decision of its own making: what is in it was checked before.

use std::{collections::HashMap, sync::Arc, time::Duration};

use secrecy::SecretString;
use url::Url;
use whatsapp::client::Number;

use crate::{pacing::Limits, retry::RetryPolicy};

/// One business account through which messages flow.
#[derive(Debug)]
pub struct Channel {
    pub name: Arc<str>,
    /// The number at Meta, with the credential that sends from it.
    pub number: Number,
    /// Any of them may have signed a webhook; empty only where unsigned webhooks were allowed expressly.
    pub app_secrets: Vec<SecretString>,
    pub verify_token: SecretString,
    pub limits: Limits,
}

/// An HTTP service that answers `POST /process`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// A bounded label for logs and metrics.
    pub name: Arc<str>,
    /// The address of `/process` itself.
    pub process_url: Url,
}

/// What to do with a send of which nobody knows whether it went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ambiguity {
    /// Wait for a status webhook that tells, then send again.
    Repeat,
    /// Wait for a status webhook that tells, then give it up as a dead letter.
    NeverRepeat,
}

/// Several messages within a short time go to the backend as one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Debounce {
    /// Nothing new for so long ends the burst.
    pub quiet: Duration,
    /// The first one waits no longer than this.
    pub max: Duration,
}

/// What is done about a message that Graph took and that was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// After this it counts as undelivered.
    pub after: Duration,
    pub action: Remedy,
}

/// It is counted and listed in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    Leave,
    /// A line in the log that an operator is woken by.
    Alarm,
    /// This template is sent.
    Template {
        name: String,
        language: String,
    },
}

impl Remedy {
    /// A bounded label.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Alarm => "alarm",
            Self::Template { .. } => "template",
        }
    }
}

/// How hard a route tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// For one call of the backend.
    pub timeout: Duration,
    pub retry: RetryPolicy,
    pub ambiguous: Ambiguity,
    /// A message that was sent longer ago than this is stored but not answered by itself.
    pub reply_max_age: Duration,
    pub debounce: Option<Debounce>,
    /// For how long a message typed on the phone leaves the conversation to the person who did; zero: not at all.
    pub takeover_idle: Duration,
    pub undelivered: Option<Undelivered>,
}

/// Which types of message a backend is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Text messages, and every other type when it has text that a person saw.
    WhateverHasText,
}

impl Wanted {
    pub fn wants(&self, message_type: &str, text: Option<&str>) -> bool {
        match self {
            Self::WhateverHasText => message_type == "text" || text.is_some_and(|text| !text.is_empty()),
        }
    }
}

/// Which messages of which channels go to which backend.
#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub channels: Vec<Arc<str>>,
    pub backend: Backend,
    pub wanted: Wanted,
    pub delivery: DeliveryPolicy,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TableError {
    #[error("the channels {0} and {1} have the same phone number id")]
    SameNumber(Arc<str>, Arc<str>),
    #[error("the route {route} names the channel {channel}, which does not exist")]
    UnknownChannel { route: Arc<str>, channel: Arc<str> },
}

/// Channels and the routes of their messages.
#[derive(Debug, Default)]
pub struct Table {
    channels: HashMap<Arc<str>, Arc<Channel>>,
    by_number: HashMap<String, Arc<Channel>>,
    route_of: HashMap<Arc<str>, Arc<Route>>,
    app_secrets: Vec<SecretString>,
}

impl Table {
    pub fn new(channels: Vec<Channel>, routes: Vec<Route>) -> Result<Self, TableError> {
        let mut table = Self::default();
        for channel in channels.into_iter().map(Arc::new) {
            table.app_secrets.extend(channel.app_secrets.iter().cloned());
            let number = channel.number.phone_number_id().to_owned();
            if let Some(other) = table.by_number.insert(number, channel.clone()) {
                return Err(TableError::SameNumber(other.name.clone(), channel.name.clone()));
            }
            table.channels.insert(channel.name.clone(), channel);
        }
        for route in routes.into_iter().map(Arc::new) {
            for channel in &route.channels {
                if !table.channels.contains_key(channel) {
                    return Err(TableError::UnknownChannel {
                        route: route.name.clone(),
                        channel: channel.clone(),
                    });
                }
                table.route_of.entry(channel.clone()).or_insert_with(|| route.clone());
            }
        }
        Ok(table)
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

    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.route_of.values()
    }

    pub fn route(&self, channel: &str) -> Option<&Arc<Route>> {
        self.route_of.get(channel)
    }

    pub fn route_named(&self, name: &str) -> Option<&Arc<Route>> {
        self.route_of.values().find(|route| &*route.name == name)
    }

    /// Of all channels. Empty: unsigned webhooks were allowed expressly.
    pub fn app_secrets(&self) -> &[SecretString] {
        &self.app_secrets
    }
}
