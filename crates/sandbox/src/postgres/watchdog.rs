//! What is left of this process's PostgreSQL when this process is killed is ended and removed by a shell that waits for it:
//! its standard input is a pipe whose other end closes when this process is gone. Without a shell there is no insurance.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

#[derive(Debug)]
pub(super) struct Watchdog(Child);

/// Ends the server with SIGQUIT, at which it ends its own processes, and with SIGKILL when that is not enough.
pub(super) fn end(pid: u32) -> Option<Watchdog> {
    let script = r#"read -r _; kill -QUIT "$0"; for _ in 1 2 3 4 5 6 7 8; do sleep 0.25; kill -0 "$0" || exit; done; kill -9 "$0""#;
    watch(script, &pid.to_string())
}

/// Removes the folder, and what the server may have written while it ended.
pub(super) fn remove(folder: &Path) -> Option<Watchdog> {
    watch(r#"read -r _; sleep 1; rm -rf "$0"; sleep 3; rm -rf "$0""#, folder.to_str()?)
}

fn watch(script: &str, argument: &str) -> Option<Watchdog> {
    Command::new("sh")
        .args(["-c", script, argument])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()
        .map(Watchdog)
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Killed before the pipe closes, which must find nobody who listens.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
