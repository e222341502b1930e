//! Field readers that take what comes: Meta's payloads differ from its documentation (numbers as strings,
//! nulls, missing objects), and a field of another type must not cost us the message around it.
//!
//! Each looks at the field's own text, so that not even a number without bounds or half a character is an error.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::raw;

/// The last second of the year 9999. What is later, or before 1970, is no time of a message.
const LAST_SECOND: i64 = 253_402_300_799;

/// A string; a whole number becomes its digits, anything else nothing.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    read(deserializer, |raw| raw::text(Some(raw)).map(Cow::into_owned))
}

/// A text that is not empty: an empty one in place of an id names nothing.
pub(crate) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    read(deserializer, |raw| raw::given(Some(raw)).map(Cow::into_owned))
}

/// An integer, or a string of one.
pub(crate) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    read(deserializer, raw::number)
}

/// Unix seconds, or a string of them.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    read(deserializer, |raw| raw::number(raw).filter(|seconds| (0..=LAST_SECOND).contains(seconds)))
}

/// Any number, or a string of one.
pub(crate) fn float<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    read(deserializer, |raw| raw::number(raw).filter(|number: &f64| number.is_finite()))
}

/// A boolean, or a string of one.
pub(crate) fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    read(deserializer, |raw| raw.get().trim_matches('"').parse().ok())
}

/// An object; anything else is nothing.
pub(crate) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    read(deserializer, |raw| raw::object(raw.get()).ok())
}

/// The objects of a list; anything else is an empty list.
pub(crate) fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    read(deserializer, |raw| raw::objects(Some(raw)))
}

fn read<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: impl FnOnce(&'de RawValue) -> T,
) -> Result<T, D::Error> {
    <&RawValue>::deserialize(deserializer).map(read)
}
