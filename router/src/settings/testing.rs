//! What tests do to the very binary that is deployed. Unset, it does nothing.

use service::settings::Env;

use crate::{clock::Clock, failpoints::Failpoints};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct TestSettings {
    pub failpoints: Failpoints,
    pub clock: Clock,
}

impl TestSettings {
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        let failpoints = env
            .var(
                "ROUTER_TEST_FAILPOINTS",
                "for tests only: steps at which the process kills itself, and how often: `name=probability,…`",
            )
            .default_in_words("none")
            .hint("leave it out, or write a step and a probability such as after_claim=0.01")
            .parse_with(|text| if text.is_empty() { Ok(Failpoints::default()) } else { text.parse() });
        let ahead = env
            .var(
                "ROUTER_TEST_CLOCK_AHEAD",
                "for tests only: how far the router's clock is ahead of the real one",
            )
            .default("0s")
            .duration();
        // Without a default, nothing set is no problem.
        Some(Self { failpoints: failpoints.unwrap_or_default(), clock: Clock::ahead(ahead?) })
    }

    /// Loudly, because a router that was given these by mistake is not fit for use.
    pub fn warn(&self) {
        if self.failpoints.is_armed() {
            tracing::error!(
                "ROUTER_TEST_FAILPOINTS is set: this process will kill itself, it is fit for tests only"
            );
        }
        if self.clock != Clock::default() {
            tracing::error!(
                "ROUTER_TEST_CLOCK_AHEAD is set: this process has a wrong time, it is fit for tests only"
            );
        }
    }
}
