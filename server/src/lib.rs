//! The backend that ships with the project: `POST /process` turns a message into a reply. It is stateless, so any
//! number of it may run, and it is small enough to be read as an example of one's own.

pub mod api;
pub mod app;
pub mod cli;
pub mod reply;
pub mod settings;

/// The name of the service in health reports and logs.
pub const SERVICE: &str = "server";

/// The version of the service.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, where the build says so (`BUILD_REVISION`).
pub const REVISION: &str = match option_env!("BUILD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};
