//! The parts of the crate together, as a service uses them.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of tests for something else")]

mod abuse;
mod documentation;
mod draining;
mod edge;
mod harness;
mod ops;
mod secrets;
mod settings;
