//! A number that sends, checked once, so that a slip in its configuration shows at the start and not with every
//! message.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// Why nothing can be sent from a number. Never holds the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    #[error("the phone number id has more than digits in it: copy it from WhatsApp > API Setup")]
    PhoneNumberId,
    #[error("the API version is none of Graph's: write it like v25.0")]
    ApiVersion,
    #[error(
        "the access token is empty or has a space, a line break or another character that no token has: copy it again"
    )]
    AccessToken,
}

/// A number that sends, with its credential. Cheap to use for every send, and to clone. Equal when all of it is, the
/// credential too.
#[derive(Clone, PartialEq, Eq)]
pub struct Number {
    phone_number_id: String,
    /// Below the base address.
    messages_path: String,
    authorization: HeaderValue,
}

impl Number {
    /// `phone_number_id` in digits, `api_version` like `v25.0`.
    pub fn new(
        phone_number_id: &str,
        api_version: &str,
        access_token: &SecretString,
    ) -> Result<Self, InvalidNumber> {
        if !is_digits(phone_number_id) {
            return Err(InvalidNumber::PhoneNumberId);
        }
        if !is_version(api_version) {
            return Err(InvalidNumber::ApiVersion);
        }
        Ok(Self {
            phone_number_id: phone_number_id.to_owned(),
            messages_path: format!("{api_version}/{phone_number_id}/messages"),
            authorization: bearer(access_token.expose_secret()).ok_or(InvalidNumber::AccessToken)?,
        })
    }

    pub fn phone_number_id(&self) -> &str {
        &self.phone_number_id
    }

    pub(super) fn messages_path(&self) -> &str {
        &self.messages_path
    }

    pub(super) fn authorization(&self) -> &HeaderValue {
        &self.authorization
    }
}

impl std::fmt::Debug for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Number").field("phone_number_id", &self.phone_number_id).finish_non_exhaustive()
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_version(text: &str) -> bool {
    let numbers = text.strip_prefix('v').and_then(|version| version.split_once('.'));
    numbers.is_some_and(|(major, minor)| is_digits(major) && is_digits(minor))
}

fn bearer(token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}
