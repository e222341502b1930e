//! Channels and routes as objects, whatever home they have: the environment, files, or Kubernetes.

pub mod files;
pub mod objects;
pub mod schema;
pub mod snapshot;
pub mod source;
