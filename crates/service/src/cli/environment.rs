//! The part of `--help` that is about the environment, made from the settings themselves.

use std::fmt::Write as _;

use crate::settings::{EXIT_CONFIG, SettingDoc};

/// Everything below the options in `--help`; `more` comes last, such as where to look next.
pub fn environment_help(settings: &[SettingDoc], more: &str) -> String {
    let width = settings.iter().map(|setting| setting.name.len()).max().unwrap_or_default();
    let mut help = String::from("Environment:\n");
    for setting in settings {
        let _ = write!(help, "  {:width$}  {}", setting.name, setting.meaning);
        let _ = match (&setting.default, setting.required) {
            (Some(default), _) => writeln!(help, " [default: {default}]"),
            (None, true) => writeln!(help, " [required]"),
            (None, false) => writeln!(help),
        };
    }
    let _ = write!(
        help,
        "\nExit codes:\n  0  ended in order\n  1  could not go on, such as a port that is taken\n  \
         {EXIT_CONFIG} the configuration is wrong; every problem is listed\n\n{more}"
    );
    help
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Env;

    #[test]
    fn every_variable_has_a_line_with_its_default() {
        let mut env = Env::describing();
        let _ = env.var("LISTEN", "where to listen").default(":80").address();
        let _ = env.var("TOKEN", "what to show").required_secret();
        let help = environment_help(env.reference(), "The end.");
        assert!(help.contains("  LISTEN  where to listen [default: :80]\n"), "{help}");
        assert!(help.contains("  TOKEN   what to show [required]\n"), "{help}");
        assert!(help.ends_with("The end."), "{help}");
    }
}
