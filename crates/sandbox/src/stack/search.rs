//! What people wrote, who they are, and the credentials: none of it may be in what a service tells of itself. Every test
//! that runs the stack with this on is a search for it, whatever else it is about.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, Match};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::simulator::Simulator;

/// Shorter ones may be anywhere by chance, `hello` in a path, say.
const TELLING: usize = 8;
/// So much is shown of what stands around a find, on each side.
const AROUND: usize = 60;

/// Fields of webhooks and sends whose strings are about a person, at whatever depth.
const PERSONAL: [&str; 8] = ["from", "wa_id", "recipient_id", "to", "body", "name", "caption", "user_id"];

/// What must not be found.
#[derive(Debug)]
pub(super) struct Forbidden {
    /// Each with what it is.
    values: Vec<(&'static str, String)>,
    /// Of all values at once: there may be tens of thousands.
    search: AhoCorasick,
}

impl Forbidden {
    /// All that went in and out, and what the credentials are.
    pub(super) fn of(simulator: &Simulator) -> Self {
        let mut found = BTreeSet::new();
        let options = simulator.options();
        for (what, secret) in [
            ("the access token", &options.access_token),
            ("the app secret", &options.app_secret),
            ("the verify token", &options.verify_token),
        ] {
            found.insert((what, secret.expose_secret().to_owned()));
        }
        let mut personal = Vec::new();
        simulator.webhooks().iter().for_each(|webhook| collect(&webhook.body, &mut personal));
        for body in simulator.injected() {
            // One that is no JSON is nobody's message; its text is what somebody may have written all the same.
            match serde_json::from_slice(&body) {
                Ok(body) => collect(&body, &mut personal),
                Err(_) => personal.push(("body", String::from_utf8_lossy(&body).into_owned())),
            }
        }
        simulator.messages().iter().for_each(|message| collect(&message.raw, &mut personal));
        for contact in simulator.contacts() {
            personal.extend([("wa_id", contact.wa_id), ("name", contact.name)]);
            personal.extend(contact.messages.into_iter().map(|message| ("body", message.text)));
        }
        let telling =
            personal.into_iter().map(|(what, value)| (what, value.trim_start_matches('+').to_owned()));
        found.extend(telling.filter(|(_, value)| value.len() >= TELLING));
        let values: Vec<_> = found.into_iter().collect();
        let search = AhoCorasick::new(values.iter().map(|(_, value)| value))
            .unwrap_or_else(|error| panic!("what must not be found can't be searched: {error}"));
        Self { values, search }
    }

    /// What of it stands in the text: the place, what it is and what is around it, without the value itself. Each value
    /// is told once for a place.
    pub(super) fn found_in(&self, place: &str, text: &str) -> Vec<String> {
        let mut told = BTreeSet::new();
        let found = self.search.find_iter(text).filter(|it| told.insert(it.pattern()));
        let line = |it: Match| {
            let (what, value) = &self.values[it.pattern()];
            let shown = around(text, it.start(), it.end()).replace(value.as_str(), "***");
            format!("{place}: {what} in: {shown}")
        };
        found.map(line).collect()
    }
}

/// Readable, whatever it is cut out of.
fn around(text: &str, start: usize, end: usize) -> String {
    let begin = text.floor_char_boundary(start.saturating_sub(AROUND));
    let end = text.ceil_char_boundary(end + AROUND);
    let readable = |c: char| if c.is_control() || c == char::REPLACEMENT_CHARACTER { ' ' } else { c };
    text[begin..end].chars().map(readable).collect()
}

fn collect(value: &Value, into: &mut Vec<(&'static str, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (PERSONAL.iter().find(|personal| *personal == name), value) {
                    (Some(what), Value::String(text)) => into.push((what, text.clone())),
                    _ => collect(value, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::simulator::SimulatorOptions;

    #[tokio::test]
    async fn what_people_write_and_credentials_are_found_in_text_and_between_bytes() {
        let options =
            SimulatorOptions { access_token: SecretString::from("EAAtoken"), ..SimulatorOptions::default() };
        let simulator = Simulator::start(options).await.unwrap();
        simulator.say("12025550143", "my dog is called Rex").unwrap();
        let forbidden = Forbidden::of(&simulator);
        for (text, rest) in [
            ("starting\nsent to 12025550143\n", Some("in: starting sent to *** ")),
            ("payload my dog is called Rex!", Some("body in: payload ***!")),
            ("authorization: Bearer EAAtoken", Some("the access token in: authorization: Bearer ***")),
            ("\u{fffd}\n\u{b}12025550143\u{12}\u{4}", Some("in:    ***  ")),
            ("a message was received", None),
        ] {
            let found = forbidden.found_in("a log", text);
            match rest {
                None => assert!(found.is_empty(), "{found:?}"),
                // A number goes by several names.
                Some(rest) => {
                    assert!(!found.is_empty());
                    for line in found {
                        assert!(line.starts_with("a log: ") && line.ends_with(rest), "{line:?}");
                    }
                }
            }
        }
    }
}
