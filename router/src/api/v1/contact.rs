//! The person at the other end: as the API shows them, and as a caller may write their number.

use poem_openapi::{Object, types::Example};

use crate::store::Contact;

/// Digits of a phone number with its country code (ITU-T E.164 has at most 15).
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// A person, as far as Meta told.
#[derive(Debug, Object)]
#[oai(rename = "Contact", example)]
pub(super) struct ContactItem {
    /// The name under which the conversation was opened: a WhatsApp id, or a business-scoped user id.
    id: String,
    /// The phone number in digits.
    wa_id: Option<String>,
    /// The business-scoped user id.
    user_id: Option<String>,
    username: Option<String>,
    /// The name in their profile.
    name: Option<String>,
}

impl From<Contact> for ContactItem {
    fn from(contact: Contact) -> Self {
        let Contact { key, wa_id, user_id, username, name } = contact;
        Self { id: key, wa_id, user_id, username, name }
    }
}

impl Example for ContactItem {
    fn example() -> Self {
        Self {
            id: "15550100001".to_owned(),
            wa_id: Some("15550100001".to_owned()),
            user_id: None,
            username: None,
            name: Some("Ada".to_owned()),
        }
    }
}

/// A phone number in digits, however people write it: `+1 (555) 010-0001`. The error says what is wrong with it.
pub(super) fn number(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let rest = text.strip_prefix('+').unwrap_or(text);
    let digits: String = rest.chars().filter(|char| !matches!(char, ' ' | '-' | '.' | '(' | ')')).collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a phone number; write its digits with the country code, such as +15550100001");
    }
    if digits.starts_with('0') {
        return Err("has no country code; write it such as +15550100001, without 0 or 00 in front");
    }
    if !NUMBER_DIGITS.contains(&digits.len()) {
        return Err("does not have 5 to 15 digits; write it with the country code, such as +15550100001");
    }
    Ok(digits)
}

/// An identifier to look for: a number in digits if it is one, else as it is.
pub(super) fn identifier(text: &str) -> String {
    number(text).unwrap_or_else(|_| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_may_be_written_as_people_do() {
        for text in ["15550100001", "+15550100001", "+1 (555) 010-0001", " +1.555.010.0001 ", "1 555 0100001"]
        {
            assert_eq!(number(text).as_deref(), Ok("15550100001"), "{text}");
        }
        for (text, words) in [
            ("", "is not a phone number"),
            ("+", "is not a phone number"),
            ("ada", "is not a phone number"),
            ("+1555x", "is not a phone number"),
            ("++15550100001", "is not a phone number"),
            ("٣٣١٢٣٤٥٦٧", "is not a phone number"),
            ("0049170123456", "country code"),
            ("0170123456", "country code"),
            ("1234", "5 to 15"),
            ("1234567890123456", "5 to 15"),
        ] {
            assert!(number(text).unwrap_err().contains(words), "{text}");
        }
    }

    #[test]
    fn whoever_is_looked_for_may_be_no_number() {
        assert_eq!(identifier(" 49 170 1234567"), "491701234567");
        assert_eq!(identifier("US.13491208655302741918"), "US.13491208655302741918");
    }
}
