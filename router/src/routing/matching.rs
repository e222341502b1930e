//! Which messages a rule is about, compiled once and asked for every message: pure, bounded in time.

mod cover;

use std::cmp::Reverse;

use regex::{Regex, RegexBuilder};
use whatsapp::message::{Content, InboundMessage};

use crate::config::objects::{Match, TextMatch, TextMatchType};

/// Memory of one compiled expression; `regex` refuses what would need more, and matches in linear time.
const REGEX_BYTES: usize = 256 * 1024;

/// What rules can look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    pub message_type: &'a str,
    /// What the person said, as they saw it.
    pub text: Option<&'a str>,
    /// The sender's number, digits only; absent for people who hide it.
    pub from: Option<&'a str>,
    /// The id of the chosen button or row, or a template button's payload.
    pub reply_id: Option<&'a str>,
}

impl<'a> Facts<'a> {
    pub fn of(message: &'a InboundMessage) -> Self {
        let reply_id = match &message.content {
            Content::Button { payload, .. } => payload.as_deref(),
            Content::Interactive(reply) => reply.id(),
            _ => None,
        };
        Self {
            message_type: &message.message_type,
            text: message.text(),
            from: message.from.as_deref(),
            reply_id,
        }
    }
}

/// One compiled match: everything in it has to be true.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    types: Vec<String>,
    text: Option<Comparison>,
    from: Option<Comparison>,
    reply_id: Option<String>,
}

#[derive(Debug, Clone)]
enum Comparison {
    /// In lower case.
    Exact(String),
    /// In lower case.
    Prefix(String),
    Regex(Regex),
}

impl Matcher {
    /// Matches every message.
    pub fn everything() -> Self {
        Self::default()
    }

    /// The error says which field is wrong, and why.
    pub fn compile(of: &Match) -> Result<Self, String> {
        let comparison = |field: &str, of: &Option<TextMatch>| {
            of.as_ref().map(|of| Comparison::compile(of).map_err(|why| format!("{field}: {why}"))).transpose()
        };
        Ok(Self {
            types: of.types.clone(),
            text: comparison("text", &of.text)?,
            from: comparison("from", &of.from)?,
            reply_id: of.reply_id.clone(),
        })
    }

    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let compare = |comparison: &Option<Comparison>, value: Option<&str>| {
            comparison.as_ref().is_none_or(|comparison| value.is_some_and(|value| comparison.matches(value)))
        };
        (self.types.is_empty() || self.types.iter().any(|name| name == facts.message_type))
            && self.reply_id.as_deref().is_none_or(|id| facts.reply_id == Some(id))
            && compare(&self.from, facts.from)
            && compare(&self.text, facts.text)
    }

    /// More says more: who comes first when several rules of the same priority match.
    pub fn specificity(&self) -> Specificity {
        Specificity {
            reply_id: self.reply_id.is_some(),
            text: self.text.as_ref().map(Comparison::weight),
            from: self.from.as_ref().map(Comparison::weight),
            fewest_types: (!self.types.is_empty()).then_some(Reverse(self.types.len())),
        }
    }
}

/// Compared field by field, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    reply_id: bool,
    text: Option<(u8, usize)>,
    from: Option<(u8, usize)>,
    fewest_types: Option<Reverse<usize>>,
}

impl Comparison {
    fn compile(of: &TextMatch) -> Result<Self, String> {
        Ok(match of.match_type {
            TextMatchType::Exact => Self::Exact(of.value.trim().to_lowercase()),
            TextMatchType::Prefix => Self::Prefix(of.value.trim_start().to_lowercase()),
            TextMatchType::Regex => Self::Regex(
                RegexBuilder::new(&of.value)
                    .case_insensitive(true)
                    .size_limit(REGEX_BYTES)
                    .dfa_size_limit(REGEX_BYTES)
                    .build()
                    .map_err(|error| match error {
                        regex::Error::CompiledTooBig(_) => {
                            "the expression is too big: make its repetitions smaller".to_owned()
                        }
                        error => format!("is no regular expression: {}", last_line(&error.to_string())),
                    })?,
            ),
        })
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(wanted) => same_letters(value.trim(), wanted).is_some_and(|rest| rest.is_empty()),
            Self::Prefix(wanted) => same_letters(value.trim_start(), wanted).is_some(),
            Self::Regex(expression) => expression.is_match(value),
        }
    }

    /// Exact before expression before prefix; the longer before the shorter.
    fn weight(&self) -> (u8, usize) {
        match self {
            Self::Exact(value) => (3, value.len()),
            Self::Regex(expression) => (2, expression.as_str().len()),
            Self::Prefix(value) => (1, value.len()),
        }
    }
}

