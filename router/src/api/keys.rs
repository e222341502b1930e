//! The keys of the API: kept as hashes only, and compared so that the time tells nothing about them.

use poem::http::{HeaderMap, header::AUTHORIZATION};
use secrecy::{ExposeSecret, SecretString};
use service::http::Problem;
use sha2::{Digest, Sha256};
use whatsapp::signature::constant_time_eq;

/// Where a key may stand instead of `Authorization`.
pub(super) const KEY_HEADER: &str = "X-API-Key";

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Keys(Vec<Hashed>);

/// SHA-256 of a key: names who calls, and tells nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Hashed([u8; 32]);

impl std::fmt::Debug for Hashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hashed")
    }
}

impl Hashed {
    fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    pub(super) fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Keys {
    pub(super) fn new(keys: &[SecretString]) -> Self {
        Self(keys.iter().map(|key| Hashed::of(key.expose_secret().as_bytes())).collect())
    }

    /// Who calls. One right key is enough; the rest may be somebody else's.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Hashed, Problem> {
        if self.0.is_empty() {
            let detail = "the API answers nobody because no key is configured; write one into the file ROUTER_API_KEYS in \
                 SECRETS_DIR, or set the variable ROUTER_API_KEYS and start again";
            return Err(Problem::forbidden(detail).with_code("no_api_keys"));
        }
        let given = [bearer(headers), headers.get(KEY_HEADER).map(|key| key.as_bytes())];
        let mut known = None;
        for given in given.into_iter().flatten().map(Hashed::of) {
            // Every key is compared, so that the time does not tell which one it was.
            for key in &self.0 {
                if constant_time_eq(&key.0, &given.0) {
                    known = Some(given);
                }
            }
        }
        known.ok_or_else(|| {
            Problem::unauthorized(match given {
                [None, None] => "a key is needed: send `Authorization: Bearer KEY` or `X-API-Key: KEY`",
                _ => "this key is none of those in ROUTER_API_KEYS",
            })
        })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str], headers: &[(&'static str, &str)]) -> Result<Hashed, (u16, &'static str)> {
        let keys: Vec<_> = keys.iter().map(|key| SecretString::from(*key)).collect();
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Keys::new(&keys).check(&headers).map_err(|problem| (problem.status().as_u16(), problem.code()))
    }

    #[test]
    fn one_right_key_in_either_header_is_enough() {
        let keys = ["first-key-of-sixteen", "second-key-of-sixteen"];
        for headers in [
            &[("authorization", "Bearer first-key-of-sixteen")][..],
            &[("authorization", "bearer  second-key-of-sixteen ")],
            &[("x-api-key", "second-key-of-sixteen")],
            &[("authorization", "Basic Zm9v"), ("x-api-key", "first-key-of-sixteen")],
            &[("authorization", "Bearer another-one"), ("x-api-key", "first-key-of-sixteen")],
        ] {
            assert!(check(&keys, headers).is_ok(), "{headers:?}");
        }
        for headers in [
            &[][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "first-key-of-sixteen")],
            &[("authorization", "Bearer first-key-of-sixtee")],
            &[("authorization", "Bearer first-key-of-sixteen,second-key-of-sixteen")],
            &[("authorization", "Basic first-key-of-sixteen")],
            &[("x-api-key", "Bearer first-key-of-sixteen")],
            &[("x-api-key", "FIRST-KEY-OF-SIXTEEN")],
        ] {
            assert_eq!(check(&keys, headers), Err((401, "unauthorized")), "{headers:?}");
        }
    }

    #[test]
    fn without_keys_nobody_is_let_in() {
        for headers in [&[][..], &[("x-api-key", "")], &[("authorization", "Bearer anything-at-all")]] {
            assert_eq!(check(&[], headers), Err((403, "no_api_keys")), "{headers:?}");
        }
    }

    #[test]
    fn callers_are_told_apart_by_their_key_and_nothing_shows_it() {
        let keys = ["first-key-of-sixteen", "second-key-of-sixteen"];
        let [one, two] = keys.map(|key| check(&keys, &[("x-api-key", key)]).unwrap());
        assert_ne!(one, two);
        assert!(!format!("{one:?}").contains(char::is_numeric));
    }
}
