//! The router's settings from the environment. The reference in docs/CONFIGURATION.md is made by this very code.

mod api;
mod config;
mod delivery;
mod flow;
mod kubernetes;
mod limits;
pub mod secrets;
mod testing;
mod whatsapp;

use service::{
    http::HttpSettings,
    logging::LogSettings,
    secrets::SecretOptions,
    settings::{Env, Problems},
    telemetry::TelemetrySettings,
};

pub(crate) use self::whatsapp::base_url;
pub use self::{
    api::{ApiSettings, api_keys},
    config::{ConfigSettings, Surroundings},
    delivery::DeliverySettings,
    flow::FlowSettings,
    kubernetes::KubernetesSettings,
    testing::TestSettings,
    whatsapp::WhatsAppSettings,
};
use crate::{pacing::Limits, store::DatabaseUrl};

/// Everything that the process is told from outside.
#[derive(Debug)]
pub struct Settings {
    /// Where secrets are; those below are what they were at the start.
    pub secrets: SecretOptions,
    pub http: HttpSettings,
    pub log: LogSettings,
    pub config: ConfigSettings,
    pub telemetry: TelemetrySettings,
    pub whatsapp: WhatsAppSettings,
    pub limits: Limits,
    pub delivery: DeliverySettings,
    pub flow: FlowSettings,
    pub database: DatabaseUrl,
    pub kubernetes: KubernetesSettings,
    pub testing: TestSettings,
    pub api: ApiSettings,
}

impl Settings {
    /// Reads all of them, so that all problems come to light at once.
    pub fn read(env: &mut Env) -> Result<Self, Problems> {
        Self::read_in(env, &Surroundings::default())
    }

    /// The same, where more is known than the variables say.
    pub fn read_in(env: &mut Env, surroundings: &Surroundings) -> Result<Self, Problems> {
        let secrets = env.use_secrets(secrets::SECRET_NAMES);
        let config = ConfigSettings::read(env, surroundings);
        let whatsapp = WhatsAppSettings::read(env, config.as_ref().map(|config| config.source));
        let limits = Limits::read(env);
        let delivery = DeliverySettings::read(env);
        let flow = FlowSettings::read(env);
        let database = env
            .var(
                "DATABASE_URL",
                "where messages and unfinished work are kept: `sqlite://<file>` for one router, or \
                 `postgres://<user>:<password>@<host>/<database>?sslmode=<disable, prefer or require>` for any number; \
                 `&sslrootcert=<file>` names authorities to trust in place of the system's",
            )
            .default("sqlite://data/router.db")
            .hint("write sqlite://data/router.db for a file in the folder data, sqlite:///data/router.db for an absolute path, postgres://user:password@host:5432/database for PostgreSQL")
            .secret()
            .parse::<DatabaseUrl>();
        let kubernetes = KubernetesSettings::read(env);
        let api = ApiSettings::read(env);
        let http = HttpSettings::read(env, "ROUTER_LISTEN", "0.0.0.0:8000");
        let log = LogSettings::read(env);
        let telemetry = TelemetrySettings::read(env);
        let testing = TestSettings::read(env);
        let settings = (|| {
            Some(Self {
                secrets: secrets?,
                http: http?,
                log: log?,
                config: config?,
                telemetry: telemetry?,
                whatsapp: whatsapp?,
                limits: limits?,
                delivery: delivery?,
                flow: flow?,
                database: database?,
                api: api?,
                kubernetes: kubernetes?,
                testing: testing?,
            })
        })();
        env.finish_with(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: [(&str, &str); 4] = [
        ("WHATSAPP_PHONE_NUMBER_ID", "106540352242922"),
        ("WHATSAPP_ACCESS_TOKEN", "token"),
        ("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "verify"),
        ("WHATSAPP_WEBHOOK_SECRET", "secret"),
    ];

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Settings, String> {
        let mut env = Env::from_pairs(pairs.iter().copied());
        Settings::read(&mut env).map_err(|problems| problems.to_string())
    }

    #[test]
    fn four_values_are_enough() {
        let settings = read(&ENOUGH).unwrap();
        assert_eq!(settings.delivery.backend.as_str(), "http://localhost:8001/");
        assert_eq!(settings.whatsapp.phone_number_id.as_deref(), Some("106540352242922"));
        assert_eq!(settings.database, "sqlite://data/router.db".parse().unwrap());
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let error = read(&[
            ("WHATSAPP_PHONE_NUMBER_ID", "+49 170"),
            ("WHATSAPP_API_VERSION", "25"),
            ("SERVER_BASE_URL", "localhost:8001"),
            ("DATABASE_URL", "mysql://x"),
            ("REPLY_MAX_AGE", "soon"),
        ])
        .unwrap_err();
        for name in [
            "WHATSAPP_PHONE_NUMBER_ID",
            "WHATSAPP_ACCESS_TOKEN",
            "WHATSAPP_WEBHOOK_VERIFY_TOKEN",
            "WHATSAPP_WEBHOOK_SECRET",
            "WHATSAPP_API_VERSION",
            "SERVER_BASE_URL",
            "DATABASE_URL",
            "REPLY_MAX_AGE",
        ] {
            assert!(error.contains(name), "{name} is missing in\n{error}");
        }
    }

    #[test]
    fn without_an_app_secret_it_has_to_be_said_expressly() {
        let without = &ENOUGH[..3];
        assert!(read(without).unwrap_err().contains("WHATSAPP_ALLOW_UNSIGNED_WEBHOOKS"));
        let mut allowed = without.to_vec();
        allowed.push(("WHATSAPP_ALLOW_UNSIGNED_WEBHOOKS", "true"));
        assert!(read(&allowed).unwrap().whatsapp.allow_unsigned);
        allowed.push(("WHATSAPP_WEBHOOK_SECRET", " , "));
        assert!(read(&allowed).is_err(), "a secret that is empty by mistake is no permission");
    }

    #[test]
    fn the_values_of_the_example_are_refused() {
        for (at, value) in
            [(1, "change-me-access-token"), (2, "change-me-verify-token"), (3, "change-me-app-secret")]
        {
            let mut pairs = ENOUGH;
            pairs[at].1 = value;
            let error = read(&pairs).unwrap_err();
            assert!(error.contains(pairs[at].0) && error.contains("example"), "{error}");
        }
    }

    #[test]
    fn several_secrets_and_the_other_names_are_read() {
        let pairs =
            [ENOUGH[0], ENOUGH[1], ("WHATSAPP_VERIFY_TOKEN", "verify"), ("WHATSAPP_APP_SECRET", "old, new")];
        assert!(read(&pairs).is_ok());
    }

    #[test]
    fn channels_that_live_elsewhere_need_no_variables() {
        let folder = tempfile::tempdir().unwrap();
        let mut env = Env::from_pairs([("CONFIG_DIR", folder.path().to_str().unwrap())]);
        let settings = Settings::read(&mut env).unwrap();
        assert_eq!(settings.whatsapp.phone_number_id, None);
        assert!(!settings.whatsapp.allow_unsigned);
    }

    #[test]
    fn no_secret_is_in_a_problem_or_in_debug_output() {
        let mut pairs = ENOUGH.to_vec();
        pairs[1] = ("WHATSAPP_ACCESS_TOKEN", "hunter2 with a space\nand a line");
        let shown = match read(&pairs) {
            Ok(settings) => format!("{settings:?}"),
            Err(problems) => problems,
        };
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
