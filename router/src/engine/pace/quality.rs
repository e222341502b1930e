//! What `phone_number_quality_update` webhooks say of a number's throughput (Meta, throughput).

use serde::Deserialize;

pub(super) const FIELD: &str = "phone_number_quality_update";

/// Messages a second after the upgrade.
const UPGRADED: u32 = 1_000;

/// A number, and what it may send in a second from now on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// Digits of the phone number itself: this change names no phone number id.
    pub(super) number: String,
    pub(super) throughput: u32,
}

/// Reads the change's value; `None` when it says nothing of throughput. `current_limit` does not: it is the number
/// of people per day.
pub(super) fn read(value: &str) -> Option<Announced> {
    #[derive(Deserialize)]
    struct Value {
        display_phone_number: String,
        event: String,
    }
    let value: Value = serde_json::from_str(value).ok()?;
    let is_upgrade = value.event.eq_ignore_ascii_case("THROUGHPUT_UPGRADE");
    let number = digits(&value.display_phone_number);
    (is_upgrade && !number.is_empty()).then_some(Announced { number, throughput: UPGRADED })
}

/// Meta writes the same number with and without `+`, spaces and dashes.
pub(super) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_upgrade_of_the_throughput_says_something() {
        let upgrade = r#"{"display_phone_number":"+1 555-078-3881","event":"THROUGHPUT_UPGRADE","current_limit":"TIER_UNLIMITED","x":1}"#;
        assert_eq!(read(upgrade), Some(Announced { number: "15550783881".to_owned(), throughput: 1_000 }));
        for value in [
            r#"{"display_phone_number":"15550783881","event":"UPGRADE","current_limit":"TIER_10K"}"#,
            r#"{"display_phone_number":"","event":"THROUGHPUT_UPGRADE"}"#,
            r#"{"event":"THROUGHPUT_UPGRADE"}"#,
            r#"{"display_phone_number":15550783881,"event":"FLAGGED"}"#,
            "null",
            "",
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
