//! Reads parts of a JSON text that stays borrowed, so that each item of a webhook keeps its exact text, and so that
//! one part that can't be read costs none of the others.

use std::{borrow::Cow, collections::HashMap, fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{
        IntoDeserializer, MapAccess, Visitor,
        value::{CowStrDeserializer, MapAccessDeserializer, MapDeserializer},
    },
};
use serde_json::value::RawValue;

use crate::message::Unreadable;

/// The elements of a list; nothing for anything else.
pub(crate) fn elements(raw: Option<&RawValue>) -> Vec<&RawValue> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The objects of a list; what is no object is left out.
pub(crate) fn objects<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Vec<T> {
    // All at once is faster; one by one when one of them is odd.
    match raw.map(|raw| serde_json::from_str::<Vec<Object<T>>>(raw.get())) {
        Some(Ok(list)) => list.into_iter().map(|object| object.0).collect(),
        _ => elements(raw).into_iter().filter_map(|element| object(element.get()).ok()).collect(),
    }
}

/// The fields of an object; none for anything else.
pub(crate) fn fields<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| object(raw.get()).ok()).unwrap_or_default()
}

/// Reads an object. What is wrong with it is told without quoting it.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Unreadable> {
    if !json.trim_ascii_start().starts_with('{') {
        return Err(Unreadable("not an object".to_owned()));
    }
    let read = serde_json::from_str::<Object<T>>(json).map(|object| object.0).or_else(|_| odd_object(json));
    read.map_err(|error| {
        Unreadable(format!("not as documented at line {} column {}", error.line(), error.column()))
    })
}

/// Reads an object with names that serde refuses: one that is there twice (the last counts), or with half a
/// surrogate pair.
fn odd_object<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, serde_json::Error> {
    let fields: HashMap<Name<'a>, &'a RawValue> = serde_json::from_str(json)?;
    T::deserialize(MapDeserializer::new(fields.into_iter()))
}

/// An object, whereas serde alone would take a list for a struct, too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// A name of a field, whatever is in it.
#[derive(PartialEq, Eq, Hash)]
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, since these may be anything.
        deserializer.deserialize_bytes(NameVisitor).map(Name)
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Name<'de> {
    type Deserializer = CowStrDeserializer<'de, serde_json::Error>;

    fn into_deserializer(self) -> Self::Deserializer {
        self.0.into_deserializer()
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_borrowed_bytes<E>(self, name: &'de [u8]) -> Result<Cow<'de, str>, E> {
        Ok(String::from_utf8_lossy(name))
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(String::from_utf8_lossy(name).into_owned()))
    }
}

/// A string, borrowed where it has no escapes; a whole number becomes its digits. Nothing for anything else.
pub(crate) fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let json = raw?.get();
    match json.as_bytes().first()? {
        b'"' if !json.contains('\\') => Some(Cow::Borrowed(&json[1..json.len() - 1])),
        b'"' => string(json).ok().map(Cow::Owned),
        b'-' | b'0'..=b'9' if !json.contains(['.', 'e', 'E']) => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// A text that is not empty.
pub(crate) fn given(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    text(raw).filter(|text| !text.is_empty())
}

/// A number, or a string of one; nothing for anything else, or for what is no `T`.
pub(crate) fn number<T: FromStr>(raw: &RawValue) -> Option<T> {
    match raw.get().as_bytes().first()? {
        b'"' => text(Some(raw))?.trim().parse().ok(),
        b'-' | b'0'..=b'9' => raw.get().parse().ok(),
        _ => None,
    }
}

/// Reads a string; if half a surrogate pair makes that impossible, U+FFFD takes the half's place.
fn string(json: &str) -> Result<String, serde_json::Error> {
    serde_json::from_str(json).or_else(|error| match mend_surrogates(json) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
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
            ("1e5", None, true),
            ("1.5", None, true),
        ] {
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let read = text(Some(raw));
            assert_eq!(read.as_deref(), value, "{json}");
            assert_eq!(matches!(read, None | Some(Cow::Borrowed(_))), borrowed, "{json}");
        }
    }
}
