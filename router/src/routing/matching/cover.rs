//! Which matchers never get a message, because another that is asked before takes every one of theirs.

use super::{Comparison, Matcher};

impl Matcher {
    /// True only when every message that `later` matches is matched by this one too; false where that can't be told,
    /// as between two regular expressions.
    pub fn covers(&self, later: &Self) -> bool {
        let types = self.types.is_empty()
            || (!later.types.is_empty() && later.types.iter().all(|name| self.types.contains(name)));
        let reply_id = self.reply_id.is_none() || self.reply_id == later.reply_id;
        types
            && reply_id
            && covers(self.text.as_ref(), later.text.as_ref())
            && covers(self.from.as_ref(), later.from.as_ref())
    }
}

fn covers(earlier: Option<&Comparison>, later: Option<&Comparison>) -> bool {
    use Comparison::{Exact, Prefix, Regex};
    let Some(earlier) = earlier else { return true };
    match (earlier, later) {
        (Exact(earlier), Some(Exact(later))) => earlier == later,
        (Prefix(earlier), Some(Exact(later) | Prefix(later))) => later.starts_with(earlier.as_str()),
        (Regex(earlier), Some(Regex(later))) => earlier.as_str() == later.as_str(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::objects::{Match, TextMatch, TextMatchType},
        routing::matching::Facts,
    };

    fn matcher(of: &Match) -> Matcher {
        Matcher::compile(of).unwrap()
    }

    fn text(match_type: TextMatchType, value: &str) -> Matcher {
        let text = Some(TextMatch { match_type, value: value.to_owned() });
        matcher(&Match { text, ..Match::default() })
    }

    #[test]
    fn what_is_wider_covers_what_is_narrower() {
        use TextMatchType::{Exact, Prefix, Regex};
        let order = text(Prefix, "Order");
        assert!(Matcher::everything().covers(&order) && !order.covers(&Matcher::everything()));
        assert!(order.covers(&text(Exact, "order 4711")));
        assert!(order.covers(&text(Prefix, "orders")));
        assert!(!text(Exact, "order").covers(&order));
        assert!(!text(Regex, "^order").covers(&text(Exact, "order")));
        assert!(text(Regex, "^order").covers(&text(Regex, "^order")));
    }

    fn comparison() -> impl Strategy<Value = Option<TextMatch>> {
        let kind =
            prop_oneof![Just(TextMatchType::Exact), Just(TextMatchType::Prefix), Just(TextMatchType::Regex)];
        prop::option::of(
            (kind, "[ aAb]{1,3}").prop_map(|(match_type, value)| TextMatch { match_type, value }),
        )
    }

    fn one() -> impl Strategy<Value = Match> {
        let types = prop::sample::subsequence(vec!["text".to_owned(), "button".to_owned()], 0..=2);
        (types, comparison(), comparison(), prop::option::of("[xy]"))
            .prop_map(|(types, text, from, reply_id)| Match { types, text, from, reply_id })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        /// A rule that is called unreachable by mistake would be taken out by somebody.
        #[test]
        fn what_is_covered_is_never_matched_alone(
            earlier in one(), later in one(), said in prop::option::of("[ aAb]{0,4}"),
            from in prop::option::of("[ab]{0,3}"), reply_id in prop::option::of("[xy]"),
            message_type in prop_oneof![Just("text"), Just("button")],
        ) {
            let (earlier, later) = (matcher(&earlier), matcher(&later));
            let facts = Facts {
                message_type, text: said.as_deref(), from: from.as_deref(), reply_id: reply_id.as_deref(),
            };
            if earlier.covers(&later) && later.matches(&facts) {
                prop_assert!(earlier.matches(&facts), "{:?}", facts);
            }
        }
    }
}
