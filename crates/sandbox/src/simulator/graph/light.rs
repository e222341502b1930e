//! The short way for plain text messages under load: one pass over the body, nothing recorded. Whatever is unusual about a
//! body takes the long way, which decides the same and says what is wrong.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};

use crate::simulator::{
    shared::Shared,
    statuses::{self, SentMessage},
    wamid::{self, Author},
};

#[derive(Deserialize)]
struct Text<'a> {
    messaging_product: &'a str,
    to: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    text: Content<'a>,
    #[serde(borrow, default)]
    biz_opaque_callback_data: Option<Cow<'a, str>>,
    status: Option<IgnoredAny>,
    recipient_type: Option<&'a str>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    body: Cow<'a, str>,
}

/// The answer's body, or `None` when the long way has to look at it.
pub(super) fn take(shared: &Shared, number: usize, body: &[u8]) -> Option<Bytes> {
    let text: Text<'_> = serde_json::from_slice(body).ok()?;
    let to = text.to.strip_prefix('+').unwrap_or(text.to);
    if !is_plain(&text, to) {
        return None;
    }
    if let Some(observer) = shared.observer.get() {
        observer.taken(to, &text.text.body);
    }
    let id = wamid::fresh(to, Author::Business);
    let answer = format!(
        r#"{{"messaging_product":"whatsapp","contacts":[{{"input":"{}","wa_id":"{to}"}}],"messages":[{{"id":"{id}"}}]}}"#,
        text.to
    );
    if let Some(observer) = shared.observer.get() {
        observer.named(to, &id, text.biz_opaque_callback_data.as_deref());
    }
    let callback_data = text.biz_opaque_callback_data.map(Cow::into_owned);
    let sent =
        SentMessage { number, id, recipient_id: to.to_owned(), recipient_user_id: None, callback_data };
    statuses::plan(shared, &sent);
    Some(Bytes::from(answer))
}

fn is_plain(text: &Text<'_>, to: &str) -> bool {
    text.messaging_product == "whatsapp"
        && text.kind == "text"
        && text.status.is_none()
        && text.recipient_type.is_none_or(|kind| kind == "individual")
        && (5..=15).contains(&to.len())
        && to.bytes().all(|byte| byte.is_ascii_digit())
        // Bytes instead of characters: longer ones are few, and the long way counts them rightly.
        && (1..=4096).contains(&text.text.body.len())
        && text.biz_opaque_callback_data.as_ref().is_none_or(|data| data.len() <= 512)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certainly_right_takes_the_short_way() {
        for (body, plain) in [
            (
                r#"{"messaging_product":"whatsapp","to":"+12025550143","type":"text","text":{"body":"a\n"}}"#,
                true,
            ),
            (
                r#"{"messaging_product":"whatsapp","to":"12025550143","type":"text","text":{"body":""}}"#,
                false,
            ),
            (r#"{"messaging_product":"whatsapp","to":"1 202","type":"text","text":{"body":"a"}}"#, false),
            (r#"{"messaging_product":"sms","to":"12025550143","type":"text","text":{"body":"a"}}"#, false),
            (
                r#"{"messaging_product":"whatsapp","to":"12025550143","recipient_type":"group","type":"text","text":{"body":"a"}}"#,
                false,
            ),
        ] {
            let text: Text<'_> = serde_json::from_str(body).unwrap();
            assert_eq!(is_plain(&text, text.to.trim_start_matches('+')), plain, "{body}");
        }
    }
}
