//! What the operating system knows about this process, read from `/proc` at each scrape. Elsewhere than on Linux
//! there is no `/proc`, and the metrics are left out.

use std::{fs, sync::Arc};

use prometheus::{
    Counter, Gauge, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Linux reports times in hundredths of a second on every architecture we build for (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// Collects `process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_open_fds`, `process_max_fds` and
/// `process_start_time_seconds`.
#[derive(Debug, Clone)]
pub struct ProcessCollector {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: IntGauge,
    cpu: std::sync::Mutex<Counter>,
    descriptors: IntGauge,
    most_descriptors: IntGauge,
    start: Gauge,
    descriptions: Vec<Desc>,
}

impl Default for ProcessCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl ProcessCollector {
    /// For the process that calls it.
    pub fn new() -> Self {
        let named = "the name is well-formed";
        let memory = IntGauge::new("process_resident_memory_bytes", "Resident memory in bytes").expect(named);
        let cpu = Counter::new("process_cpu_seconds_total", "User and system time in seconds").expect(named);
        let descriptors = IntGauge::new("process_open_fds", "Open file descriptors").expect(named);
        let most_descriptors =
            IntGauge::new("process_max_fds", "File descriptors that may be open").expect(named);
        let start =
            Gauge::new("process_start_time_seconds", "Start of the process in Unix seconds").expect(named);
        let parts: [&dyn Collector; 5] = [&memory, &cpu, &descriptors, &most_descriptors, &start];
        let descriptions = parts.iter().flat_map(|part| part.desc()).cloned().collect();
        if let Some(seconds) = read_start_time() {
            start.set(seconds);
        }
        let inner = Inner {
            memory,
            cpu: std::sync::Mutex::new(cpu),
            descriptors,
            most_descriptors,
            start,
            descriptions,
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.inner.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let inner = &self.inner;
        let (Some(memory), Some(stat)) = (read_resident_memory(), read_stat()) else {
            return Vec::new();
        };
        inner.memory.set(memory);
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // The folder that is being read is open itself.
            inner.descriptors.set(entries.count() as i64 - 1);
        }
        if let Some(most) = read_most_descriptors() {
            inner.most_descriptors.set(most);
        }
        let cpu = inner.cpu.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cpu.inc_by((stat.cpu_seconds - cpu.get()).max(0.0));
        let parts: [&dyn Collector; 5] =
            [&inner.memory, &*cpu, &inner.descriptors, &inner.most_descriptors, &inner.start];
        parts.iter().flat_map(|part| part.collect()).collect()
    }
}

struct Stat {
    cpu_seconds: f64,
    /// Seconds between the start of the machine and that of the process.
    started_after_boot: f64,
}

fn read_stat() -> Option<Stat> {
    parse_stat(&fs::read_to_string("/proc/self/stat").ok()?)
}

/// The name of the program is in parentheses and may hold anything, so counting starts behind the last one
/// (proc(5): utime, stime and starttime are the fields 14, 15 and 22).
fn parse_stat(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Stat {
        cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS_PER_SECOND,
        started_after_boot: ticks(22)? / TICKS_PER_SECOND,
    })
}

fn read_start_time() -> Option<f64> {
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot + read_stat()?.started_after_boot)
}

fn read_resident_memory() -> Option<i64> {
    parse_resident_memory(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_resident_memory(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn read_most_descriptors() -> Option<i64> {
    parse_most_descriptors(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit, which is what counts.
fn parse_most_descriptors(limits: &str) -> Option<i64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let fields: Vec<String> = (3..=30).map(|field| (field * 100).to_string()).collect();
        let stat = parse_stat(&format!("42 (a ) b) {}", fields.join(" "))).unwrap();
        assert_eq!(stat.cpu_seconds, 29.0);
        assert_eq!(stat.started_after_boot, 22.0);
        assert!(parse_stat("42 (short) S 1").is_none());
    }

    #[test]
    fn resident_memory_is_given_in_kibibytes() {
        assert_eq!(parse_resident_memory("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(parse_resident_memory("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn the_soft_limit_of_open_files_is_the_first_number() {
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024       524288   files\n";
        assert_eq!(parse_most_descriptors(limits), Some(1024));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_very_process_has_memory_and_open_files() {
        let families = ProcessCollector::new().collect();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name() == name).unwrap();
            family.get_metric()[0].get_gauge().get_value()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 1.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_start_time_seconds") > 1_500_000_000.0);
        assert!(families.iter().any(|family| family.name() == "process_cpu_seconds_total"));
    }
}
