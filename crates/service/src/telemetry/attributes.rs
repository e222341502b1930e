//! What spans say about themselves, in the form in which it is sent: nothing is kept that would have to be encoded later.

use super::encode;

/// What an attribute says. Never a phone number, a name, a text or a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A word, a name out of the configuration, or an id of ours.
    Text(&'a str),
    /// A number.
    Number(i64),
}

impl<'a, T: AsRef<str> + ?Sized> From<&'a T> for Value<'a> {
    fn from(text: &'a T) -> Self {
        Self::Text(text.as_ref())
    }
}

impl From<u16> for Value<'_> {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Attributes that many spans have in common, encoded once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds one; the name is one of [`super::semconv`] or begins with `whatsapp_router.`.
    #[must_use]
    pub fn with<'a>(mut self, name: &str, value: impl Into<Value<'a>>) -> Self {
        encode::attribute(&mut self.0, name, value.into());
        self
    }

    /// The same, when there is something to say.
    #[must_use]
    pub fn with_some<'a>(self, name: &str, value: Option<impl Into<Value<'a>>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    pub(super) fn encoded(&self) -> &[u8] {
        &self.0
    }
}
