//! A load with all the processes that it has started.

use std::{collections::HashMap, fs, io};

use rustix::process::{Pid, Signal, kill_process};

use super::{CompareError, Load};

/// They go on when this is dropped.
pub(super) struct Family(Vec<Pid>);

impl Family {
    pub(super) fn of(load: &Load) -> Result<Self, CompareError> {
        let children = children().map_err(CompareError::Processes)?;
        let mut family: Vec<u32> = load.process.id().into_iter().collect();
        let mut looked_at = 0;
        while let Some(parent) = family.get(looked_at) {
            let more = children.get(parent).cloned().unwrap_or_default();
            family.extend(more);
            looked_at += 1;
        }
        Ok(Self(family.into_iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())).collect()))
    }

    /// Who is gone already is none of ours any more.
    pub(super) fn signal(&self, signal: Signal) {
        for pid in &self.0 {
            let _ = kill_process(*pid, signal);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
    }
}

/// All processes of this machine by their parents.
fn children() -> io::Result<HashMap<u32, Vec<u32>>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that has just ended has no file any more.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    Ok(children)
}

/// Field 4 of the file (proc(5)), counted after the name, which is the second and may contain anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_parent() {
        assert_eq!(parent("42 (a (b) c) S 17 42 42 0 -1 4194560"), Some(17));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn whoever_was_started_is_found_under_this_process() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of_this = children().unwrap().remove(&std::process::id()).unwrap_or_default();
        assert!(of_this.contains(&child.id()), "{of_this:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
