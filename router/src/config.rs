//! Channels and routes as objects, whatever home they have: the environment, files, or Kubernetes.

pub mod compile;
pub mod compiled;
pub mod definitions;
pub mod environment;
pub mod files;
pub mod kubernetes;
pub mod objects;
pub mod reconcile;
pub mod reference;
pub mod report;
pub mod schema;
pub mod snapshot;
pub mod source;
pub mod start;
pub mod view;
