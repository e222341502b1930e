//! Who may call the API.

use secrecy::{ExposeSecret, SecretString};
use service::{secrets::list, settings::Env};

/// Long enough that nobody guesses it.
const LEAST: usize = 16;

/// The keys of the API; none: it answers nobody.
#[derive(Debug, Default)]
pub struct ApiSettings {
    pub keys: Vec<SecretString>,
}

impl ApiSettings {
    pub(super) fn read(env: &mut Env) -> Option<Self> {
        const NAME: &str = "ROUTER_API_KEYS";
        const HINT: &str = "write keys of at least 16 characters, without spaces inside, separated by commas, each from \
                            `openssl rand -hex 24`; what .env.example has is refused";
        let keys = env
            .var(NAME, "keys for `/api/v1`, `/monitoring` and `/rate-limit`, separated by commas; without one they answer 403")
            .secret()
            .hint(HINT)
            .parse_with(|text| api_keys(&text.into()));
        // A list that can't be read is a problem that was noted already.
        Some(Self { keys: keys.unwrap_or_default() })
    }
}

/// The keys in a secret, separated by commas or line breaks. The error says what is wrong and shows none of them.
pub fn api_keys(secret: &SecretString) -> Result<Vec<SecretString>, String> {
    let keys = list(secret);
    if keys.is_empty() {
        return Err("holds no key between its commas".to_owned());
    }
    for key in keys.iter().map(ExposeSecret::expose_secret) {
        if key.starts_with("change-me") {
            return Err("is still the example's value".to_owned());
        }
        if key.len() < LEAST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("has a key that is too short or has a character that no header can carry".to_owned());
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &'static str) -> Result<usize, String> {
        let mut env = Env::from_pairs([("ROUTER_API_KEYS", value)]);
        let settings = ApiSettings::read(&mut env);
        env.finish_with(settings).map(|settings| settings.keys.len()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn keys_are_long_and_nobody_elses() {
        for (value, count) in [
            ("", 0),
            ("0123456789abcdef", 1),
            (" 0123456789abcdef , fedcba9876543210,", 2),
            ("0123456789abcdef\nfedcba9876543210", 2),
        ] {
            assert_eq!(read(value), Ok(count), "{value}");
        }
        for value in
            [",", "0123456789abcde", "0123456789abcdef,short", "0123456789 abcdef", "change-me-api-key-1"]
        {
            let error = read(value).unwrap_err();
            assert!(error.contains("ROUTER_API_KEYS") && !error.contains("0123"), "{error}");
        }
    }
}
