//! Takes a PromQL expression apart, as far as one has to in order to say whether it could ever have a value. Pure.

/// Operators that compare, the longer ones first.
const COMPARISONS: [&str; 6] = ["==", "!=", ">=", "<=", ">", "<"];
const AGGREGATIONS: [&str; 12] = [
    "sum",
    "min",
    "max",
    "avg",
    "count",
    "group",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "quantile",
    "count_values",
];
/// What is followed by a list of labels.
const LABEL_LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OTHER_WORDS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];

/// What an alert compares, without the comparison: it has a value whenever the alert could fire. `absent` is taken
/// away, too, and `offset`, since nothing is a week old in a test. A comparison of two series is refused.
pub(super) fn without_comparisons(expression: &str) -> Result<String, String> {
    let mut kept = String::new();
    let mut tokens = Tokens(expression);
    while let Some(token) = tokens.next() {
        let is_word = |word: &str| token.kind == Kind::Word && token.text == word;
        if token.kind == Kind::Comparison {
            let mut next = tokens.next_significant();
            if next.is_some_and(|next| next.text == "bool") {
                // Such a comparison takes nothing away: it has the value 0 or 1.
                kept.push_str(token.text);
                kept.push_str(" bool ");
                continue;
            }
            if next.is_some_and(|next| next.text == "-") {
                next = tokens.next_significant();
            }
            if next.is_none_or(|next| next.kind != Kind::Number) {
                return Err(format!("{expression}: compares with something other than a number"));
            }
        } else if is_word("offset") {
            tokens.next_significant();
        } else if !is_word("absent") {
            kept.push_str(token.text);
        }
    }
    Ok(kept.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Every selector of series in the expression, without range and offset.
pub(super) fn selectors(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut tokens = Tokens(expression);
    while let Some(token) = tokens.next() {
        match token.kind {
            Kind::Word if LABEL_LISTS.contains(&token.text) => {
                tokens.skip_space();
                if let Some(list) = tokens.0.strip_prefix('(') {
                    tokens.0 = list.split_once(')').map_or("", |(_, rest)| rest);
                }
            }
            Kind::Word if AGGREGATIONS.contains(&token.text) || OTHER_WORDS.contains(&token.text) => {}
            Kind::Word => {
                tokens.skip_space();
                let matchers = match tokens.clone().next() {
                    Some(next) if next.text == "(" => continue,
                    Some(next) if next.kind == Kind::Matchers => {
                        tokens.next();
                        next.text
                    }
                    _ => "",
                };
                found.push(format!("{}{matchers}", token.text));
            }
            Kind::Matchers => found.push(token.text.to_owned()),
            Kind::Comparison | Kind::Number | Kind::Range | Kind::Text | Kind::Other => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    /// Durations, too.
    Number,
    Comparison,
    /// `{…}`.
    Matchers,
    /// `[…]`.
    Range,
    Text,
    /// A single character.
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Token<'e> {
    kind: Kind,
    text: &'e str,
}

/// What is left of the expression.
#[derive(Debug, Clone)]
struct Tokens<'e>(&'e str);

impl<'e> Tokens<'e> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start();
    }

    fn next_significant(&mut self) -> Option<Token<'e>> {
        self.skip_space();
        self.next()
    }

    fn next(&mut self) -> Option<Token<'e>> {
        let first = self.0.chars().next()?;
        let (kind, length) = match first {
            'a'..='z' | 'A'..='Z' | '_' | ':' => {
                (Kind::Word, self.run(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':'))
            }
            '0'..='9' => (Kind::Number, self.run(|c| c.is_ascii_alphanumeric() || c == '.')),
            '"' | '\'' => (Kind::Text, text_length(self.0)),
            '{' => (Kind::Matchers, closed_length(self.0, '}')),
            '[' => (Kind::Range, closed_length(self.0, ']')),
            _ => match COMPARISONS.iter().find(|operator| self.0.starts_with(**operator)) {
                Some(operator) => (Kind::Comparison, operator.len()),
                None => (Kind::Other, first.len_utf8()),
            },
        };
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(Token { kind, text })
    }

    fn run(&self, belongs: impl Fn(char) -> bool) -> usize {
        self.0.find(|c| !belongs(c)).unwrap_or(self.0.len())
    }
}

/// Of the quoted text at the beginning.
fn text_length(rest: &str) -> usize {
    let mut escaped = false;
    let quote = rest.chars().next();
    // Without the quote that opens it.
    for (at, c) in rest.char_indices().skip(1) {
        if !escaped && Some(c) == quote {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// Up to the bracket that closes the one at the beginning; there may be quoted ones between.
fn closed_length(rest: &str, close: char) -> usize {
    let mut at = 0;
    while let Some(c) = rest[at..].chars().next() {
        at += if c == '"' || c == '\'' { text_length(&rest[at..]) } else { c.len_utf8() };
        if c == close {
            return at;
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_alert_compares_is_left() {
        for (expression, left) in [
            ("max by (channel) (abs(gap)) > 0", "max by (channel) (abs(gap))"),
            ("a:b:rate1h > 0.0144 and a:b:rate5m > 0.0144", "a:b:rate1h and a:b:rate5m"),
            ("absent(build_info)", "(build_info)"),
            ("up == 0 and on (job) (x or y)", "up and on (job) (x or y)"),
            ("open / most > 0.8", "open / most"),
            (
                "sum(increase(n[1h])) == 0 and sum(increase(n[1h] offset 1w)) > 10",
                "sum(increase(n[1h])) and sum(increase(n[1h] ))",
            ),
            (r#"rate(n{a=">= 1",b!~"x > 2"}[5m]) >= -1e3"#, r#"rate(n{a=">= 1",b!~"x > 2"}[5m])"#),
            ("sum(max by (name) (state) == bool 2)", "sum(max by (name) (state) == bool 2)"),
        ] {
            assert_eq!(without_comparisons(expression).as_deref(), Ok(left), "{expression}");
        }
        assert!(without_comparisons("a > b").is_err());
    }

    #[test]
    fn every_selector_is_found_and_nothing_else() {
        for (expression, found) in [
            ("up", vec!["up"]),
            (
                "sum by (le, job) (rate(n_bucket{a=\"}\", b=~\"x|y\"}[5m]))",
                vec!["n_bucket{a=\"}\", b=~\"x|y\"}"],
            ),
            ("histogram_quantile(0.99, sum without(a) (n)) > 1", vec!["n"]),
            ("increase({__name__=~\"a|b\"}[1h]) > 0", vec!["{__name__=~\"a|b\"}"]),
            ("a offset 1w and on (namespace, job) (b or c) == bool 2", vec!["a", "b", "c"]),
            ("x:y:rate5m / ignoring (x) group_left (y) max(x:y:rate5m)", vec!["x:y:rate5m"]),
            ("max(n) by (z) unless (m unless m offset 30m)", vec!["m", "n"]),
        ] {
            assert_eq!(selectors(expression), found, "{expression}");
        }
    }
}
