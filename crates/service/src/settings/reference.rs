//! The reference of all settings, made from the reads themselves so that it cannot drift from them.

use std::fmt::Write as _;

/// One setting as the documentation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDoc {
    /// The name of the variable.
    pub name: &'static str,
    /// Other names that are read when the first one is not set.
    pub aliases: Vec<&'static str>,
    /// What is used when it is not set, in words or as a value.
    pub default: Option<String>,
    /// True when the process does not start without it.
    pub required: bool,
    /// What it does.
    pub meaning: String,
    /// True when its value is never shown.
    pub secret: bool,
}

/// A Markdown table with one row per setting, in the given order.
pub fn to_markdown(settings: &[SettingDoc]) -> String {
    let mut table = String::from("| Variable | Default | Meaning |\n| --- | --- | --- |\n");
    for setting in settings {
        let mut name = format!("`{}`", setting.name);
        for alias in &setting.aliases {
            let _ = write!(name, " (or `{alias}`)");
        }
        let default = match &setting.default {
            Some(value) => format!("`{value}`"),
            None if setting.required => "required".to_owned(),
            None => "—".to_owned(),
        };
        let secret = if setting.secret { " (secret)" } else { "" };
        let meaning = setting.meaning.replace('|', "\\|");
        let _ = writeln!(table, "| {name} | {default} | {meaning}{secret} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_aliases_defaults_and_secrets() {
        let doc = SettingDoc {
            name: "TOKEN",
            aliases: vec!["OLD_TOKEN"],
            default: None,
            required: true,
            meaning: "one | two".to_owned(),
            secret: true,
        };
        let level = SettingDoc {
            name: "LEVEL",
            aliases: Vec::new(),
            default: Some("info".to_owned()),
            required: false,
            meaning: "how much".to_owned(),
            secret: false,
        };
        let table = to_markdown(&[doc, level]);
        assert!(table.contains("| `TOKEN` (or `OLD_TOKEN`) | required | one \\| two (secret) |\n"));
        assert!(table.contains("| `LEVEL` | `info` | how much |\n"));
    }
}
