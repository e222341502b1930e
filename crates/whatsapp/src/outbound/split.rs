//! Cuts a text that is too long for one message, where a person would: between lines, else between words.

use unicode_segmentation::GraphemeCursor;

/// Pieces of at most `limit` characters, in order; only white space at the cuts is lost. No piece is empty or
/// blank. A word longer than the limit is cut inside, but not within what a person sees as one character if that
/// can be avoided.
pub fn split_text(text: &str, limit: usize) -> Vec<&str> {
    let limit = limit.max(1);
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let Some((over, _)) = rest.char_indices().nth(limit) else {
            push(&mut pieces, rest);
            return pieces;
        };
        let cut = cut_at(rest, over);
        push(&mut pieces, rest[..cut].trim_end());
        rest = rest[cut..].trim_start();
    }
}

fn push<'t>(pieces: &mut Vec<&'t str>, piece: &'t str) {
    if !piece.trim().is_empty() {
        pieces.push(piece);
    }
}

/// Where to cut `rest` so that what is before fits; `over` is the byte after the last character that fits.
fn cut_at(rest: &str, over: usize) -> usize {
    // The character at `over` may itself be the white space to cut at.
    let next = rest[over..].chars().next().map_or(over, |char| over + char.len_utf8());
    let window = &rest[..next];
    let half = over / 2;
    // A line end far at the front would leave a short piece: a word further on reads better.
    let line = window.rfind('\n').filter(|at| *at > half);
    let word = || window.rfind(char::is_whitespace).filter(|at| *at > 0);
    line.or_else(word).unwrap_or_else(|| between_clusters(rest, over))
}

/// The last place at or before `over` that is not inside a grapheme cluster (an emoji of several characters, a
/// letter with its marks); `over` when the first cluster is too long already.
fn between_clusters(rest: &str, over: usize) -> usize {
    let mut cursor = GraphemeCursor::new(over, rest.len(), true);
    // Neither can fail: the whole text is at hand.
    if cursor.is_boundary(rest, 0) == Ok(true) {
        return over;
    }
    cursor.prev_boundary(rest, 0).ok().flatten().filter(|at| *at > 0).unwrap_or(over)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_where_a_person_would() {
        for (text, limit, pieces) in [
            ("", 5, vec![]),
            (" \n ", 5, vec![]),
            ("short", 5, vec!["short"]),
            ("one two", 5, vec!["one", "two"]),
            ("one two", 3, vec!["one", "two"]),
            ("one  two", 4, vec!["one", "two"]),
            ("one two three four", 9, vec!["one two", "three", "four"]),
            ("first line\nand more", 14, vec!["first line", "and more"]),
            ("a\nlong words here", 12, vec!["a\nlong words", "here"]),
            ("abcdefgh", 3, vec!["abc", "def", "gh"]),
            (" leading", 4, vec![" lea", "ding"]),
            ("👩‍👩‍👧👩‍👩‍👧", 6, vec!["👩‍👩‍👧", "👩‍👩‍👧"]),
            ("🇩🇪🇫🇷🇮🇹", 3, vec!["🇩🇪", "🇫🇷", "🇮🇹"]),
            ("👍🏽👍🏽", 3, vec!["👍🏽", "👍🏽"]),
            ("กำกำกำกำ", 3, vec!["กำ", "กำ", "กำ", "กำ"]),
            ("किकिकि", 3, vec!["कि", "कि", "कि"]),
            ("e\u{301}e\u{301}", 3, vec!["e\u{301}", "e\u{301}"]),
            ("👩‍👩‍👧", 2, vec!["👩\u{200d}", "👩\u{200d}", "👧"]),
        ] {
            assert_eq!(split_text(text, limit), pieces, "{text:?} at {limit}");
        }
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_lost(text in r"[a-z \n😀🇩🇪é\u{200d}\u{301}กำकि]{0,80}", limit in 1usize..20) {
            let pieces = split_text(&text, limit);
            let visible = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
            prop_assert_eq!(visible(&pieces.concat()), visible(&text));
            for piece in pieces {
                prop_assert!(piece.chars().count() <= limit);
                prop_assert!(!piece.trim().is_empty());
            }
        }
    }
}
