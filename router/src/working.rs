//! Whether a channel works, as two conditions beside those of its configuration. Their words change only with what they
//! say: what differs at every look would be written to Kubernetes at every look.

use jiff::Timestamp;

use crate::{
    config::compiled::Status,
    engine::{ChannelHealth, Receiving},
    store::Micros,
};

/// Meta's reason for a token that it does not take (crate `whatsapp`, table of errors).
const TOKEN_INVALID: &str = "token_invalid";

/// All webhooks are refused because of their signature.
pub const SIGNATURE_REFUSED: &str = "SignatureRefused";

/// A reason, and what it means.
type Reasons = &'static [(&'static str, &'static str)];

/// For the reference of the objects: each condition, what it asks, and its reasons with what they mean.
pub const REFERENCE: [(&str, &str, Reasons); 2] = [
    (
        "Sending",
        "Does Meta take what the channel sends?",
        &[
            ("Sending", "nothing else is known"),
            ("TokenRefused", "no: the access token is not valid (any more)"),
            ("Refused", "no: it refuses everything, for the reason in the message"),
        ],
    ),
    (
        "Receiving",
        "Do webhooks for it come in: messages, statuses and other news?",
        &[
            ("Receiving", "they do"),
            (
                SIGNATURE_REFUSED,
                "they come, and for `CHANNEL_REFUSED_AFTER` each was refused because of its signature: the app secret is wrong",
            ),
            ("Silent", "there was no message, nor anything else, for `CHANNEL_SILENT_AFTER`"),
            (
                "NothingYet",
                "unknown: there was none since the router began, and no message before, as far as it looked back",
            ),
        ],
    ),
];

/// One answer. The words of `kind` and `reason` are promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    /// `Sending` or `Receiving`.
    pub kind: &'static str,
    pub status: Status,
    pub reason: &'static str,
    /// For people; never a secret.
    pub message: String,
}

/// First whether Meta takes what the channel sends, then whether messages come in.
pub fn conditions(health: &ChannelHealth) -> [Working; 2] {
    [sending(health), receiving(health.receiving)]
}

fn sending(health: &ChannelHealth) -> Working {
    let say = |status, reason, message| Working { kind: "Sending", status, reason, message };
    let Some(stopped) = &health.stopped else {
        return say(Status::True, "Sending", "Meta does not refuse it".to_owned());
    };
    let since = written(stopped.since);
    if stopped.reason == TOKEN_INVALID {
        let message = format!("Meta refuses the access token since {since}: write a new one into its secret");
        return say(Status::False, "TokenRefused", message);
    }
    let message = format!(
        "Meta refuses everything that it sends since {since} ({}): look at the number in WhatsApp Manager",
        stopped.reason
    );
    say(Status::False, "Refused", message)
}

fn receiving(receiving: Receiving) -> Working {
    let say = |status, reason, message| Working { kind: "Receiving", status, reason, message };
    match receiving {
        Receiving::Yes => say(Status::True, "Receiving", "webhooks come in".to_owned()),
        Receiving::NothingYet => say(Status::Unknown, "NothingYet", "no webhook is known yet".to_owned()),
        Receiving::Refused { since } => {
            let message = format!(
                "every webhook for it is refused since {} because of its signature: write the app's secret as Meta has it now into its secret",
                written(since)
            );
            say(Status::False, SIGNATURE_REFUSED, message)
        }
        Receiving::Silent { since } => {
            let message = format!(
                "nothing came in since {}: check that webhooks reach the router and that the app is subscribed to the account",
                written(since)
            );
            say(Status::False, "Silent", message)
        }
    }
}

/// To the second.
fn written(at: Micros) -> String {
    Timestamp::from_second(at.div_euclid(1_000_000)).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::StoppedView;

    #[test]
    fn the_reference_has_every_word_that_is_said() {
        let stopped = |reason: &str| {
            Some(StoppedView { since: 0, probe_at: 0, reason: reason.to_owned(), error: String::new() })
        };
        let all = [None, stopped("token_invalid"), stopped("account_locked"), None];
        let receiving = [
            Receiving::Yes,
            Receiving::Silent { since: 0 },
            Receiving::NothingYet,
            Receiving::Refused { since: 0 },
        ];
        for (stopped, receiving) in all.into_iter().zip(receiving) {
            let said = conditions(&ChannelHealth { channel: "a".into(), stopped, receiving });
            for (said, (kind, _, reasons)) in said.iter().zip(REFERENCE) {
                assert_eq!(said.kind, kind);
                assert!(reasons.iter().any(|(reason, _)| *reason == said.reason), "{said:?}");
            }
        }
    }

    #[test]
    fn a_refused_token_and_silence_are_said_with_what_to_do() {
        let stopped = |reason: &str| {
            Some(StoppedView {
                since: 1_500_000,
                probe_at: 0,
                reason: reason.to_owned(),
                error: String::new(),
            })
        };
        for (stopped, receiving, statuses, reasons) in [
            (None, Receiving::Yes, [Status::True, Status::True], ["Sending", "Receiving"]),
            (None, Receiving::NothingYet, [Status::True, Status::Unknown], ["Sending", "NothingYet"]),
            (
                stopped("token_invalid"),
                Receiving::Silent { since: 0 },
                [Status::False, Status::False],
                ["TokenRefused", "Silent"],
            ),
            (
                stopped("account_locked"),
                Receiving::Yes,
                [Status::False, Status::True],
                ["Refused", "Receiving"],
            ),
            (
                None,
                Receiving::Refused { since: 0 },
                [Status::True, Status::False],
                ["Sending", "SignatureRefused"],
            ),
        ] {
            let found = conditions(&ChannelHealth { channel: "a".into(), stopped, receiving });
            assert_eq!(found.each_ref().map(|it| it.status), statuses);
            assert_eq!(found.each_ref().map(|it| it.reason), reasons);
        }
        let health = ChannelHealth {
            channel: "a".into(),
            stopped: stopped("account_locked"),
            receiving: Receiving::Silent { since: 86_400_000_000 },
        };
        let [sending, receiving] = conditions(&health);
        assert!(sending.message.contains("since 1970-01-01T00:00:01Z (account_locked)"), "{sending:?}");
        assert!(receiving.message.contains("since 1970-01-02T00:00:00Z"), "{receiving:?}");
    }
}
