//! Percentiles of exact samples: a run's latencies fit into memory, so nothing is approximated.

use std::fmt;

use serde::Serialize;

/// Milliseconds; zero when there is nothing to measure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Percentiles {
    pub count: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    pub max: f64,
}

impl Percentiles {
    /// Of nanoseconds, in any order.
    pub(crate) fn of(mut samples: Vec<u64>) -> Self {
        if samples.is_empty() {
            return Self::default();
        }
        samples.sort_unstable();
        // The smallest value that at least this share of the samples does not exceed.
        let at = |share: f64| {
            let rank = (samples.len() as f64 * share).ceil() as usize;
            samples[rank.clamp(1, samples.len()) - 1] as f64 / 1e6
        };
        Self {
            count: samples.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        }
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p90, p99, p999, max, .. } = self;
        write!(f, "p50 {p50:>8.2}  p90 {p90:>8.2}  p99 {p99:>8.2}  p99.9 {p999:>8.2}  max {max:>8.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_exact() {
        let all = Percentiles::of((1..=1000).rev().map(|n| n * 1_000_000).collect());
        assert_eq!((all.p50, all.p90, all.p99, all.p999, all.max), (500.0, 900.0, 990.0, 999.0, 1000.0));
        let one = Percentiles::of(vec![2_500_000]);
        assert_eq!((one.p50, one.max, one.count), (2.5, 2.5, 1));
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }
}
