//! The named checks of `/health` as numbers, so that an alert can say which part does not work.

use prometheus::IntGaugeVec;

use super::Metrics;
use crate::health::Health;

impl Metrics {
    /// `<prefix>_check_failing{check}` and `<prefix>_ready`, as [`Health`] answers at the time of the scrape.
    pub fn watch_health(&self, health: &Health) {
        let (failing, ready) = (self.inner.check_failing.clone(), self.inner.ready.clone());
        let health = health.clone();
        self.before_scrape(move || show(&health, &failing, &ready));
    }
}

fn show(health: &Health, failing: &IntGaugeVec, ready: &prometheus::IntGauge) {
    for (name, is_failing) in health.checks() {
        failing.with_label_values(&[name]).set(i64::from(is_failing));
    }
    ready.set(i64::from(health.readiness() == crate::health::Readiness::Ready));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_one_series_whose_value_follows() {
        let metrics = Metrics::new("whatsapp_test", "1", "r");
        let health = Health::new();
        let store = health.register("store");
        health.ready();
        metrics.watch_health(&health);
        let shown = |line: &str| metrics.encode().contains(line);
        assert!(shown("whatsapp_test_check_failing{check=\"store\"} 1\n"));
        assert!(shown("whatsapp_test_ready 0\n"));
        store.ok();
        assert!(shown("whatsapp_test_check_failing{check=\"store\"} 0\n"));
        assert!(shown("whatsapp_test_ready 1\n"));
    }
}
