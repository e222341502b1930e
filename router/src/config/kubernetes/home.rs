//! The whole of it for the program: opened at the start, asked for its source, and told to write once there is something
//! to say.

use std::sync::Arc;

use service::{health::CheckHandle, metrics::Metrics, shutdown::Shutdown};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    cluster::{Cluster, ConnectError},
    lease::{LeaseTimes, campaign},
    metrics::KubernetesMetrics,
    source::{self, WatchTimes, Watched},
    writer::{Knows, Writer, WriterTimes},
};
use crate::{
    config::{compiled::Compiled, source::Source},
    settings::KubernetesSettings,
};

#[derive(Debug)]
pub struct Home {
    cluster: Cluster,
    watched: Watched,
    writes: bool,
}

impl Home {
    /// Begins to watch. That nobody answers is no error: `check` fails until somebody does.
    pub async fn open(settings: &KubernetesSettings, check: CheckHandle) -> Result<Self, ConnectError> {
        let cluster = Cluster::connect(settings).await?;
        let watched = source::start(&cluster.client, &cluster.namespaces, &WatchTimes::default(), check);
        tracing::info!(namespaces = ?cluster.namespaces, "channels and routes come from Kubernetes");
        Ok(Self { cluster, watched, writes: settings.status_updates })
    }

    pub fn source(&self) -> Source {
        self.watched.source.clone()
    }

    /// Writes what became of the objects, and what is known of the channels, whenever this router holds the Lease. The task ends when the shutdown has begun
    /// and the Lease is given away.
    pub fn write(
        self,
        compiled: watch::Receiver<Arc<Compiled>>,
        knows: Knows,
        metrics: &Metrics,
        shutdown: Shutdown,
    ) -> JoinHandle<()> {
        if !self.writes {
            return tokio::spawn(async {});
        }
        let Self { cluster, watched, .. } = self;
        let (sender, leading) = watch::channel(false);
        let writer = Writer::new(
            cluster.client.clone(),
            compiled,
            watched.live,
            leading,
            KubernetesMetrics::new(metrics),
            WriterTimes::default(),
            &cluster.pod,
        )
        .with(knows);
        let campaign =
            campaign(cluster.client, cluster.lease, LeaseTimes::default(), sender, shutdown.clone());
        tokio::spawn(async move {
            tokio::join!(writer.run(shutdown), campaign);
        })
    }
}
