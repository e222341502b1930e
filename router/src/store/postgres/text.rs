//! Text as PostgreSQL takes it: everything but the zero character, which what comes from outside may contain.

use std::{borrow::Cow, sync::Arc};

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::store::Contact;

/// Writes a zero character as U+FFFD, so that one such character can't keep a whole webhook from being stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        (&*clean(self.0)).to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        <&str as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The contact as it is stored, for comparing with what was stored.
pub(super) fn clean_contact(contact: &Arc<Contact>) -> Arc<Contact> {
    let optional = |text: &Option<String>| text.as_deref().map(|text| clean(text).into_owned());
    let Contact { key, wa_id, user_id, username, name } = &**contact;
    if [Some(key), wa_id.as_ref(), user_id.as_ref(), username.as_ref(), name.as_ref()]
        .into_iter()
        .flatten()
        .all(|text| !text.contains('\0'))
    {
        return contact.clone();
    }
    Arc::new(Contact {
        key: clean(key).into_owned(),
        wa_id: optional(wa_id),
        user_id: optional(user_id),
        username: optional(username),
        name: optional(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_zero_character_is_replaced() {
        assert_eq!(clean("a\u{1}ü"), "a\u{1}ü");
        assert_eq!(clean("a\0b"), "a\u{fffd}b");
        let contact =
            Contact { key: "k".into(), wa_id: None, user_id: None, username: None, name: Some("\0".into()) };
        assert_eq!(clean_contact(&Arc::new(contact)).name.as_deref(), Some("\u{fffd}"));
    }
}
