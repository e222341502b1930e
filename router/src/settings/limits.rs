//! How fast the number may send, as Meta allows it.

use std::time::Duration;

use service::settings::{Env, parse_duration};

use super::delivery::positive;
use crate::pacing::{Limits, Pair};

impl Limits {
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        let throughput = env
            .var(
                "WHATSAPP_MAX_MESSAGES_PER_SECOND",
                "what Meta allows this number, sent and received together: 80, 1000 or 20; goes up by itself when Meta announces more",
            )
            .default("80")
            .parse_with(positive);
        let user_initiated = env
            .var(
                "WHATSAPP_USER_INITIATED_PER_SECOND",
                "messages a second to people who wrote within the last 24 hours, at most",
            )
            .default("1000")
            .parse_with(positive);
        let business_initiated = env
            .var("WHATSAPP_BUSINESS_INITIATED_PER_SECOND", "messages a second to all others, at most")
            .default("80")
            .parse_with(positive);
        let burst = env
            .var("WHATSAPP_PAIR_BURST", "messages in a row to one person, borrowed from the time after them")
            .default("45")
            .parse_with(positive);
        let interval = env
            .var("WHATSAPP_PAIR_INTERVAL", "one message to one person in this time, on average")
            .default("6s")
            .parse_with(|text| within(text, Duration::from_millis(1)));
        let stopped_wait = env
            .var(
                "WHATSAPP_STOPPED_CHANNEL_WAIT",
                "between two tries of a number for which Meta refuses everything (a token that is not valid, a block)",
            )
            .default("30s")
            .parse_with(|text| within(text, Duration::from_millis(100)));
        Some(Self {
            throughput: throughput?,
            business_initiated: business_initiated?,
            user_initiated: user_initiated?,
            pair: Pair { interval: interval?, burst: burst? },
            stopped_wait: stopped_wait?,
        })
    }
}

fn within(text: &str, least: Duration) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(3_600);
    let duration = parse_duration(text)?;
    if (least..=MOST).contains(&duration) {
        Ok(duration)
    } else {
        Err(format!("is not from {} ms to an hour", least.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_settings_and_of_the_code_are_the_same() {
        assert_eq!(Limits::read(&mut Env::from_pairs([] as [(&str, &str); 0])), Some(Limits::default()));
    }

    #[test]
    fn an_interval_of_nothing_is_no_limit_and_refused() {
        assert!(within("0", Duration::from_millis(1)).is_err());
        assert!(within("2h", Duration::from_millis(1)).is_err());
        assert_eq!(within("1ms", Duration::from_millis(1)), Ok(Duration::from_millis(1)));
    }
}
