//! What the rounds came to: ratios, and how far they can be trusted.

use std::{fmt, fs, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::CompareError;

/// Of one side of a round. Processor times are in microseconds for a message.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Messages a second of the clock, of which the other side had half.
    pub throughput: f64,
    pub router: f64,
    pub server: f64,
    /// The generator, the simulator and the collector.
    pub sandbox: f64,
}

/// One after the other on the same machine at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Round {
    pub plain: Figures,
    pub watched: Figures,
}

/// Watched against not watched: 1 is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    pub mean: f64,
    /// The standard error of the mean; the truth is within two of them nineteen times in twenty. 0 for a single round.
    pub error: f64,
}

/// All rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// None: both sides were the same.
    pub traces: Option<f64>,
    pub seconds_per_round: u64,
    pub throughput: Ratio,
    pub router: Ratio,
    pub server: Ratio,
    pub sandbox: Ratio,
    /// Of all processes together.
    pub processor: Ratio,
    pub rounds: Vec<Round>,
}

#[derive(Deserialize)]
struct Load {
    throughput: f64,
    answered: f64,
    router: Usage,
    server: Usage,
    sandbox: Usage,
}

#[derive(Deserialize)]
struct Usage {
    cpu_seconds: f64,
}

impl Figures {
    /// Out of the report of a load.
    pub(super) fn read(file: &Path) -> Result<Self, CompareError> {
        let text = fs::read_to_string(file)
            .map_err(|source| CompareError::Io { what: "read the report of a load", source })?;
        let load: Load = serde_json::from_str(&text)?;
        let each = |usage: Usage| 1e6 * usage.cpu_seconds / load.answered.max(1.0);
        Ok(Self {
            throughput: load.throughput,
            router: each(load.router),
            server: each(load.server),
            sandbox: each(load.sandbox),
        })
    }

    fn processor(&self) -> f64 {
        self.router + self.server + self.sandbox
    }
}

impl Comparison {
    pub(super) fn new(traces: Option<f64>, duration: Duration, rounds: Vec<Round>) -> Self {
        let ratio = |of: fn(&Figures) -> f64| {
            Ratio::of(rounds.iter().map(|round| of(&round.watched) / of(&round.plain)))
        };
        Self {
            traces,
            seconds_per_round: duration.as_secs(),
            throughput: ratio(|figures| figures.throughput),
            router: ratio(|figures| figures.router),
            server: ratio(|figures| figures.server),
            sandbox: ratio(|figures| figures.sandbox),
            processor: ratio(Figures::processor),
            rounds,
        }
    }
}

impl Ratio {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let error = if values.len() < 2 { 0.0 } else { (squares / (count - 1.0) / count).sqrt() };
        Self { mean, error }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:5.1} % ± {:.1}", 100.0 * self.mean, 100.0 * self.error)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plain, watched) = (&self.plain, &self.watched);
        write!(
            f,
            "  {:.0} and {:.0} messages/s ({:.0} %), {:.0} and {:.0} µs of all processors for a message ({:.0} %)",
            plain.throughput,
            watched.throughput,
            100.0 * watched.throughput / plain.throughput,
            plain.processor(),
            watched.processor(),
            100.0 * watched.processor() / plain.processor(),
        )
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.traces {
            Some(share) => {
                write!(f, "watched (metrics scraped, traces of {:.0} % of the messages)", 100.0 * share)?;
            }
            None => write!(f, "not watched either")?,
        }
        writeln!(
            f,
            ", against not watched: {} rounds of {} s, by turns; mean and its standard error",
            self.rounds.len(),
            self.seconds_per_round
        )?;
        writeln!(f, "  throughput                      {}", self.throughput)?;
        writeln!(f, "  processor time for a message    {}", self.processor)?;
        writeln!(f, "    router                        {}", self.router)?;
        writeln!(f, "    server                        {}", self.server)?;
        write!(f, "    generator, simulator, collector {}", self.sandbox)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(throughput: f64, router: f64) -> Figures {
        Figures { throughput, router, server: 10.0, sandbox: 10.0 }
    }

    #[test]
    fn rounds_become_ratios_with_an_error() {
        let rounds = vec![
            Round { plain: figures(1_000.0, 80.0), watched: figures(950.0, 90.0) },
            Round { plain: figures(2_000.0, 40.0), watched: figures(1_940.0, 40.0) },
        ];
        let comparison = Comparison::new(Some(1.0), Duration::from_secs(10), rounds);
        let near = |value: f64, wanted: f64| assert!((value - wanted).abs() < 1e-9, "{value} {wanted}");
        near(comparison.throughput.mean, 0.96);
        near(comparison.throughput.error, 0.01);
        near(comparison.server.mean, 1.0);
        near(comparison.processor.mean, f64::midpoint(1.1, 1.0));
        let text = comparison.to_string();
        assert!(text.contains("throughput                       96.0 % ± 1.0"), "{text}");
        assert!(text.contains("traces of 100 % of the messages"), "{text}");
    }

    #[test]
    fn a_single_round_has_no_error() {
        let round = Round { plain: figures(100.0, 10.0), watched: figures(90.0, 10.0) };
        let comparison = Comparison::new(None, Duration::from_secs(10), vec![round]);
        assert_eq!(comparison.throughput.error, 0.0);
        assert!(comparison.to_string().starts_with("not watched either, against"));
    }
}
