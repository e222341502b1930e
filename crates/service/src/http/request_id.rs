//! The name of a request, by which a person finds its line in the log.

use std::fmt;

use poem::http::HeaderValue;
use uuid::Uuid;

/// The header that carries it, in both directions.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

const MAX_LENGTH: usize = 128;

/// 1 to 128 characters of `[A-Za-z0-9._-]`. Cheap to clone when it came in with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// A new one: a UUIDv7, which sorts by time.
    pub fn generate() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text = Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).expect("a UUID is hexadecimal digits and hyphens"))
    }

    /// The one that came in, if it is harmless, else a new one.
    pub fn accept_or_generate(inbound: Option<&HeaderValue>) -> Self {
        match inbound {
            Some(value) if is_identifier(value.as_bytes()) => Self(value.clone()),
            _ => Self::generate(),
        }
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// As the value of a header.
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// True for what may be logged and sent back although a stranger wrote it.
pub fn is_identifier(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_LENGTH).contains(&text.len()) && text.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_identifiers_are_taken_over() {
        let longest = "a".repeat(128);
        let too_long = "a".repeat(129);
        for (text, taken) in [
            ("a", true),
            ("Abc-1.2_3", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("a/b", false),
        ] {
            let header = HeaderValue::from_str(text).unwrap();
            assert_eq!(RequestId::accept_or_generate(Some(&header)).as_str() == text, taken, "{text}");
        }
    }

    #[test]
    fn a_new_one_is_a_uuid_of_version_7() {
        let id = Uuid::parse_str(RequestId::accept_or_generate(None).as_str()).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}
