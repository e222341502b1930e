//! The channel `default`, made from the environment.

use std::time::Duration;

use secrecy::SecretString;
use service::settings::Env;
use url::Url;

use crate::config::source::SourceKind;

/// Where the Graph API is, and the channel `default` where the environment is the home of channels.
#[derive(Debug)]
pub struct WhatsAppSettings {
    /// None where channels have another home.
    pub phone_number_id: Option<String>,
    /// The channel may do without an app secret.
    pub allow_unsigned: bool,
    pub api_version: String,
    pub api_base_url: Url,
    pub api_timeout: Duration,
}

impl WhatsAppSettings {
    pub(super) fn read(env: &mut Env, source: Option<SourceKind>) -> Option<Self> {
        // Without a source there is a problem already; then those of the channel would only lead astray.
        let is_home = source == Some(SourceKind::Environment);
        let channel = if is_home { read_channel(env).map(Some) } else { Some(None) };
        let api_version = env
            .var("WHATSAPP_API_VERSION", "version of the Graph API")
            .default("v25.0")
            .hint("write it like v25.0")
            .parse_with(version);
        let api_base_url = env
            .var(
                "WHATSAPP_API_BASE_URL",
                "where the Graph API is; another one for the sandbox, a proxy or a test",
            )
            .default("https://graph.facebook.com")
            .parse_with(base_url);
        let api_timeout = env
            .var("WHATSAPP_API_TIMEOUT", "how long one call of the Graph API may take")
            .default("15s")
            .duration();
        let channel = channel?;
        Some(Self {
            allow_unsigned: channel.as_ref().is_some_and(|channel| channel.allow_unsigned),
            phone_number_id: channel.map(|channel| channel.phone_number_id),
            api_version: api_version?,
            api_base_url: api_base_url?,
            api_timeout: api_timeout?,
        })
    }
}

struct Channel {
    phone_number_id: String,
    allow_unsigned: bool,
}

/// The secrets are looked at so that all problems come to light at once; which values are used is asked of
/// [`service::secrets`], because they change.
fn read_channel(env: &mut Env) -> Option<Channel> {
    let phone_number_id = env
        .var("WHATSAPP_PHONE_NUMBER_ID", "id of the number that sends and receives (WhatsApp > API Setup)")
        .hint("write the digits shown as \"Phone number ID\", not the phone number itself; or set CONFIG_DIR, when channels are in files")
        .required_with(digits);
    let access_token = env
        .var("WHATSAPP_ACCESS_TOKEN", "Graph API token with the permission whatsapp_business_messaging")
        .secret()
        .hint("copy the token from WhatsApp > API Setup, without spaces; what .env.example has is refused")
        .required_with(header_value);
    let verify_token = env
        .var(
            "WHATSAPP_WEBHOOK_VERIFY_TOKEN",
            "token of the webhook's GET handshake, the same as in the app's dashboard",
        )
        .alias("WHATSAPP_VERIFY_TOKEN")
        .secret()
        .hint("make one up, and enter the same in the app's dashboard; what .env.example has is refused")
        .required_with(own_secret);
    let allow_unsigned = read_app_secret(env);
    access_token?;
    verify_token?;
    Some(Channel { phone_number_id: phone_number_id?, allow_unsigned: allow_unsigned? })
}

/// Whether it may be missing.
fn read_app_secret(env: &mut Env) -> Option<bool> {
    const NAME: &str = "WHATSAPP_WEBHOOK_SECRET";
    let secret = env
        .var(NAME, "app secret that signs webhooks; several, separated by commas, while it is being changed")
        .alias("WHATSAPP_APP_SECRET")
        .secret()
        .hint("copy the app secret from App settings > Basic; what .env.example has is refused")
        .parse_with(own_secret);
    let allow_unsigned = env
        .var(
            "WHATSAPP_ALLOW_UNSIGNED_WEBHOOKS",
            "`true`: start without an app secret and believe every webhook",
        )
        .default("false")
        .boolean()?;
    match secret {
        None if !allow_unsigned => {
            env.problem(
                NAME,
                "is not set, so anybody could send webhooks",
                "copy the app secret from App settings > Basic, or set WHATSAPP_ALLOW_UNSIGNED_WEBHOOKS=true on a machine that nobody else reaches",
            );
            None
        }
        Some(secret) if service::secrets::list(&secret).is_empty() => {
            env.problem(
                NAME,
                "holds no secret between its commas",
                "write one app secret, or several separated by commas",
            );
            None
        }
        _ => Some(allow_unsigned),
    }
}

fn digits(text: &str) -> Result<String, String> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits {
        Ok(text.to_owned())
    } else {
        Err("is not a number id: it has more than digits in it".to_owned())
    }
}

/// Refuses what stands in `.env.example`: everybody knows it.
fn own_secret(text: &str) -> Result<SecretString, String> {
    if text.starts_with("change-me") {
        return Err("is still the example's value".to_owned());
    }
    Ok(SecretString::from(text))
}

fn header_value(text: &str) -> Result<SecretString, String> {
    own_secret(text)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(SecretString::from(text))
    } else {
        Err("has a space, a line break or another character that no token has".to_owned())
    }
}

fn version(text: &str) -> Result<String, String> {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.strip_prefix('v').and_then(|rest| rest.split_once('.')) {
        Some((major, minor)) if number(major) && number(minor) => Ok(text.to_owned()),
        _ => Err("is not a version of the Graph API".to_owned()),
    }
}

/// An absolute http or https address.
pub(crate) fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("is not an address ({error})"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("is not an address that starts with http:// or https:// and names a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or a password, which would end up in logs".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or a fragment, which a base address can't have".to_owned());
    }
    Ok(url)
}
