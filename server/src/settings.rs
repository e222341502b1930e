//! All settings of the server.

use service::{
    http::HttpSettings,
    logging::LogSettings,
    settings::{Env, Problems, SettingDoc},
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
}

impl Settings {
    /// Reads all of them; the error lists every problem.
    pub fn read(env: &mut Env) -> Result<Self, Problems> {
        let http = HttpSettings::read(env, LISTEN, "0.0.0.0:8001");
        let log = LogSettings::read(env);
        let settings = http.zip(log).map(|(http, log)| Self { http, log });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_to_be_set() {
        let settings = Settings::read(&mut Env::from_pairs::<&str, &str>([])).unwrap();
        assert_eq!(settings.http.listen, "0.0.0.0:8001".parse().unwrap());
    }

    #[test]
    fn the_reference_names_every_variable() {
        let names: Vec<_> = Settings::reference().iter().map(|setting| setting.name).collect();
        for name in
            ["SERVER_LISTEN", "ADMIN_LISTEN", "DOCS", "SHUTDOWN_DRAIN_DELAY", "LOG_LEVEL", "LOG_FORMAT"]
        {
            assert!(names.contains(&name), "{name} in {names:?}");
        }
    }
}
