//! Where channels and routes come from: exactly one home, and no doubt about which.

use std::path::PathBuf;

use service::settings::Env;

use crate::config::source::SourceKind;

/// The variable that every process in a pod has (Kubernetes, "Accessing the Kubernetes API from a Pod").
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";
/// Set by whoever makes the environment the home of a channel.
const CHANNEL: &str = "WHATSAPP_PHONE_NUMBER_ID";

/// What the environment's variables do not say.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// From the command line, instead of `CONFIG_DIR`: then files are the home, whatever the variables say.
    pub config_dir: Option<PathBuf>,
    /// Only asked inside a cluster, and only when nobody named the home: are the kinds known there?
    pub knows_kinds: Option<fn() -> bool>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSettings {
    pub source: SourceKind,
    /// Of files.
    pub dir: Option<PathBuf>,
}

impl ConfigSettings {
    pub(super) fn read(env: &mut Env, surroundings: &Surroundings) -> Option<Self> {
        let source = env
            .var(
                "CONFIG_SOURCE",
                "where channels and routes come from: `env` (the variables WHATSAPP_* make one of each), `files` (CONFIG_DIR), \
                 `kubernetes` (custom resources), or `auto`: kubernetes in a cluster that knows the kinds, else files when \
                 CONFIG_DIR is set, else env",
            )
            .default("auto")
            .hint("write auto, env, files or kubernetes")
            .parse_with(source);
        let dir = env
            .var(
                "CONFIG_DIR",
                "folder of YAML files with Channel and Route objects; a change is in use without a restart",
            )
            .parse_with(|path| Ok(PathBuf::from(path)));
        if let Some(dir) = &surroundings.config_dir {
            check_folder(env, "--config-dir", dir);
            return Some(Self { source: SourceKind::Files, dir: Some(dir.clone()) });
        }
        let in_cluster = || env.is_set(IN_CLUSTER) && surroundings.knows_kinds.is_some_and(|knows| knows());
        let chosen = match source? {
            Some(source) => source,
            None if in_cluster() => SourceKind::Kubernetes,
            None if dir.is_some() => SourceKind::Files,
            None => SourceKind::Environment,
        };
        let by_itself = source == Some(None);
        if by_itself && chosen != SourceKind::Environment && env.is_set(CHANNEL) {
            env.problem(
                "CONFIG_SOURCE",
                format!(
                    "is auto, and there are two homes for channels: {CHANNEL} is set, and so is {}",
                    other_home(chosen)
                ),
                format!("set CONFIG_SOURCE to env or to {chosen}, or unset one of the two"),
            );
            return None;
        }
        match (chosen, &dir) {
            (SourceKind::Files, Some(dir)) => check_folder(env, "CONFIG_DIR", dir),
            (SourceKind::Files, None) => {
                env.problem(
                    "CONFIG_DIR",
                    "is not set, but CONFIG_SOURCE is files",
                    "name the folder of the YAML files",
                );
            }
            _ => {}
        }
        Some(Self { source: chosen, dir })
    }
}

fn other_home(source: SourceKind) -> &'static str {
    match source {
        SourceKind::Kubernetes => "the cluster, which knows Channel and Route",
        SourceKind::Files | SourceKind::Environment => "CONFIG_DIR",
    }
}

fn check_folder(env: &mut Env, name: &str, dir: &std::path::Path) {
    // What is in it is another question; a wrong path is answered at once.
    if let Err(error) = std::fs::read_dir(dir) {
        let what = format!("{} can't be read ({error})", dir.display());
        env.problem(name, what, "name a folder that exists and that the router may read");
    }
}

/// `None` is auto.
fn source(text: &str) -> Result<Option<SourceKind>, String> {
    match text {
        "auto" => Ok(None),
        "env" => Ok(Some(SourceKind::Environment)),
        "files" => Ok(Some(SourceKind::Files)),
        "kubernetes" => Ok(Some(SourceKind::Kubernetes)),
        _ => Err("is no source of channels and routes".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Cluster {
        None,
        Plain,
        Knowing,
    }

    fn chosen(pairs: &[(&str, &str)], cluster: Cluster) -> Result<SourceKind, String> {
        let mut pairs = pairs.to_vec();
        if !matches!(cluster, Cluster::None) {
            pairs.push((IN_CLUSTER, "10.0.0.1"));
        }
        let mut env = Env::from_pairs(pairs);
        let knows: fn() -> bool = match cluster {
            Cluster::None => || panic!("nobody asks outside of a cluster"),
            Cluster::Plain => || false,
            Cluster::Knowing => || true,
        };
        let settings =
            ConfigSettings::read(&mut env, &Surroundings { config_dir: None, knows_kinds: Some(knows) });
        env.finish_with(settings).map(|settings| settings.source).map_err(|problems| problems.to_string())
    }

    #[test]
    fn there_is_one_home() {
        use Cluster::{Knowing, None, Plain};
        use SourceKind::{Environment, Files, Kubernetes};
        let folder = tempfile::tempdir().unwrap();
        let dir = ("CONFIG_DIR", folder.path().to_str().unwrap());
        let id = (CHANNEL, "1");
        let source = |name| ("CONFIG_SOURCE", name);
        for (pairs, cluster, wanted) in [
            (vec![], None, Ok(Environment)),
            (vec![id], None, Ok(Environment)),
            (vec![dir], None, Ok(Files)),
            (vec![dir, id], None, Err("CONFIG_SOURCE: is auto, and there are two homes")),
            (vec![dir, id, source("files")], None, Ok(Files)),
            (vec![dir, id, source("env")], None, Ok(Environment)),
            (vec![id], Plain, Ok(Environment)),
            (vec![dir], Plain, Ok(Files)),
            (vec![], Knowing, Ok(Kubernetes)),
            (vec![dir], Knowing, Ok(Kubernetes)),
            (vec![id], Knowing, Err("two homes")),
            (vec![id, source("env")], Knowing, Ok(Environment)),
            (vec![source("kubernetes"), id], None, Ok(Kubernetes)),
            (vec![source("files")], None, Err("CONFIG_DIR: is not set")),
            (
                vec![source("files"), ("CONFIG_DIR", "/no/where")],
                None,
                Err("CONFIG_DIR: /no/where can't be read"),
            ),
            (vec![source("consul")], None, Err("\"consul\" is no source")),
        ] {
            match (chosen(&pairs, cluster), wanted) {
                (Ok(source), Ok(wanted)) => assert_eq!(source, wanted, "{pairs:?} {cluster:?}"),
                (Err(problem), Err(says)) => assert!(problem.contains(says), "{says} is not in {problem}"),
                (got, _) => panic!("{pairs:?} {cluster:?}: {got:?}"),
            }
        }
    }
}
