//! What `router --help` says below the options: the three ways to tell the router which numbers there are, and where the
//! rest is written.

pub(super) const SERVE: &str =
    "Settings are environment variables: `router --help` has those that matter first, `router settings` all.";

pub(super) const ALL: &str = "\
Settings are environment variables. Which numbers there are, and who answers, is told in one of three ways:

  one number, by variables
    WHATSAPP_PHONE_NUMBER_ID       its id at Meta, not the phone number itself
    WHATSAPP_ACCESS_TOKEN          Graph API token
    WHATSAPP_WEBHOOK_VERIFY_TOKEN  token of the webhook's handshake
    WHATSAPP_WEBHOOK_SECRET        app secret that signs webhooks
    SERVER_BASE_URL                where POST /process is [default: http://localhost:8001]
  any number of them, by YAML files of the kinds Channel and Route
    CONFIG_DIR                     their folder, watched; `router check-config --config-dir DIR` tries one
    SECRETS_DIR                    folder of the secrets that they name [default: /var/run/secrets/whatsapp-router]
  the same as objects in Kubernetes, watched
    CONFIG_SOURCE=kubernetes       after `router crd | kubectl apply -f -`, or with the Helm chart

And often:
    ROUTER_LISTEN                  address to listen on [default: 0.0.0.0:8000]
    DATABASE_URL                   where messages and work are kept [default: sqlite://data/router.db]
    ROUTER_API_KEYS                keys for the API below /api/v1

All settings: `router settings`, docs/CONFIGURATION.md. All fields of Channel and Route: `router crd --reference`,
docs/OBJECTS.md. `sandbox run` starts all of it on this machine without an account.

Exit codes:
  0   ended in order
  1   could not go on, such as a port that is taken
  78  the configuration is wrong; every problem is listed";

#[cfg(test)]
mod tests {
    use service::settings::{Env, SettingDoc};

    use super::*;
    use crate::settings::Settings;

    /// Where a line is about a variable: its name, and the default that it tells.
    fn told(line: &str) -> Option<(&str, Option<&str>)> {
        let word = line.trim_start().split([' ', '=']).next()?;
        let is_name = word.len() > 3 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        let default = line.split_once("[default: ").and_then(|(_, rest)| rest.strip_suffix(']'));
        is_name.then_some((word, default))
    }

    #[test]
    fn every_variable_is_a_setting_and_its_default_is_told_right() {
        let mut env = Env::describing();
        let _ = Settings::read(&mut env);
        let settings: Vec<&SettingDoc> = env.reference().iter().collect();
        let lines: Vec<_> = ALL.lines().filter_map(told).collect();
        assert_eq!(lines.len(), 11, "{lines:?}");
        for (name, default) in lines {
            let setting = settings.iter().find(|setting| setting.name == name);
            let setting = setting.unwrap_or_else(|| panic!("{name} is no setting"));
            if let Some(default) = default {
                assert_eq!(setting.default.as_deref(), Some(default), "{name}");
            }
        }
        assert!(ALL.lines().all(|line| line.len() <= 130), "it fits a terminal");
    }
}
