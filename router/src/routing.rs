//! Which channel a message belongs to, and which backend answers it: one immutable table, replaced as a whole.

pub mod balance;
mod channel;
mod live;
pub mod matching;
mod policy;
mod rule;
mod table;

pub use self::{
    channel::Channel,
    live::LiveTable,
    policy::{
        Ambiguity, DeadLetter, Debounce, DeliveryPolicy, Events, MarkRead, Remedy, Undelivered, Wanted,
    },
    rule::{Backend, Route, Rule, WeightedBackend},
    table::{Entry, Table, TableError},
};
