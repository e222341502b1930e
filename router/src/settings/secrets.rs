//! How the router's secrets are called outside of configuration objects.

use service::secrets::{Alias, SecretNames};

/// The channel that the environment makes, and what its secrets are named after.
const DEFAULT: &str = "default";

/// Each is a file `<name>/<key>`, a file with the variable's name, or a variable.
pub const ACCESS_TOKEN: Alias =
    Alias { name: DEFAULT, key: "access-token", variables: &["WHATSAPP_ACCESS_TOKEN"] };
pub const VERIFY_TOKEN: Alias = Alias {
    name: DEFAULT,
    key: "verify-token",
    variables: &["WHATSAPP_WEBHOOK_VERIFY_TOKEN", "WHATSAPP_VERIFY_TOKEN"],
};
/// Several, separated by commas; see [`service::secrets::list`].
pub const APP_SECRET: Alias = Alias {
    name: DEFAULT,
    key: "app-secret",
    variables: &["WHATSAPP_WEBHOOK_SECRET", "WHATSAPP_APP_SECRET"],
};
/// Several, separated by commas.
pub const API_KEYS: Alias = Alias { name: "router", key: "api-keys", variables: &["ROUTER_API_KEYS"] };

/// The secret `{name, key}` of an object is also the variable `WHATSAPP_ROUTER_SECRET_<NAME>_<KEY>`.
pub const SECRET_NAMES: SecretNames = SecretNames {
    prefix: "WHATSAPP_ROUTER_SECRET_",
    short: "WHATSAPP_",
    aliases: &[ACCESS_TOKEN, VERIFY_TOKEN, APP_SECRET, API_KEYS],
};
