//! What the engine tells the store of an item that it worked on, and what it gets back.

use super::{Item, Lease, Micros, NewOutbound};

/// How an item ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Inbox: the backend answered; zero or more messages are to be sent.
    Answered(Vec<NewOutbound>),
    /// Inbox: nothing is to be answered, by rule.
    NotAnswered { reason: &'static str },
    /// Outbox: Graph took it. `wamid` is `None` when only a status told us.
    Sent {
        wamid: Option<String>,
        /// How a doubt about it was settled; kept with the message.
        doubt: Option<Doubt>,
        /// The delivery watchdog looks at it then, unless it was delivered.
        watch_at: Option<Micros>,
    },
    /// Either: will not be tried again by itself.
    Dead(Refusal),
}

/// Why an attempt failed. `reason` is a bounded label; `error` may be shown to the operator and holds no content.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub reason: &'static str,
    pub error: String,
    pub attempt: Attempt,
    /// Whether it may have been done all the same.
    pub uncertain: bool,
    /// For a dead letter: what policy made of the doubt.
    pub doubt: Option<Doubt>,
}

/// What was made of an item before it was put back or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It was not touched: its channel has to wait.
    None,
    /// It failed for a reason that has nothing to do with it: the other side can't be reached.
    Free,
    /// It failed, and counts against the limit of attempts.
    Counted,
}

/// What ends together with an item, in the same transaction.
#[derive(Debug, Clone, Default)]
pub struct Finish {
    /// Items behind this one (by `seq`) that were part of the same call and end the same way; what is to be sent is
    /// sent once.
    pub joined: Vec<i64>,
    /// The conversation's new [`Standing::pair_free_at`], where it is worth keeping.
    pub pair_free_at: Option<Micros>,
    /// There is room to lease the outbox lane that this opens.
    pub claim_outbox: bool,
}

/// What was done about a send of which nobody knew whether it had gone out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A status webhook told that it had.
    SettledByStatus,
    /// It was sent again, by policy: the person may have it twice.
    Repeated,
    /// It was not sent again, by policy: the person may not have it.
    NotRepeated,
}

impl Doubt {
    pub const ALL: [Self; 3] = [Self::SettledByStatus, Self::Repeated, Self::NotRepeated];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SettledByStatus => "settled_by_status",
            Self::Repeated => "repeated",
            Self::NotRepeated => "not_repeated",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.as_str() == name)
    }
}

#[derive(Debug, Default)]
pub struct Finished {
    /// The next item of the same lane; the lease goes on.
    pub next: Option<Item>,
    /// The outbox lane of the same conversation that this opened, leased.
    pub opened: Option<OpenedOutbox>,
    /// An outbox lane is due but was not leased.
    pub left_work: bool,
}

#[derive(Debug)]
pub struct OpenedOutbox {
    pub lease: Lease,
    pub item: Item,
}
