//! `X-Hub-Signature-256`: proof that a webhook's bytes come from Meta. Always over the bytes as received:
//! parsing and writing them again changes Meta's escapes and with them the signature.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The header's name.
pub const HEADER: &str = "X-Hub-Signature-256";

const SCHEME: &str = "sha256=";
const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the header X-Hub-Signature-256 is missing: sign the body with the app secret")]
    Missing,
    #[error("the header X-Hub-Signature-256 is malformed: it must be sha256= and 64 hexadecimal digits")]
    Malformed,
    #[error(
        "the signature matches no app secret: check that the app secret is the one of the app that sends"
    )]
    Mismatch,
}

impl SignatureError {
    /// A bounded label for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Mismatch => "mismatch",
        }
    }
}

/// The header's value for `body`: `sha256=` and 64 lowercase hexadecimal digits.
pub fn sign(secret: &SecretString, body: &[u8]) -> String {
    let digest = mac(secret, body).finalize().into_bytes();
    let mut header = String::with_capacity(SCHEME.len() + 2 * digest.len());
    header.push_str(SCHEME);
    for byte in digest {
        header.push(char::from(HEX_DIGITS[usize::from(byte >> 4)]));
        header.push(char::from(HEX_DIGITS[usize::from(byte & 15)]));
    }
    header
}

/// The index of the secret that signed `body`.
///
/// Takes the same time whichever secret matched, so that nothing is learnt of a rotation. An empty secret
/// matches nothing: anyone can sign with it.
pub fn verify(secrets: &[SecretString], body: &[u8], header: Option<&str>) -> Result<usize, SignatureError> {
    let claimed = decode(header.ok_or(SignatureError::Missing)?).ok_or(SignatureError::Malformed)?;
    let mut matched = None;
    for (index, secret) in secrets.iter().enumerate() {
        let digest = mac(secret, body).finalize().into_bytes();
        let equal = bool::from(digest.ct_eq(&claimed[..]));
        if equal && matched.is_none() && !secret.expose_secret().is_empty() {
            matched = Some(index);
        }
    }
    matched.ok_or(SignatureError::Mismatch)
}

/// Whether two secrets are equal, in a time that tells neither where they differ nor how long they are.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    // Of equal length by construction, whatever the lengths of the secrets.
    Sha256::digest(a).ct_eq(&Sha256::digest(b)).into()
}

fn mac(secret: &SecretString, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(body);
    mac
}

fn decode(header: &str) -> Option<[u8; 32]> {
    let digits = header.trim().strip_prefix(SCHEME)?.as_bytes();
    let mut digest = [0; 32];
    if digits.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
