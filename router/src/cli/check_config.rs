//! `router check-config`: everything that is wrong with the configuration, before anything runs with it.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::Value;
use service::{
    cli,
    secrets::{self, Secrets},
    settings::{EXIT_CONFIG, Env},
};

use crate::{
    config::{compile::Compiler, environment, files, report, snapshot::Snapshot, source::SourceKind, start},
    settings::{Settings, Surroundings},
};

/// Good for every use that a secret has.
const STAND_IN: &str = "whsec_c3RhbmRzIGluIGZvciBhIHNlY3JldCB0aGF0IGlzIG5vdCBsb29rZWQgYXQ=";

#[derive(Debug, Clone, Args)]
pub(super) struct CheckConfig {
    /// Check the Channel and Route objects in the YAML files of this folder, instead of where CONFIG_SOURCE and
    /// CONFIG_DIR say
    #[arg(long, value_name = "DIR")]
    config_dir: Option<PathBuf>,
    /// Take it that every secret is there, on a machine that has none, such as one for CI
    #[arg(long)]
    skip_secrets: bool,
}

impl CheckConfig {
    pub(super) fn run(self) -> ExitCode {
        let surroundings = Surroundings { config_dir: self.config_dir.clone(), ..super::surroundings() };
        let settings = Settings::read_in(&mut Env::from_process(), &surroundings);
        let mut is_good = true;
        let settings = match settings {
            Ok(settings) => settings,
            Err(problems) => {
                cli::refuse(&problems);
                is_good = false;
                // The objects are looked at all the same, by the settings' defaults.
                let Some(dir) = self.config_dir.as_deref().filter(|dir| dir.is_dir()) else {
                    return ExitCode::from(EXIT_CONFIG);
                };
                let surroundings =
                    Surroundings { config_dir: Some(dir.to_owned()), ..Surroundings::default() };
                match Settings::read_in(&mut Env::from_pairs([] as [(&str, &str); 0]), &surroundings) {
                    Ok(settings) => settings,
                    Err(problems) => return cli::refuse(&problems),
                }
            }
        };
        match self.check_objects(&settings) {
            Ok((text, good)) => {
                let printed = cli::print_document(&text);
                if is_good && good { printed } else { ExitCode::from(EXIT_CONFIG) }
            }
            Err(error) => {
                cli::fail(&error);
                ExitCode::from(EXIT_CONFIG)
            }
        }
    }

    /// What to say, and whether everything is good.
    fn check_objects(&self, settings: &Settings) -> Result<(String, bool), String> {
        let config = &settings.config;
        let (mut text, snapshot) = match (config.source, &config.dir, &settings.whatsapp.phone_number_id) {
            (SourceKind::Files, Some(dir), _) => {
                let snapshot = files::Folder::new(dir).read();
                let snapshot =
                    snapshot.map_err(|error| format!("{} can't be read ({error})", dir.display()))?;
                (format!("channels and routes come from files in {}\n\n", dir.display()), snapshot)
            }
            (SourceKind::Environment, _, Some(id)) => {
                let text = "the settings are complete\nchannels and routes come from the environment\n\n";
                (text.to_owned(), environment::snapshot(settings, id))
            }
            _ => {
                let text = "the settings are complete\nchannels and routes come from kubernetes: kubectl get channels,routes shows their conditions\n";
                return Ok((text.to_owned(), true));
            }
        };
        let (secrets, problems) = self.secrets(settings, &snapshot);
        let compiled = Compiler::new(start::defaults(settings)).compile(&snapshot, &secrets, None);
        let (_, compiled) = compiled.map_err(|error| format!("{error}; please report this"))?;
        for problem in &problems {
            text.push_str(&format!("a secret {problem}\n\n"));
        }
        text.push_str(&report::render(&compiled));
        Ok((text, compiled.is_good()))
    }

    fn secrets(&self, settings: &Settings, snapshot: &Snapshot) -> (Secrets, Vec<String>) {
        if !self.skip_secrets {
            return secrets::read(&settings.secrets);
        }
        let mut named = Vec::new();
        for object in &snapshot.objects {
            references(&object.value["spec"], &mut named);
        }
        (Secrets::from_pairs(named.into_iter().map(|(name, key)| (name, key, STAND_IN))), Vec::new())
    }
}

/// Every `{name, key}` in a field whose name ends in `Ref`.
fn references<'a>(value: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field.ends_with("Ref")
                    && let (Some(name), Some(key)) = (value["name"].as_str(), value["key"].as_str())
                {
                    found.push((name, key));
                }
                references(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}
