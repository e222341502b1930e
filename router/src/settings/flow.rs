//! Bursts, takeovers, doubtful and undelivered messages of the route `default`; how much may wait and how long what is
//! finished is kept.

use std::time::Duration;

use service::settings::{Env, parse_duration};

use crate::{
    engine::{Bounds, Retention},
    routing::{Ambiguity, Debounce, Remedy, Undelivered},
};

/// See the module.
#[derive(Debug)]
pub struct FlowSettings {
    pub ambiguous: Ambiguity,
    pub debounce: Option<Debounce>,
    pub takeover_idle: Duration,
    pub undelivered: Option<Undelivered>,
    pub retention: Retention,
    pub bounds: Bounds,
    /// `None`: however long.
    pub silent_after: Option<Duration>,
    pub refused_after: Duration,
}

impl FlowSettings {
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        let ambiguous = env
            .var("SEND_AMBIGUOUS", "what is done with a send of which no answer and no status tells whether it went out: `repeat` (the person may have it twice) or `never-repeat` (it becomes a dead letter, the person may not have it)")
            .default("repeat")
            .parse_with(ambiguity);
        let quiet = env
            .var("DEBOUNCE_QUIET", "several messages with less than this between them go to the backend as one call; `0` gives each its own")
            .default("0")
            .duration();
        let max = env
            .var("DEBOUNCE_MAX", "the first of several messages waits no longer than this for the others")
            .default("10s")
            .duration();
        let takeover_idle = env
            .var("TAKEOVER_IDLE", "a conversation in which a person of the business wrote from the phone is left to them for this long; `0` does not leave it to them")
            .default("30m")
            .duration();
        let after = env
            .var("UNDELIVERED_AFTER", "a reply that Meta took and did not report as delivered after this is counted and dealt with; `0` does not look")
            .default("0")
            .duration();
        let action = env
            .var("UNDELIVERED_ACTION", "what is done then: `leave`, `alarm` (a line in the log as an error), or `template:<name>/<language>` (that template is sent)")
            .default("leave")
            .parse_with(remedy);
        let retention = read_retention(env);
        let bounds = read_bounds(env);
        let silent_after = env
            .var("CHANNEL_SILENT_AFTER", "a channel that has received nothing for longer, no message and no status, has the condition `Receiving` `False`; `0`: none has")
            .default("3d")
            .duration();
        let refused_after = env
            .var("CHANNEL_REFUSED_AFTER", "a channel whose webhooks are refused for this long because of their signature, three or more of them and none taken between, has the condition `Receiving` `False`")
            .default("5m")
            .duration();
        let (quiet, max, after, action) = (quiet?, max?, after?, action?);
        let silent_after = silent_after?;
        Some(Self {
            ambiguous: ambiguous?,
            debounce: (!quiet.is_zero()).then_some(Debounce { quiet, max: max.max(quiet) }),
            takeover_idle: takeover_idle?,
            undelivered: (!after.is_zero()).then_some(Undelivered { after, action }),
            retention: retention?,
            bounds: bounds?,
            silent_after: (!silent_after.is_zero()).then_some(silent_after),
            refused_after: refused_after?,
        })
    }
}

fn read_retention(env: &mut Env) -> Option<Retention> {
    let messages = env
        .var(
            "RETENTION_MESSAGES",
            "how long messages are kept; `forever` keeps them. What is unfinished or a dead letter stays",
        )
        .default("90d")
        .parse_with(kept);
    let webhooks = env
        .var("RETENTION_WEBHOOKS", "how long webhooks are kept as they came")
        .default("14d")
        .parse_with(kept);
    let events = env
        .var("RETENTION_EVENTS", "how long other changes and unreadable items are kept")
        .default("30d")
        .parse_with(kept);
    let dead_letters = env
        .var("RETENTION_DEAD_LETTERS", "how long dead letters are kept; then they count as discarded")
        .default("forever")
        .parse_with(kept);
    Some(Retention { messages: messages?, webhooks: webhooks?, events: events?, dead_letters: dead_letters? })
}

fn read_bounds(env: &mut Env) -> Option<Bounds> {
    let items = env
        .var("QUEUE_MAX_ITEMS", "messages that wait in each queue, at most: past it webhooks with messages are answered 503, and Meta sends them again")
        .default("1000000")
        .parse_with(at_least_one);
    let bytes = env
        .var("QUEUE_MAX_BYTES", "the same for the bytes of both queues")
        .default("1073741824")
        .parse_with(at_least_one);
    Some(Bounds { items: items?, bytes: bytes? })
}

fn at_least_one(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("is not a whole number above 0".to_owned()),
    }
}

fn ambiguity(text: &str) -> Result<Ambiguity, String> {
    match text {
        "repeat" => Ok(Ambiguity::Repeat),
        "never-repeat" => Ok(Ambiguity::NeverRepeat),
        _ => Err("is neither repeat nor never-repeat".to_owned()),
    }
}

fn remedy(text: &str) -> Result<Remedy, String> {
    match text {
        "leave" => return Ok(Remedy::Leave),
        "alarm" => return Ok(Remedy::Alarm),
        _ => {}
    }
    match text.strip_prefix("template:").and_then(|rest| rest.split_once('/')) {
        Some((name, language)) if !name.is_empty() && !language.is_empty() => {
            Ok(Remedy::Template { name: name.to_owned(), language: language.to_owned() })
        }
        _ => Err("is none of leave, alarm, template:<name>/<language>".to_owned()),
    }
}

/// `None` is for ever.
fn kept(text: &str) -> Result<Option<Duration>, String> {
    if text == "forever" {
        return Ok(None);
    }
    match parse_duration(text)? {
        Duration::ZERO => Err("would keep nothing at all; write a time, or forever".to_owned()),
        time => Ok(Some(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Option<FlowSettings> {
        FlowSettings::read(&mut Env::from_pairs(pairs.iter().copied()))
    }

    #[test]
    fn nothing_is_waited_for_or_watched_by_default() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.debounce, settings.undelivered), (None, None));
        assert_eq!(settings.ambiguous, Ambiguity::Repeat);
        assert_eq!(settings.retention.dead_letters, None);
    }

    #[test]
    fn words_are_read_and_mistakes_refused() {
        let settings = read(&[
            ("SEND_AMBIGUOUS", "never-repeat"),
            ("DEBOUNCE_QUIET", "20s"),
            ("UNDELIVERED_AFTER", "1m"),
            ("UNDELIVERED_ACTION", "template:hello/en_US"),
        ])
        .unwrap();
        assert_eq!(settings.ambiguous, Ambiguity::NeverRepeat);
        let twenty = Duration::from_secs(20);
        assert_eq!(settings.debounce, Some(Debounce { quiet: twenty, max: twenty }));
        let template = Remedy::Template { name: "hello".to_owned(), language: "en_US".to_owned() };
        assert_eq!(settings.undelivered.unwrap().action, template);
        for wrong in [
            ("SEND_AMBIGUOUS", "maybe"),
            ("UNDELIVERED_ACTION", "template:hello"),
            ("RETENTION_MESSAGES", "0"),
            ("QUEUE_MAX_ITEMS", "0"),
        ] {
            assert!(read(&[wrong]).is_none(), "{wrong:?}");
        }
    }
}
