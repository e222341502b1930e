//! One business account through which messages flow.

use std::sync::Arc;

use secrecy::SecretString;
use whatsapp::client::Number;

use crate::pacing::Limits;

/// See the module.
#[derive(Debug)]
pub struct Channel {
    pub name: Arc<str>,
    /// The number at Meta, with the credential that sends from it.
    pub number: Number,
    /// Any of them may have signed a webhook; empty only where unsigned webhooks were allowed expressly.
    pub app_secrets: Vec<SecretString>,
    pub verify_token: SecretString,
    pub limits: Limits,
}
