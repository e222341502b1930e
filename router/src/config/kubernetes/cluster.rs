//! Which cluster, as whom, and whether it knows our kinds.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{InClusterError, KubeConfigOptions, KubeconfigError},
};
use tokio::time::timeout;

use super::{
    lease::LeaseName,
    trouble::{INSTALL, Trouble},
};
use crate::{config::objects::API_VERSION, settings::KubernetesSettings};

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the one question of `auto`, which the start waits for.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(5);
const DISCOVERY_ATTEMPTS: u32 = 3;

/// A cluster that can be asked; nothing was asked yet.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
    /// Whose objects are watched, in the order of their precedence.
    pub namespaces: Vec<String>,
    pub lease: LeaseName,
    /// Named in events.
    pub pod: String,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("namespaces", &self.namespaces).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "CONFIG_SOURCE=kubernetes in a pod: {0}; set automountServiceAccountToken for the pod's service account"
    )]
    Inside(#[from] InClusterError),
    #[error(
        "CONFIG_SOURCE=kubernetes outside of a cluster: {0}; set KUBECONFIG to the file that tells the cluster"
    )]
    Outside(#[from] KubeconfigError),
    #[error("CONFIG_SOURCE=kubernetes: a client can't be made: {0}")]
    Client(#[from] kube::Error),
}

impl Cluster {
    /// As the pod's service account, or as KUBECONFIG says.
    pub async fn connect(settings: &KubernetesSettings) -> Result<Self, ConnectError> {
        let mut config = if is_inside() && std::env::var_os("KUBECONFIG").is_none() {
            Config::incluster()?
        } else {
            Config::from_kubeconfig(&KubeConfigOptions::default()).await?
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // Those who ask have times and patience of their own.
        config.default_retry = false;
        let own = settings.pod_namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config)?;
        Ok(Self::new(client, &own, settings))
    }

    /// With a client that somebody else made.
    pub fn new(client: Client, own_namespace: &str, settings: &KubernetesSettings) -> Self {
        let namespaces = match settings.watch_namespaces.as_slice() {
            [] => vec![own_namespace.to_owned()],
            several => several.to_vec(),
        };
        // A restarted container has the same pod, and is another holder.
        let holder = format!("{}_{:08x}", settings.pod_name, rand::random::<u32>());
        let lease =
            LeaseName { namespace: own_namespace.to_owned(), name: settings.status_lease.clone(), holder };
        Self { client, namespaces, lease, pod: settings.pod_name.clone() }
    }

    /// Whether channels and routes can be asked for at all.
    pub async fn knows_our_kinds(&self) -> Result<bool, String> {
        let mut why = String::new();
        for _ in 0..DISCOVERY_ATTEMPTS {
            match timeout(DISCOVERY_TIMEOUT, self.client.list_api_group_resources(API_VERSION)).await {
                Ok(Ok(list)) => {
                    let serves = |plural: &str| list.resources.iter().any(|resource| resource.name == plural);
                    return Ok(serves("channels") && serves("routes"));
                }
                Ok(Err(kube::Error::Api(status))) if status.code == 404 => return Ok(false),
                Ok(Err(error)) => {
                    why = Trouble::of(&error, "get", "channels", &self.lease.namespace).to_string();
                }
                Err(_) => why = format!("no answer within {} s", DISCOVERY_TIMEOUT.as_secs()),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(why)
    }
}

/// This process is in a pod, with a token of its own.
pub fn is_inside() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(TOKEN).exists()
}

/// What `auto` asks before anything runs: are we in a cluster that knows channels and routes? On any doubt it is said
/// and the answer is no.
pub fn is_home() -> bool {
    if !is_inside() {
        return false;
    }
    // Only this question: the runtime of everything else is not there yet.
    let asked =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string());
    let answer = asked.and_then(|runtime| {
        runtime.block_on(async {
            let settings = KubernetesSettings::default();
            let cluster = Cluster::connect(&settings).await.map_err(|error| error.to_string())?;
            cluster.knows_our_kinds().await
        })
    });
    let (is_home, said) = judge(answer);
    if let Some(said) = said {
        // The log is not there yet either.
        eprintln!("{said}");
    }
    is_home
}

/// What `auto` makes of the answer, and what an operator has to hear of it.
fn judge(knows_our_kinds: Result<bool, String>) -> (bool, Option<String>) {
    let said = match knows_our_kinds {
        Ok(true) => return (true, None),
        Ok(false) => format!(
            "CONFIG_SOURCE is auto, and this cluster does not know channels and routes, so they come from files or \
             variables: to have them as objects, {INSTALL}; else set CONFIG_SOURCE to files or env"
        ),
        Err(why) => format!(
            "CONFIG_SOURCE is auto, and the cluster can't be asked whether it knows channels and routes ({why}), so they \
             come from files or variables: set CONFIG_SOURCE"
        ),
    };
    (false, Some(said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_falls_back_and_says_why_and_what_to_do() {
        assert_eq!(judge(Ok(true)), (true, None));
        for (answer, says) in [
            (Ok(false), &["router crd | kubectl apply", "does not know", "CONFIG_SOURCE"][..]),
            (Err("no answer within 5 s".to_owned()), &["no answer within 5 s", "set CONFIG_SOURCE"]),
        ] {
            let (is_home, said) = judge(answer);
            let said = said.unwrap();
            assert!(!is_home && says.iter().all(|words| said.contains(words)), "{said}");
        }
    }
}
