//! Every connection is a file descriptor, and what a shell or a service manager allows at first (often 1024, 256 on macOS)
//! is less than a listener's connections. A process may raise that up to a hard limit by itself.

/// Raises the number of files and connections that this process may have open as far as it may. Gives that number;
/// `None` where there is no such limit or the system does not say.
#[cfg(unix)]
pub fn raise_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// What macOS takes at most, whatever it says of the hard limit (`OPEN_MAX`).
    const OPEN_MAX: u64 = 10_240;

    let before = getrlimit(Resource::Nofile);
    let most = before.maximum.unwrap_or(u64::MAX);
    let wanted = if cfg!(target_os = "macos") { most.min(OPEN_MAX) } else { most };
    if before.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: before.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// There is no such limit.
#[cfg(not(unix))]
pub fn raise_limit() -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn raising_never_lowers_and_a_second_time_changes_nothing() {
        let before = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let raised = raise_limit();
        assert!(raised.unwrap_or(u64::MAX) >= before.unwrap_or(u64::MAX));
        assert_eq!(raise_limit(), raised);
    }
}
