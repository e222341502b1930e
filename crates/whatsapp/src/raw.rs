//! Reads parts of a JSON text that stays borrowed, so that each item of a webhook keeps its exact text.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The elements of a list; nothing for anything else.
pub(crate) fn elements(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The fields of an object; none for anything else.
pub(crate) fn fields<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// A string, borrowed where it has no escapes; a number becomes its digits.
pub(crate) fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let json = raw?.get();
    match json.as_bytes().first()? {
        b'"' if !json.contains('\\') => Some(Cow::Borrowed(&json[1..json.len() - 1])),
        b'"' => typed::<String>(json).ok().map(Cow::Owned),
        b'-' | b'0'..=b'9' => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// Reads `json`; if half a surrogate pair makes that impossible, U+FFFD takes the half's place.
pub(crate) fn typed<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(json).or_else(|error| match mend_surrogates(json) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

/// What is wrong, without quoting what was read.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    format!("not as documented at line {} column {}", error.line(), error.column())
}

/// The same JSON with `\ufffd` for each half of a surrogate pair that stands alone; `None` when there is none.
fn mend_surrogates(json: &str) -> Option<String> {
    let bytes = json.as_bytes();
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(backslash) = bytes[at..].iter().position(|&byte| byte == b'\\').map(|found| at + found) {
        match escape(bytes, backslash) {
            Some(0xD800..=0xDBFF) if matches!(escape(bytes, backslash + 6), Some(0xDC00..=0xDFFF)) => {
                at = backslash + 12;
            }
            Some(0xD800..=0xDFFF) => {
                mended.push_str(&json[copied..backslash]);
                mended.push_str("\\ufffd");
                at = backslash + 6;
                copied = at;
            }
            Some(_) => at = backslash + 6,
            // `\\`, `\"`, `\n` and the like.
            None => at = (backslash + 2).min(bytes.len()),
        }
    }
    (copied > 0).then(|| {
        mended.push_str(&json[copied..]);
        mended
    })
}

/// The code unit of the escape `\uXXXX` that starts at `at`.
fn escape(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0_u16, |unit, &digit| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u16::try_from(value).ok())
            .map(|value| unit << 4 | value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lone_surrogates_are_replaced() {
        for (json, mended) in [
            (r#""plain""#, None),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""a\ud83d""#, Some(r#""a\ufffd""#)),
            (r#""\ude00b""#, Some(r#""\ufffdb""#)),
            (r#""\uD83D\ud83d\ude00\uDC00""#, Some(r#""\ufffd\ud83d\ude00\ufffd""#)),
            (r#""\ud83d\u0041""#, Some(r#""\ufffd\u0041""#)),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            (r#""ä\ud83dß""#, Some(r#""ä\ufffdß""#)),
        ] {
            assert_eq!(mend_surrogates(json).as_deref(), mended, "{json}");
        }
    }

    #[test]
    fn strings_are_borrowed_when_they_can_be() {
        for (json, value, borrowed) in [
            (r#""ab""#, Some("ab"), true),
            ("123", Some("123"), true),
            (r#""a\nb""#, Some("a\nb"), false),
            (r#""a\ud83d""#, Some("a\u{fffd}"), false),
            ("null", None, true),
            ("[1]", None, true),
            ("true", None, true),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let read = text(Some(raw));
            assert_eq!(read.as_deref(), value, "{json}");
            assert_eq!(matches!(read, None | Some(Cow::Borrowed(_))), borrowed, "{json}");
        }
    }
}
