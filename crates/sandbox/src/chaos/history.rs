//! What was said, what was answered, and what was done to the routers meanwhile: everything that a verdict rests on.

use serde::Serialize;

/// A message of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    pub contact: u32,
    /// Counted from 0 in each chat.
    pub number: u32,
    /// A tick before its first post. Ticks order events of this process and say nothing about time.
    pub began: u64,
    /// A tick after its first 200; `None` while no router took it.
    pub accepted: Option<u64>,
}

/// A message that Graph took, in the order of taking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reply {
    pub contact: u32,
    /// Which message it answers.
    pub number: u32,
    /// The router's own id of the reply.
    pub id: Option<String>,
    /// Unix milliseconds.
    pub at: u64,
    /// Whether the answer with Meta's id was lost on its way to the router.
    pub lost: bool,
}

/// Why a router may not know that Graph took a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The simulator lost the answer.
    LostAnswer,
    /// The router was killed while the send was under way.
    Killed,
    /// The router was stopped, lost its lease, and went on.
    Paused,
    /// The database could not be reached to write it down.
    DatabaseAway,
}

/// A time in which sends under way may have been forgotten. Unix milliseconds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Excuse {
    pub cause: Cause,
    pub from: u64,
    pub to: u64,
}

/// What a route does about a send in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    Repeat,
    NeverRepeat,
}

/// The router's own account, as it shows it to its operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    pub accepted: i64,
    pub answered: i64,
    pub not_to_be_answered: i64,
    pub inbox_in_flight: i64,
    pub inbox_dead: i64,
    pub queued: i64,
    pub sent: i64,
    pub outbox_in_flight: i64,
    pub outbox_dead: i64,
    pub discarded: i64,
}

/// A whole run of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    pub said: Vec<Said>,
    pub replies: Vec<Reply>,
    /// What Graph took that answers nothing that was said, or went to somebody else.
    pub strange: Vec<String>,
    pub excuses: Vec<Excuse>,
    pub policy: Policy,
    /// Whether dead letters are what the case expects of some messages.
    pub may_die: bool,
    /// `None` when the router has no such call.
    pub ledger: Option<Ledger>,
}
