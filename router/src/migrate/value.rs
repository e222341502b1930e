//! A column's value on its way from one database to the other, and how each of them writes it.

use bytes::{BufMut, BytesMut};
use rusqlite::types::ValueRef;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// The same whatever the database calls it: SQLite's 0 and 1 are PostgreSQL's booleans, 16 bytes are its UUIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// As SQLite has it. PostgreSQL takes every text but the zero character, which its store writes as U+FFFD, too.
    pub(super) fn of_sqlite(value: ValueRef<'_>) -> Result<Self, String> {
        Ok(match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Integer(number),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text).map_err(|_| "text that is not UTF-8".to_owned())?;
                Self::Text(text.replace('\0', "\u{fffd}"))
            }
            ValueRef::Blob(bytes) => Self::Bytes(bytes.to_vec()),
            ValueRef::Real(_) => return Err("a number with a fraction".to_owned()),
        })
    }

    pub(super) fn length(&self) -> usize {
        match self {
            Self::Null => 1,
            Self::Integer(_) => 8,
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        match (self, kind) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(number), &Type::BOOL) => (*number != 0).to_sql(kind, out),
            (Self::Integer(number), &Type::INT2) => i16::try_from(*number)?.to_sql(kind, out),
            (Self::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(kind, out),
            (Self::Integer(number), &Type::INT8) => number.to_sql(kind, out),
            (Self::Text(text), &Type::TEXT) => text.to_sql(kind, out),
            (Self::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(kind, out),
            (Self::Bytes(bytes), &Type::UUID) if bytes.len() == 16 => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
            _ => Err(format!("a value does not fit a column of type {kind}").into()),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::BOOL | Type::INT2 | Type::INT4 | Type::INT8 | Type::TEXT | Type::BYTEA | Type::UUID
        )
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        Ok(match *kind {
            Type::BOOL => Self::Integer(bool::from_sql(kind, raw)?.into()),
            Type::INT2 => Self::Integer(i16::from_sql(kind, raw)?.into()),
            Type::INT4 => Self::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT8 => Self::Integer(i64::from_sql(kind, raw)?),
            Type::TEXT => Self::Text(String::from_sql(kind, raw)?),
            _ => Self::Bytes(raw.to_vec()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, AnyError> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        <Self as ToSql>::accepts(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (value, kind) in [
            (Value::Integer(1), Type::BOOL),
            (Value::Integer(-3), Type::INT2),
            (Value::Integer(1 << 20), Type::INT4),
            (Value::Integer(i64::MIN), Type::INT8),
            (Value::Text("ä".to_owned()), Type::TEXT),
            (Value::Bytes(vec![0, 255]), Type::BYTEA),
            (Value::Bytes(vec![7; 16]), Type::UUID),
        ] {
            let mut out = BytesMut::new();
            assert!(matches!(value.to_sql(&kind, &mut out), Ok(IsNull::No)), "{kind}");
            assert_eq!(Value::from_sql(&kind, &out).unwrap(), value);
        }
        for (value, kind) in [
            (Value::Integer(1 << 20), Type::INT2),
            (Value::Bytes(vec![7; 15]), Type::UUID),
            (Value::Text(String::new()), Type::INT8),
        ] {
            assert!(value.to_sql(&kind, &mut BytesMut::new()).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_zero_character_becomes_what_the_store_makes_of_it() {
        assert_eq!(Value::of_sqlite(ValueRef::Text(b"a\0b")), Ok(Value::Text("a\u{fffd}b".to_owned())));
        assert!(Value::of_sqlite(ValueRef::Text(&[0xff])).is_err());
        assert!(Value::of_sqlite(ValueRef::Real(0.5)).is_err());
    }
}
