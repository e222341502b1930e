//! Signatures of calls between services, as the Standard Webhooks specification has them (standardwebhooks.com), so
//! that the receiver can take a library of it in any language.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The headers' names.
pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// What secrets may begin with.
const PREFIX: &str = "whsec_";
const SCHEME: &str = "v1,";
/// Of a key, as the specification recommends it.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// Of the timestamp from the present, either way, in seconds.
const TOLERANCE: i64 = 300;

/// Why a secret can't sign. Never holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    #[error("is no signing secret: make one with `echo whsec_$(openssl rand -base64 32)`")]
    NotBase64,
    #[error(
        "stands for {0} bytes, but a signing secret has 24 to 64: make one with `echo whsec_$(openssl rand -base64 32)`"
    )]
    Length(usize),
}

/// Why a call was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the headers webhook-id, webhook-timestamp and webhook-signature are all needed: sign the call")]
    Missing,
    #[error("webhook-timestamp is more than five minutes from the present: check both clocks")]
    Stale,
    #[error("no signature in webhook-signature matches: check that both sides have the same secret")]
    Mismatch,
}

/// Signs and verifies. Cheap to clone. Holds several keys while a secret is being replaced: calls are signed with
/// each, and any of them is good enough.
#[derive(Clone)]
pub struct Signer(std::sync::Arc<[SecretBox<[u8]>]>);

impl Signer {
    /// At least one secret: `whsec_` and base64, or base64 alone.
    pub fn new(secrets: &[SecretString]) -> Result<Self, InvalidSecret> {
        let keys: Vec<_> = secrets.iter().map(key).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(InvalidSecret::NotBase64) } else { Ok(Self(keys.into())) }
    }

    /// The value of `webhook-signature`. `timestamp` in Unix seconds.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut header = String::new();
        for key in self.0.iter() {
            if !header.is_empty() {
                header.push(' ');
            }
            header.push_str(SCHEME);
            STANDARD.encode_string(digest(key, id, timestamp, body), &mut header);
        }
        header
    }

    /// `now` in Unix seconds.
    pub fn verify(
        &self,
        id: Option<&str>,
        timestamp: Option<&str>,
        signature: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<(), Refused> {
        let (Some(id), Some(timestamp), Some(signature)) = (id, timestamp, signature) else {
            return Err(Refused::Missing);
        };
        let at: i64 = timestamp.parse().map_err(|_| Refused::Missing)?;
        if now.abs_diff(at) > TOLERANCE.unsigned_abs() {
            return Err(Refused::Stale);
        }
        let claimed =
            signature.split(' ').filter_map(|part| STANDARD.decode(part.strip_prefix(SCHEME)?).ok());
        let mut matched = false;
        for claimed in claimed {
            for key in self.0.iter() {
                matched |= bool::from(digest(key, id, at, body).ct_eq(&claimed));
            }
        }
        if matched { Ok(()) } else { Err(Refused::Mismatch) }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("keys", &self.0.len()).finish()
    }
}

fn key(secret: &SecretString) -> Result<SecretBox<[u8]>, InvalidSecret> {
    let text = secret.expose_secret().trim();
    let key =
        STANDARD.decode(text.strip_prefix(PREFIX).unwrap_or(text)).map_err(|_| InvalidSecret::NotBase64)?;
    if !LENGTHS.contains(&key.len()) {
        return Err(InvalidSecret::Length(key.len()));
    }
    Ok(SecretBox::new(key.into_boxed_slice()))
}

fn digest(key: &SecretBox<[u8]>, id: &str, timestamp: i64, body: &[u8]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose_secret()).expect("HMAC takes a key of any length");
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn signer(secrets: &[&str]) -> Result<Signer, InvalidSecret> {
        Signer::new(&secrets.iter().map(|secret| SecretString::from(*secret)).collect::<Vec<_>>())
    }

    /// The example of the specification's own libraries.
    #[test]
    fn signs_like_the_libraries_of_the_specification() {
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let signer = signer(&[SECRET]).unwrap();
        assert_eq!(signer.sign(id, 1_614_265_330, body), signature);
        let verify = |id, at, signature, now| signer.verify(id, at, signature, body, now);
        let several = format!("v1,AAAA v2,x {signature}");
        let (id, at) = (Some(id), Some("1614265330"));
        assert_eq!(verify(id, at, Some(signature), 1_614_265_330 + 300), Ok(()));
        assert_eq!(verify(id, at, Some(several.as_str()), 1_614_265_330), Ok(()));
        for (id, at, signature, now, why) in [
            (None, at, Some(signature), 1_614_265_330, Refused::Missing),
            (id, None, Some(signature), 1_614_265_330, Refused::Missing),
            (id, at, None, 1_614_265_330, Refused::Missing),
            (id, Some("soon"), Some(signature), 1_614_265_330, Refused::Missing),
            (id, at, Some(signature), 1_614_265_330 + 301, Refused::Stale),
            (id, at, Some(signature), 1_614_265_330 - 301, Refused::Stale),
            (Some("msg_other"), at, Some(signature), 1_614_265_330, Refused::Mismatch),
            (id, Some("1614265331"), Some(signature), 1_614_265_330, Refused::Mismatch),
            (id, at, Some("v1,"), 1_614_265_330, Refused::Mismatch),
            (id, at, Some(""), 1_614_265_330, Refused::Mismatch),
        ] {
            assert_eq!(verify(id, at, signature, now), Err(why), "{id:?} {at:?} {signature:?} {now}");
        }
    }

    #[test]
    fn while_a_secret_is_replaced_both_are_good() {
        let other = "dGhlIG90aGVyIHNlY3JldCBvZiB0aGlzIHRlc3Q=";
        let both = signer(&[SECRET, other]).unwrap().sign("1", 5, b"{}");
        for secret in [SECRET, other] {
            assert_eq!(
                signer(&[secret]).unwrap().verify(Some("1"), Some("5"), Some(&both), b"{}", 5),
                Ok(())
            );
        }
    }

    #[test]
    fn what_can_not_sign_is_refused_and_never_shown() {
        for (secrets, why) in [
            (&[][..], InvalidSecret::NotBase64),
            (&["hunter2!"][..], InvalidSecret::NotBase64),
            (&["whsec_"][..], InvalidSecret::Length(0)),
            (&["aHVudGVyMg=="][..], InvalidSecret::Length(7)),
        ] {
            assert_eq!(signer(secrets).unwrap_err(), why);
        }
        assert_eq!(format!("{:?}", signer(&[SECRET]).unwrap()), "Signer { keys: 1 }");
    }
}
