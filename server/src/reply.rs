//! What the server answers. Replace this with your business.

use std::{fmt, ops::RangeInclusive};

/// The numbers that a reply may hold.
pub const NUMBERS: RangeInclusive<u16> = 1000..=9999;

/// The reply to a text, as something that is written straight into the answer.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'t> {
    text: &'t str,
    number: u16,
}

/// The reply to this text with this number.
pub fn reply(text: &str, number: u16) -> Reply<'_> {
    Reply { text, number }
}

impl fmt::Display for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, number } = self;
        write!(f, "I received your message: '{text}' and here is a random number: {number}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_reply_quotes_the_text_and_names_the_number() {
        assert_eq!(
            reply("hello", 4711).to_string(),
            "I received your message: 'hello' and here is a random number: 4711"
        );
        assert_eq!(
            reply("", 1000).to_string(),
            "I received your message: '' and here is a random number: 1000"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_quoted_exactly_once_and_unchanged(text in any::<String>(), number in NUMBERS) {
            let reply = reply(&text, number).to_string();
            let quoted = reply
                .strip_prefix("I received your message: '")
                .and_then(|rest| rest.strip_suffix(&format!("' and here is a random number: {number}")));
            prop_assert_eq!(quoted, Some(text.as_str()));
        }
    }
}
