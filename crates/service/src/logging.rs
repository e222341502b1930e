//! Logs go to standard output: readable on a terminal, one flat JSON object a line everywhere else.

mod control;
mod panic_hook;
mod seldom;

use std::{io::IsTerminal, str::FromStr};

use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

pub use control::LogControl;
pub use panic_hook::install_panic_hook;
pub use seldom::Seldom;

use crate::settings::Env;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogSettings {
    levels: String,
    targets: Targets,
    format: LogFormat,
}

impl LogSettings {
    /// Reads `LOG_LEVEL` and `LOG_FORMAT`.
    pub fn read(env: &mut Env) -> Option<Self> {
        let targets = env
            .var("LOG_LEVEL", "error, warn, info, debug or trace, also by module: info,router=debug")
            .default("info")
            .parse_with(|text| Ok((text.to_owned(), parse_levels(text)?)));
        let terminal = std::io::stdout().is_terminal();
        let format = env
            .var("LOG_FORMAT", "pretty, json, or auto: pretty on a terminal and json elsewhere")
            .default("auto")
            .parse_with(|text| parse_format(text, terminal));
        let (levels, targets) = targets?;
        Some(Self { levels, targets, format: format? })
    }

    /// How a line looks.
    pub fn format(&self) -> LogFormat {
        self.format
    }

    /// True when this level of this module is logged.
    pub fn would_log(&self, target: &str, level: tracing::Level) -> bool {
        self.targets.would_enable(target, &level)
    }
}

/// What others wrote tells of every connection, with the address of whoever is at its other end: warnings alone, unless
/// `LOG_LEVEL` names it.
const OF_OTHERS: [&str; 4] = ["poem", "hyper", "h2", "reqwest"];

/// A word alone must be a level: `Targets` would take a misspelt one for the name of a module and log all of it.
fn parse_levels(text: &str) -> Result<Targets, String> {
    let text = &text.replace(' ', "");
    // An empty word would be the level error.
    let is_level = |word: &str| !word.is_empty() && LevelFilter::from_str(word).is_ok();
    let well_formed = |part: &str| match part.split_once('=') {
        Some((module, level)) => !module.is_empty() && is_level(level),
        None => is_level(part),
    };
    let levels = || text.split(',');
    if !levels().all(well_formed) {
        return Err("is not a level such as info, or levels by module such as info,router=debug".to_owned());
    }
    let targets = Targets::from_str(text).map_err(|error| format!("cannot be read ({error})"))?;
    let most = targets.default_level().map_or(LevelFilter::WARN, |level| level.min(LevelFilter::WARN));
    let unnamed = OF_OTHERS.into_iter().filter(|name| !levels().any(|level| level.starts_with(name)));
    Ok(unnamed.fold(targets, |targets, name| targets.with_target(name, most)))
}

fn parse_format(text: &str, terminal: bool) -> Result<LogFormat, String> {
    match text.to_ascii_lowercase().as_str() {
        "pretty" => Ok(LogFormat::Pretty),
        "auto" if terminal => Ok(LogFormat::Pretty),
        "json" | "auto" => Ok(LogFormat::Json),
        _ => Err("is none of auto, pretty and json".to_owned()),
    }
}

/// Starts logging, once per process, and says what is running. Gives what changes it later. The error means that it was
/// started before.
pub fn init(settings: &LogSettings, service: &str, version: &str) -> Result<LogControl, TryInitError> {
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.format {
        LogFormat::Pretty => {
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            tracing_subscriber::fmt::layer().with_ansi(colour).boxed()
        }
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    let (control, filter) = LogControl::new(settings.levels.clone(), settings.targets.clone());
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    tracing::info!(service, version, "starting");
    Ok(control)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_may_differ_by_module() {
        let mut env = Env::from_pairs([("LOG_LEVEL", "warn,router=debug"), ("LOG_FORMAT", "json")]);
        let settings = LogSettings::read(&mut env).unwrap();
        assert!(settings.would_log("router::webhook", Level::DEBUG));
        assert!(!settings.would_log("other", Level::INFO));
        assert_eq!(settings.format(), LogFormat::Json);
    }

    #[test]
    fn a_level_must_be_spelt_right() {
        for text in ["loud", "info,router", "info,router=loud", "info,=debug", "info,,", "router=debug=info"]
        {
            assert!(parse_levels(text).is_err(), "{text}");
        }
        for text in ["off", "INFO", "3", "warn, router=debug", "router::webhook=trace"] {
            assert!(parse_levels(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn poem_is_only_heard_when_it_is_asked_for() {
        assert!(!parse_levels("debug").unwrap().would_enable("poem::server", &Level::INFO));
        assert!(parse_levels("warn, router=debug").unwrap().would_enable("router", &Level::DEBUG));
        assert!(parse_levels("warn,poem=info").unwrap().would_enable("poem::server", &Level::INFO));
        for (levels, target, level, logged) in [
            ("debug", "hyper_util::client::legacy::connect::http", Level::DEBUG, false),
            ("debug", "reqwest::connect", Level::WARN, true),
            ("debug,hyper_util=debug", "hyper_util::client", Level::DEBUG, true),
            ("debug,hyper_util=debug", "h2::codec", Level::DEBUG, false),
            ("error", "poem::server", Level::WARN, false),
            ("off", "h2::codec", Level::ERROR, false),
        ] {
            assert_eq!(
                parse_levels(levels).unwrap().would_enable(target, &level),
                logged,
                "{levels}: {target}"
            );
        }
    }

    #[test]
    fn auto_is_pretty_only_on_a_terminal() {
        for (text, terminal, expected) in [
            ("auto", true, LogFormat::Pretty),
            ("auto", false, LogFormat::Json),
            ("json", true, LogFormat::Json),
            ("Pretty", false, LogFormat::Pretty),
        ] {
            assert_eq!(parse_format(text, terminal), Ok(expected));
        }
        assert!(parse_format("xml", true).is_err());
    }

    #[test]
    fn nonsense_is_a_problem_and_not_a_panic() {
        let mut env = Env::from_pairs([("LOG_LEVEL", "info,router=loud"), ("LOG_FORMAT", "xml")]);
        assert!(LogSettings::read(&mut env).is_none());
        let problems = env.finish().unwrap_err();
        let names: Vec<_> = problems.iter().map(|problem| problem.name.as_str()).collect();
        assert_eq!(names, ["LOG_LEVEL", "LOG_FORMAT"]);
    }
}
