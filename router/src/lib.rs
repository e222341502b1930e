//! The router: see docs/ARCHITECTURE.md for the way of one message through these modules.

pub mod api;
pub mod app;
pub mod backend;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod failpoints;
pub mod intake;
pub mod metrics;
pub mod migrate;
pub mod pacing;
pub mod retry;
pub mod routing;
pub mod settings;
pub mod store;
pub mod working;

/// Of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, where the build says so (`BUILD_REVISION`).
pub const REVISION: &str = match option_env!("BUILD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
