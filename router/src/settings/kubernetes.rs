//! How the router lives in a cluster, when channels and routes are custom resources.

use service::settings::Env;

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct KubernetesSettings {
    /// Empty: the router's own.
    pub watch_namespaces: Vec<String>,
    pub status_updates: bool,
    pub status_lease: String,
    pub pod_name: String,
    pub pod_namespace: Option<String>,
}

impl KubernetesSettings {
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        let watch_namespaces = env
            .var("WATCH_NAMESPACES", "namespaces whose channels and routes count, separated by commas; of one name in several the first counts. Each needs the Role and its binding")
            .default("")
            .default_in_words("the router's own")
            .hint("write names of namespaces, such as shop,support")
            .parse_with(namespaces);
        let status_updates = env
            .var("CONFIG_STATUS_UPDATES", "whether one of the routers writes conditions and Events of channels and routes to Kubernetes; `off` needs no permission to write anything")
            .default("on")
            .boolean();
        let status_lease = env
            .var(
                "CONFIG_STATUS_LEASE",
                "name of the Lease, in the router's own namespace, whose holder does that",
            )
            .default("whatsapp-router-status")
            .hint("write the name of a Lease, such as whatsapp-router-status")
            .parse_with(|text| name(text).map(str::to_owned));
        let pod_name = env
            .var("POD_NAME", "how this router is called in the Lease and in Events")
            .default(hostname())
            .default_in_words("the host's name")
            .parse::<String>();
        let pod_namespace = env
            .var("POD_NAMESPACE", "the router's own namespace")
            .default("")
            .default_in_words("that of its service account, or of KUBECONFIG")
            .parse_with(|text| match text {
                "" => Ok(None),
                text => name(text).map(|name| Some(name.to_owned())),
            });
        Some(Self {
            watch_namespaces: watch_namespaces?,
            status_updates: status_updates?,
            status_lease: status_lease?,
            pod_name: pod_name?,
            pod_namespace: pod_namespace?,
        })
    }
}

/// In a pod it is the pod's name.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "router".to_owned() } else { name.trim().to_owned() }
}

fn namespaces(text: &str) -> Result<Vec<String>, String> {
    let mut found: Vec<String> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let namespace = name(part)?;
        if !found.iter().any(|found| found == namespace) {
            found.push(namespace.to_owned());
        }
    }
    Ok(found)
}

/// A DNS label.
fn name(text: &str) -> Result<&str, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let is_name = (1..=253).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with(['-', '.'])
        && !text.ends_with(['-', '.']);
    if is_name { Ok(text) } else { Err(format!("has `{text}`, which can't be a name in Kubernetes")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Option<KubernetesSettings>, String) {
        let mut env = Env::from_pairs(pairs.iter().copied());
        let settings = KubernetesSettings::read(&mut env);
        let problems = env.finish().err().map(|problems| problems.to_string());
        (settings, problems.unwrap_or_default())
    }

    #[test]
    fn nothing_is_needed() {
        let (settings, problems) = read(&[]);
        let settings = settings.unwrap();
        assert_eq!(problems, "");
        assert!(settings.watch_namespaces.is_empty() && settings.status_updates);
        assert_eq!(settings.status_lease, "whatsapp-router-status");
        assert!(!settings.pod_name.is_empty());
        assert_eq!(settings.pod_namespace, None);
    }

    #[test]
    fn namespaces_are_a_list_without_repetitions() {
        let (settings, _) =
            read(&[("WATCH_NAMESPACES", "shop, support,,shop"), ("CONFIG_STATUS_UPDATES", "off")]);
        let settings = settings.unwrap();
        assert_eq!(settings.watch_namespaces, ["shop", "support"]);
        assert!(!settings.status_updates);
        let (settings, problems) = read(&[("WATCH_NAMESPACES", "Shop")]);
        assert!(settings.is_none());
        assert!(problems.contains("WATCH_NAMESPACES") && problems.contains("`Shop`"), "{problems}");
    }
}
