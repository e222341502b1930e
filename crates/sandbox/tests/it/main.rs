//! The simulator from outside, over real sockets, against a router that does as it is told.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod backend;
mod fake_router;
mod faults;
mod graph;
mod harness;
mod phone;
mod postgres;
mod stack;
mod webhooks;
