//! Kubernetes as the home of the objects: every router watches them, and the one that holds a Lease writes what became
//! of them back. The router serves the last table it knew when the API server is gone.

mod backoff;
pub mod cluster;
mod election;
mod events;
mod home;
mod lease;
mod metrics;
mod scope;
pub mod source;
mod status;
mod trouble;
mod watch;
mod world;
mod writer;

#[cfg(test)]
mod fake_api;
#[cfg(test)]
mod tests;

pub use self::{
    cluster::{Cluster, ConnectError},
    home::Home,
    lease::{LeaseName, LeaseTimes, campaign},
    metrics::KubernetesMetrics,
    world::{Live, LiveObject},
    writer::{Writer, WriterTimes},
};
