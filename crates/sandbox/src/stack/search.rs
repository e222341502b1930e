//! What people wrote, who they are, and the credentials: none of it may be in a line that a service writes. Every test that
//! runs the stack with this on is a search for it, whatever else it is about.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;
use serde_json::Value;

use crate::simulator::Simulator;

/// Shorter ones may be anywhere by chance, `hello` in a path, say.
const TELLING: usize = 8;

/// Fields of webhooks and sends whose strings are about a person, at whatever depth.
const PERSONAL: [&str; 8] = ["from", "wa_id", "recipient_id", "to", "body", "name", "caption", "user_id"];

/// The lines that hold something that they must not, each with what it is and without the value.
pub(super) fn leaks(simulator: &Simulator, lines: &str) -> Vec<String> {
    let forbidden = forbidden(simulator);
    lines
        .lines()
        .filter_map(|line| {
            let (what, value) = forbidden.iter().find(|(_, value)| line.contains(value.as_str()))?;
            Some(format!("{what} in: {}", line.replace(value.as_str(), "***")))
        })
        .collect()
}

fn forbidden(simulator: &Simulator) -> BTreeSet<(&'static str, String)> {
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
    simulator.messages().iter().for_each(|message| collect(&message.raw, &mut personal));
    for contact in simulator.contacts() {
        personal.extend([("wa_id", contact.wa_id), ("name", contact.name)]);
        personal.extend(contact.messages.into_iter().map(|message| ("body", message.text)));
    }
    let telling = personal.into_iter().map(|(what, value)| (what, value.trim_start_matches('+').to_owned()));
    found.extend(telling.filter(|(_, value)| value.len() >= TELLING));
    found
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
    async fn what_people_write_and_credentials_are_found_in_lines() {
        let options =
            SimulatorOptions { access_token: SecretString::from("EAAtoken"), ..SimulatorOptions::default() };
        let simulator = Simulator::start(options).await.unwrap();
        simulator.say("12025550143", "my dog is called Rex").unwrap();
        for (line, what) in [
            ("sent to 12025550143", Some("wa_id in: sent to ***")),
            ("payload my dog is called Rex!", Some("body in: payload ***!")),
            ("authorization: Bearer EAAtoken", Some("the access token in: authorization: Bearer ***")),
            ("a message was received", None),
        ] {
            let found = leaks(&simulator, &format!("starting\n{line}\n"));
            match what {
                None => assert!(found.is_empty(), "{found:?}"),
                // A number goes by several names.
                Some(what) => {
                    let rest = what.split_once(" in: ").unwrap().1;
                    assert!(found.len() == 1 && found[0].ends_with(rest), "{found:?}");
                }
            }
        }
    }
}
