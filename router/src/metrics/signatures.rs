//! What is counted of webhooks that were refused because of their signature.

use std::sync::Arc;

use prometheus::IntCounterVec;
use service::metrics::Metrics;
use whatsapp::signature::SignatureError;

/// It was signed by the app of another channel.
const OTHER_CHANNEL: &str = "other_channel";

#[derive(Debug, Clone)]
pub struct SignatureMetrics {
    failures: IntCounterVec,
}

impl SignatureMetrics {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            failures: metrics.counter_vec(
                "signature_failures_total",
                "Webhooks that were refused because of their signature (missing, malformed, mismatch, other_channel), \
                 once for each configured channel that a mismatch or other_channel names, else with channel=\"\"",
                &["channel", "reason"],
            ),
        }
    }

    /// `channels` have to be configured ones: a label is never what somebody has posted.
    pub fn refused(&self, error: SignatureError, channels: &[Arc<str>]) {
        self.count(error.as_str(), channels);
    }

    pub fn refused_for_another(&self, channels: &[Arc<str>]) {
        self.count(OTHER_CHANNEL, channels);
    }

    fn count(&self, reason: &str, channels: &[Arc<str>]) {
        if channels.is_empty() {
            self.failures.with_label_values(&["", reason]).inc();
        }
        for channel in channels {
            self.failures.with_label_values(&[&**channel, reason]).inc();
        }
    }

    /// From zero on: a rise that nobody saw the beginning of is none.
    pub fn show(&self, channel: &str) {
        for reason in [SignatureError::Mismatch.as_str(), OTHER_CHANNEL] {
            self.failures.with_label_values(&[channel, reason]);
        }
    }

    /// Of a channel that is gone.
    pub fn forget(&self, channel: &str) {
        for reason in [SignatureError::Mismatch.as_str(), OTHER_CHANNEL] {
            // What was never shown is not there.
            let _ = self.failures.remove_label_values(&[channel, reason]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_counts_once_and_what_names_none_counts_too() {
        let metrics = Metrics::new("t", "0", "0");
        let signatures = SignatureMetrics::new(&metrics);
        signatures.show("a");
        signatures.refused(SignatureError::Missing, &[]);
        signatures.refused(SignatureError::Mismatch, &["a".into(), "b".into()]);
        signatures.refused_for_another(&["b".into()]);
        signatures.forget("b");
        let text = metrics.encode();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("t_signature")).collect();
        assert_eq!(
            lines,
            [
                r#"t_signature_failures_total{channel="",reason="missing"} 1"#,
                r#"t_signature_failures_total{channel="a",reason="mismatch"} 1"#,
                r#"t_signature_failures_total{channel="a",reason="other_channel"} 0"#,
            ]
        );
    }
}
