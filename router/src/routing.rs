//! Which channel a message belongs to, and which backend answers it: one immutable table, replaced as a whole.

mod table;

pub use table::{Ambiguity, Backend, Channel, DeliveryPolicy, Route, Table, TableError, Wanted};
