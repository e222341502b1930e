//! All settings of the server.

use secrecy::SecretString;
use service::{
    http::HttpSettings,
    logging::LogSettings,
    settings::{Env, Problems, SettingDoc},
    signing::Signer,
    telemetry::TelemetrySettings,
};

/// The variable with the address to listen on.
pub const LISTEN: &str = "SERVER_LISTEN";

/// What the environment says.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen, and the bounds of doing so.
    pub http: HttpSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Only calls that it signed are answered; `None`: all are.
    pub signer: Option<Signer>,
    /// Whether and where calls are traced.
    pub telemetry: TelemetrySettings,
}

impl Settings {
    /// Reads all of them; the error lists every problem.
    pub fn read(env: &mut Env) -> Result<Self, Problems> {
        let http = HttpSettings::read(env, LISTEN, "0.0.0.0:8001");
        let log = LogSettings::read(env);
        let signer = env
            .var(
                "SERVER_SIGNING_SECRET",
                "what the router signs its calls with (`signingSecretRef` of a route): `whsec_` and base64; several, comma-separated, while it is replaced. Unset: calls are not checked",
            )
            .secret()
            .hint("make one with `echo whsec_$(openssl rand -base64 32)` and give it to the route as well")
            .parse_with(signer);
        let telemetry = TelemetrySettings::read(env);
        let settings = (|| Some(Self { http: http?, log: log?, signer, telemetry: telemetry? }))();
        env.finish_with(settings)
    }

    /// The reference of all settings.
    pub fn reference() -> Vec<SettingDoc> {
        let mut env = Env::describing();
        // Nothing is read, so nothing can be wrong.
        let _ = Self::read(&mut env);
        env.reference().to_vec()
    }
}

fn signer(text: &str) -> Result<Signer, String> {
    let secrets: Vec<_> =
        text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(SecretString::from).collect();
    Signer::new(&secrets).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_to_be_set() {
        let settings = Settings::read(&mut Env::from_pairs::<&str, &str>([])).unwrap();
        assert_eq!(settings.http.listen, "0.0.0.0:8001".parse().unwrap());
        assert!(settings.signer.is_none());
    }

    #[test]
    fn calls_are_checked_with_any_of_several_secrets_and_never_with_half_of_one() {
        let read = |value: &str| Settings::read(&mut Env::from_pairs([("SERVER_SIGNING_SECRET", value)]));
        let good = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert!(read(good).unwrap().signer.is_some());
        assert!(read(&format!("{good}, {good}")).unwrap().signer.is_some());
        for bad in ["hunter2", "whsec_", ",", &format!("{good},hunter2")] {
            let problems = read(bad).unwrap_err().to_string();
            assert!(problems.contains("SERVER_SIGNING_SECRET"), "{problems}");
            assert!(!problems.contains("hunter2"), "{problems}");
        }
    }

    #[test]
    fn the_reference_names_every_variable() {
        let names: Vec<_> = Settings::reference().iter().map(|setting| setting.name).collect();
        for name in [
            "SERVER_LISTEN",
            "ADMIN_LISTEN",
            "DOCS",
            "SHUTDOWN_DRAIN_DELAY",
            "LOG_LEVEL",
            "OTEL_SDK_DISABLED",
        ] {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
    }
}
