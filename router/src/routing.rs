//! Which channel a message belongs to, and which backend answers it: one immutable table, replaced as a whole.

pub mod balance;
pub mod matching;
mod table;

pub use table::{
    Ambiguity, Backend, Channel, Debounce, DeliveryPolicy, Remedy, Route, Table, TableError, Undelivered,
    Wanted,
};
