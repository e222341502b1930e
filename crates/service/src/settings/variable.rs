//! One variable: what it is called, what it means, and the ways to read it.

use std::{borrow::Cow, fmt::Display, net::SocketAddr, str::FromStr, time::Duration};

use secrecy::SecretString;

use super::{Env, ListenAddress, SettingDoc, parse_boolean, parse_duration};

/// Describes a variable step by step; nothing is read before the last call of the chain.
#[derive(Debug)]
#[must_use = "a variable is only read by parse, required, parse_with, boolean, duration or secret_string"]
pub struct Variable<'e> {
    env: &'e mut Env,
    name: &'static str,
    meaning: String,
    aliases: Vec<&'static str>,
    default: Option<Cow<'static, str>>,
    default_in_words: Option<String>,
    secret: bool,
    hint: Option<Cow<'static, str>>,
}

/// Where a value came from, for messages: a variable's name.
struct Found {
    source: &'static str,
    value: String,
}

impl<'e> Variable<'e> {
    pub(super) fn new(env: &'e mut Env, name: &'static str, meaning: String) -> Self {
        Self {
            env,
            name,
            meaning,
            aliases: Vec::new(),
            default: None,
            default_in_words: None,
            secret: false,
            hint: None,
        }
    }

    /// Another name that is read when the first one is not set. Both with different values is a problem.
    pub fn alias(mut self, name: &'static str) -> Self {
        self.aliases.push(name);
        self
    }

    /// What is parsed when the variable is not set.
    pub fn default(mut self, value: impl Into<Cow<'static, str>>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// How the reference shows a default that depends on the surroundings, such as `5s in a cluster, else 0s`.
    pub fn default_in_words(mut self, words: impl Into<String>) -> Self {
        self.default_in_words = Some(words.into());
        self
    }

    /// The value is never shown, and a mounted file wins over the variable.
    pub fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// What to write instead, for every problem with this variable.
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The parsed value; None when it is not set and has no default, or when a problem was recorded.
    pub fn parse<T>(self) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.parse_with(|text| text.parse().map_err(|error: T::Err| format!("cannot be read ({error})")))
    }

    /// Like [`Variable::parse`], but it is a problem when the variable is not set.
    pub fn required<T>(self) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.required_with(|text| text.parse().map_err(|error: T::Err| format!("cannot be read ({error})")))
    }

    /// Parses with a function whose error says what is wrong, such as `is not a duration`.
    pub fn parse_with<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.read(false, parse)
    }

    /// [`Variable::required`] with a function of its own.
    pub fn required_with<T>(self, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.read(true, parse)
    }

    /// A duration such as `6s`.
    pub fn duration(self) -> Option<Duration> {
        self.parse_with(parse_duration)
    }

    /// An address to listen on; see [`ListenAddress`].
    pub fn address(self) -> Option<SocketAddr> {
        self.parse_with(|text| text.parse().map(|ListenAddress(address)| address))
    }

    /// `true/false`, `1/0`, `yes/no` or `on/off`.
    pub fn boolean(self) -> Option<bool> {
        self.parse_with(parse_boolean)
    }

    /// A secret as it is; None when it is not set.
    pub fn secret_string(self) -> Option<SecretString> {
        self.secret().parse_with(|text| Ok(SecretString::from(text)))
    }

    /// A secret without which the process does not start.
    pub fn required_secret(self) -> Option<SecretString> {
        self.secret().required_with(|text| Ok(SecretString::from(text)))
    }

    fn read<T>(self, required: bool, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.env.document(SettingDoc {
            name: self.name,
            aliases: self.aliases.clone(),
            default: self.default_in_words.clone().or_else(|| self.default.as_deref().map(str::to_owned)),
            required,
            meaning: self.meaning.clone(),
            secret: self.secret,
        });
        let found = match self.find() {
            Ok(found) => found,
            Err((source, what)) => {
                let instead = self.instead("write plain text");
                self.env.problem(source, what, instead);
                return None;
            }
        };
        let Found { source, value } = match (found, &self.default) {
            (Some(found), _) => found,
            (None, Some(default)) => Found { source: self.name, value: default.clone().into_owned() },
            (None, None) => {
                if required {
                    let instead = self.instead(&format!("set it to the {}", self.meaning));
                    self.env.problem(self.name, "is not set", instead);
                }
                return None;
            }
        };
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(what) => {
                // The reason of a parser may quote what it read.
                let what =
                    if self.secret { "is not valid".to_owned() } else { format!("\"{value}\" {what}") };
                let fallback = match &self.default {
                    Some(default) => format!("write a value like {default}, or leave it out"),
                    None => format!("set it to the {}", self.meaning),
                };
                let instead = self.instead(&fallback);
                self.env.problem(source, what, instead);
                None
            }
        }
    }

    fn instead(&self, fallback: &str) -> String {
        self.hint.as_deref().unwrap_or(fallback).to_owned()
    }

    /// The value from a mounted file, else from the first name that is set.
    fn find(&self) -> Result<Option<Found>, (&'static str, String)> {
        if self.env.is_describing() {
            return Ok(None);
        }
        let names = || std::iter::once(self.name).chain(self.aliases.iter().copied());
        if self.secret {
            if let Some(secret) = self.env.mounted().file(&names().collect::<Vec<_>>())? {
                let value = secrecy::ExposeSecret::expose_secret(&secret).to_owned();
                return Ok(Some(Found { source: self.name, value }));
            }
            let named = self.env.mounted().named_variable(self.name).and_then(|named| self.env.value(&named));
            if let Some(Ok(value)) = named {
                return Ok(Some(Found { source: self.name, value: value.to_owned() }));
            }
        }
        let mut first: Option<Found> = None;
        for name in names() {
            match (self.env.value(name), &first) {
                (None, _) => {}
                (Some(Err(())), _) => return Err((name, "is not Unicode text".to_owned())),
                (Some(Ok(value)), None) => {
                    first = Some(Found { source: name, value: value.to_owned() });
                }
                (Some(Ok(value)), Some(found)) if value == found.value => {}
                (Some(Ok(_)), Some(found)) => {
                    return Err((
                        name,
                        format!("has another value than {}, which means the same", found.source),
                    ));
                }
            }
        }
        Ok(first)
    }
}
