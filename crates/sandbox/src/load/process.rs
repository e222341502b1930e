//! What a process used, as the kernel tells it. Zero where there is no `/proc`.

use std::{fs, ops::Sub};

use serde::Serialize;

/// Memory now and at its peak, and the processor time since the process started (or between two looks).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Usage {
    pub rss_kib: u64,
    pub peak_rss_kib: u64,
    pub cpu_seconds: f64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        Self {
            rss_kib: status_kib(&status, "VmRSS:"),
            peak_rss_kib: status_kib(&status, "VmHWM:"),
            cpu_seconds: cpu_ticks(&stat) as f64 / rustix::param::clock_ticks_per_second() as f64,
        }
    }
}

/// Memory is that of the later look.
impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - earlier.cpu_seconds, ..self }
    }
}

fn status_kib(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or_default()
}

/// utime and stime: fields 14 and 15 (proc(5)). Counted after the name, which is the second and may contain anything, so
/// eleven stand before them.
fn cpu_ticks(stat: &str) -> u64 {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_files_are_read() {
        assert_eq!(status_kib("Name:\trouter\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n", "VmRSS:"), 10_240);
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1000 0 0 0 150 50 0 0 20 0 8 0 100 0 0";
        assert_eq!(cpu_ticks(stat), 200);
        assert_eq!(cpu_ticks(""), 0);
    }
}