/// What is left of `value` after `wanted`, which is in lower case already; `None` when it does not begin so.
fn same_letters<'a>(value: &'a str, wanted: &str) -> Option<&'a str> {
    let mut rest = value.chars();
    let mut left = wanted.chars().peekable();
    while left.peek().is_some() {
        for letter in rest.next()?.to_lowercase() {
            if left.next() != Some(letter) {
                return None;
            }
        }
    }
    Some(rest.as_str())
}

/// `regex` draws the place over several lines and says at the end what is wrong.
fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(match_type: TextMatchType, value: &str) -> Matcher {
        let text = Some(TextMatch { match_type, value: value.to_owned() });
        Matcher::compile(&Match { text, ..Match::default() }).unwrap()
    }

    fn says(text: &str) -> Facts<'_> {
        Facts { message_type: "text", text: Some(text), from: Some("4915112345678"), reply_id: None }
    }

    #[test]
    fn texts_are_compared_as_people_mean_them() {
        use TextMatchType::{Exact, Prefix, Regex};
        for (kind, value, said, matches) in [
            (Exact, "Stop", "stop", true),
            (Exact, "stop", " STOP \n", true),
            (Exact, "stop", "stop it", false),
            (Exact, "stop", "sto", false),
            (Exact, "straße", "STRAßE", true),
            (Exact, "i̇", "İ", true),
            (Prefix, "order ", "Order 4711", true),
            (Prefix, "order", "  orders", true),
            (Prefix, "order", "my order", false),
            (Regex, r"^#\d+$", "#42", true),
            (Regex, "help|hilfe", "bitte HILFE", true),
            (Regex, r"^\d+$", "4 2", false),
        ] {
            assert_eq!(text(kind, value).matches(&says(said)), matches, "{kind:?} {value:?} {said:?}");
        }
        assert!(!text(Prefix, "a").matches(&Facts { text: None, ..says("") }), "no text, no match");
    }

    #[test]
    fn everything_given_has_to_be_true() {
        let matcher = Matcher::compile(&Match {
            types: vec!["text".to_owned(), "button".to_owned()],
            from: Some(TextMatch { match_type: TextMatchType::Prefix, value: "49".to_owned() }),
            reply_id: Some("buy".to_owned()),
            ..Match::default()
        })
        .unwrap();
        let right = Facts { message_type: "button", reply_id: Some("buy"), ..says("Buy now") };
        assert!(matcher.matches(&right));
        for wrong in [
            Facts { message_type: "image", ..right },
            Facts { from: Some("33612345678"), ..right },
            Facts { from: None, ..right },
            Facts { reply_id: Some("sell"), ..right },
            Facts { reply_id: None, ..right },
        ] {
            assert!(!matcher.matches(&wrong), "{wrong:?}");
        }
        assert!(Matcher::everything().matches(&Facts::default()));
    }

    #[test]
    fn a_wrong_or_huge_expression_is_refused_with_its_field() {
        let refused = |value: &str| {
            let text = Some(TextMatch { match_type: TextMatchType::Regex, value: value.to_owned() });
            Matcher::compile(&Match { text, ..Match::default() }).unwrap_err()
        };
        assert_eq!(refused("(a"), "text: is no regular expression: unclosed group");
        assert!(refused(r"(?=a)").contains("look-around"));
        assert!(refused(r"\w{5000}").contains("too big"));
    }

    #[test]
    fn who_says_more_comes_first() {
        use TextMatchType::{Exact, Prefix, Regex};
        let typed = |types: &[&str]| {
            let types = types.iter().map(|name| (*name).to_owned()).collect();
            Matcher::compile(&Match { types, ..Match::default() }).unwrap()
        };
        let by_button =
            Matcher::compile(&Match { reply_id: Some("x".to_owned()), ..Match::default() }).unwrap();
        let order = [
            by_button,
            text(Exact, "order"),
            text(Regex, "^order"),
            text(Prefix, "order 1"),
            text(Prefix, "order"),
            typed(&["text"]),
            typed(&["text", "image"]),
            Matcher::everything(),
        ];
        assert!(order.windows(2).all(|pair| pair[0].specificity() > pair[1].specificity()));
    }

    proptest! {
        #[test]
        fn a_prefix_matches_whatever_follows(prefix in "[a-zäöü]{1,8}", rest in "\\PC{0,20}") {
            let said = format!("{}{rest}", prefix.to_uppercase());
            prop_assert!(text(TextMatchType::Prefix, &prefix).matches(&says(&said)));
            prop_assert_eq!(
                text(TextMatchType::Exact, &prefix).matches(&says(&said)),
                said.trim().to_lowercase() == prefix
            );
        }
    }
}
