//! How hard a rule tries, and what it does when that does not help.

use std::time::Duration;

use crate::retry::RetryPolicy;

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

/// How hard a rule tries.
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
    pub dead_letter: DeadLetter,
}

/// What becomes of a message that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeadLetter {
    /// Kept, listed, and replayed on demand.
    #[default]
    Store,
    /// Only counted.
    Drop,
}

/// When the person sees that their message was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MarkRead {
    /// Once it is stored and a rule has taken it.
    OnReceive,
    /// Once the backend has answered something.
    OnReply,
    #[default]
    Never,
}

/// What the backend's `/events` is told besides messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Events {
    /// What became of the messages that it answered.
    pub statuses: bool,
}

/// Which types of message a backend is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Wanted {
    /// Text messages, and every other type when it has text that a person saw.
    #[default]
    WhateverHasText,
    /// These, with text or without.
    Types(Vec<String>),
}

impl Wanted {
    pub fn wants(&self, message_type: &str, text: Option<&str>) -> bool {
        match self {
            Self::WhateverHasText => message_type == "text" || text.is_some_and(|text| !text.is_empty()),
            Self::Types(types) => types.iter().any(|wanted| wanted == message_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backend_is_given() {
        let typed = Wanted::Types(vec!["image".to_owned(), "text".to_owned()]);
        for (wanted, message_type, text, expected) in [
            (&Wanted::WhateverHasText, "text", Some(""), true),
            (&Wanted::WhateverHasText, "image", Some("caption"), true),
            (&Wanted::WhateverHasText, "image", None, false),
            (&Wanted::WhateverHasText, "image", Some(""), false),
            (&typed, "image", None, true),
            (&typed, "text", Some("hi"), true),
            (&typed, "button", Some("Buy"), false),
        ] {
            assert_eq!(wanted.wants(message_type, text), expected, "{wanted:?} {message_type} {text:?}");
        }
    }
}
