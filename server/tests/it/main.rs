//! The server as its users see it.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of tests for something else")]

mod documentation;
mod process;
mod program;
