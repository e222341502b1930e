//! Which traces are written down: the samplers that OpenTelemetry's variables can name.

use super::{SpanContext, TraceId};

/// What decides where nobody has decided before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Root {
    AlwaysOn,
    AlwaysOff,
    /// Of all traces, by their ids, so that every process decides alike.
    Ratio(f64),
}

/// Decides for a trace, by `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    pub(super) root: Root,
    /// Whoever called has decided.
    pub(super) parent_based: bool,
}

impl Sampler {
    /// Everything, unless the caller decided otherwise; what the standard has as its default.
    pub const DEFAULT: &'static str = "parentbased_always_on";

    /// The sampler of this name; None when there is no such sampler. `ratio` is from 0 to 1.
    pub(super) fn named(name: &str, ratio: f64) -> Option<Self> {
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Root::AlwaysOn,
            "always_off" => Root::AlwaysOff,
            "traceidratio" => Root::Ratio(ratio),
            _ => return None,
        };
        Some(Self { root, parent_based })
    }

    /// As the standard writes it.
    pub(super) fn name(self) -> &'static str {
        match (self.parent_based, self.root) {
            (true, Root::AlwaysOn) => "parentbased_always_on",
            (true, Root::AlwaysOff) => "parentbased_always_off",
            (true, Root::Ratio(_)) => "parentbased_traceidratio",
            (false, Root::AlwaysOn) => "always_on",
            (false, Root::AlwaysOff) => "always_off",
            (false, Root::Ratio(_)) => "traceidratio",
        }
    }

    /// The share of all traces, where there is one.
    pub(super) fn ratio(self) -> Option<f64> {
        match self.root {
            Root::Ratio(ratio) => Some(ratio),
            Root::AlwaysOn | Root::AlwaysOff => None,
        }
    }

    /// True when the trace is to be written down.
    pub fn samples(&self, parent: Option<&SpanContext>, trace: TraceId) -> bool {
        match (parent, self.root) {
            (Some(parent), _) if self.parent_based => parent.sampled,
            (_, Root::AlwaysOn) => true,
            (_, Root::AlwaysOff) => false,
            (_, Root::Ratio(ratio)) => {
                let [.., a, b, c, d, e, f, g, h] = trace.to_bytes();
                let random = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
                // Both sides lose what a double can't hold; 1.0 takes all.
                ratio >= 1.0 || (random as f64) < ratio * (1_u64 << 63) as f64
            }
        }
    }

    /// False when nothing is wanted at all, failures included.
    pub(super) fn wants_failures(&self) -> bool {
        self.root != Root::AlwaysOff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::SpanId;

    #[test]
    fn each_name_decides_as_the_standard_says() {
        let parent = |sampled| SpanContext { trace: TraceId::random(), span: SpanId::random(), sampled };
        for (name, alone, under_sampled, under_unsampled) in [
            ("always_on", true, true, true),
            ("always_off", false, false, false),
            ("traceidratio", false, false, false),
            ("parentbased_always_on", true, true, false),
            ("parentbased_always_off", false, true, false),
            ("parentbased_traceidratio", false, true, false),
        ] {
            let sampler = Sampler::named(name, 0.0).unwrap();
            assert_eq!(sampler.name(), name);
            let decide = |parent: Option<SpanContext>| sampler.samples(parent.as_ref(), TraceId::random());
            assert_eq!(decide(None), alone, "{name}");
            assert_eq!(decide(Some(parent(true))), under_sampled, "{name}");
            assert_eq!(decide(Some(parent(false))), under_unsampled, "{name}");
        }
        assert!(Sampler::named("sometimes", 0.5).is_none());
        assert!(Sampler::named("parentbased_", 0.5).is_none());
    }

    #[test]
    fn a_ratio_takes_its_share_and_by_the_id_alone() {
        let sampler = Sampler::named("traceidratio", 0.25).unwrap();
        let taken = (0..20_000).filter(|_| sampler.samples(None, TraceId::random())).count();
        assert!((4_500..5_500).contains(&taken), "{taken}");
        let trace = TraceId::random();
        assert_eq!(sampler.samples(None, trace), sampler.samples(None, trace));
        assert!(Sampler::named("traceidratio", 1.0).unwrap().samples(None, TraceId::random()));
    }
}
