//! What Meta and the router know each other by. It changes while both run: tokens are revoked, app secrets are reset.

use std::sync::{Arc, PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{
    http::{self, Reply},
    options::SimulatorOptions,
};

/// What is left out stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCredentials {
    /// The only one that Graph calls may carry from now on; all others are revoked.
    #[serde(default, deserialize_with = "secret")]
    pub access_token: Option<SecretString>,
    /// Signs webhooks from now on.
    #[serde(default, deserialize_with = "secret")]
    pub app_secret: Option<SecretString>,
    /// For the next handshake.
    #[serde(default, deserialize_with = "secret")]
    pub verify_token: Option<SecretString>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    String::deserialize(deserializer).map(|text| Some(text.into()))
}

/// Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    current: Arc<RwLock<Current>>,
}

#[derive(Debug)]
struct Current {
    access_token: SecretString,
    app_secret: SecretString,
    verify_token: SecretString,
}

impl Credentials {
    pub(crate) fn new(options: &SimulatorOptions) -> Self {
        let current = Current {
            access_token: options.access_token.clone(),
            app_secret: options.app_secret.clone(),
            verify_token: options.verify_token.clone(),
        };
        Self { current: Arc::new(RwLock::new(current)) }
    }

    fn look<T>(&self, at: impl FnOnce(&Current) -> T) -> T {
        at(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether Graph takes a call with this token.
    pub(crate) fn allow(&self, token: Option<&str>) -> bool {
        self.look(|current| token == Some(current.access_token.expose_secret()))
    }

    /// The value of `X-Hub-Signature-256` for exactly these bytes.
    pub(crate) fn sign(&self, body: &[u8]) -> String {
        self.look(|current| whatsapp::signature::sign(&current.app_secret, body))
    }

    pub(crate) fn verify_token(&self) -> SecretString {
        self.look(|current| current.verify_token.clone())
    }

    pub(crate) fn replace(&self, new: NewCredentials) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let current = &mut *current;
        for (place, new) in [
            (&mut current.access_token, new.access_token),
            (&mut current.app_secret, new.app_secret),
            (&mut current.verify_token, new.verify_token),
        ] {
            if let Some(new) = new {
                *place = new;
            }
        }
    }

    /// `PUT /credentials`.
    pub(crate) fn put(&self, body: &[u8]) -> Reply {
        match http::parse::<NewCredentials>(body) {
            Ok(new) => {
                let names = [
                    ("access_token", new.access_token.is_some()),
                    ("app_secret", new.app_secret.is_some()),
                    ("verify_token", new.verify_token.is_some()),
                ];
                self.replace(new);
                let changed: Vec<_> =
                    names.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect();
                http::ok(&json!({"changed": changed}))
            }
            Err(refusal) => *refusal,
        }
    }
}
