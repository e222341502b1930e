//! What every service of ours needs, once: settings, logs, metrics, health, an HTTP edge with one shape of
//! error, documentation, and an orderly end. Nothing in here knows what the service is for.

pub mod cli;
pub mod descriptors;
pub mod health;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod ops;
pub mod secrets;
pub mod settings;
pub mod shutdown;
pub mod signing;
pub mod telemetry;
