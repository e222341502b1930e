//! Reads what a backend answered. Liberal in what may be missing, strict in what is there: a reply that can't be
//! sent has to show up as the backend's mistake, not as one of WhatsApp's.

use serde::Deserialize;
use serde_json::Value;
use whatsapp::outbound::{OutboundMessage, TEXT_LIMIT, split_text};

/// An answer with more is a mistake of the backend: nobody wants that many at once, and Meta would block the number.
const MOST_MESSAGES: usize = 20;

/// What is to be said, in order. Empty: nothing.
#[derive(Debug, Default)]
pub struct Answer {
    pub messages: Vec<OutboundMessage>,
}

/// Why an answer can't be used. Holds no content of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the backend's answer can't be used: {0}")]
pub struct Unreadable(pub String);

#[derive(Deserialize)]
struct Fields {
    #[serde(default, deserialize_with = "present")]
    reply: Option<Value>,
    #[serde(default)]
    messages: Option<Vec<Value>>,
}

/// Tells `"reply": null` (say nothing) from no `reply` at all.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// `{"reply": "…"}`, `{"reply": null}`, `{"messages": […]}` or both, reply first. A reply that is longer than
/// WhatsApp takes is split at a word.
pub fn read_answer(body: &[u8]) -> Result<Answer, Unreadable> {
    // serde takes a list for a struct, too.
    if !body.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<&serde_json::value::RawValue>(body).is_ok()
    {
        return Err(Unreadable("it is not a JSON object".to_owned()));
    }
    let fields: Fields = serde_json::from_slice(body)
        .map_err(|error| Unreadable(format!("it is not the JSON expected ({})", category(&error))))?;
    let mut answer = Answer::default();
    match fields.reply {
        Some(Value::String(text)) => {
            answer.messages.extend(split_text(&text, TEXT_LIMIT).into_iter().map(OutboundMessage::text));
        }
        Some(Value::Null) => {}
        None if fields.messages.is_some() => {}
        None => return Err(Unreadable("it has neither \"reply\" nor \"messages\"".to_owned())),
        Some(_) => return Err(Unreadable("\"reply\" is neither a string nor null".to_owned())),
    }
    for (index, message) in fields.messages.into_iter().flatten().enumerate() {
        let message = OutboundMessage::from_json(message).map_err(|invalid| {
            Unreadable(format!("messages[{index}].{}: {}", invalid.field, invalid.problem))
        })?;
        answer.messages.push(message);
    }
    if answer.messages.len() > MOST_MESSAGES {
        let count = answer.messages.len();
        return Err(Unreadable(format!("it comes to {count} messages, more than {MOST_MESSAGES}")));
    }
    Ok(answer)
}

/// serde_json's own message may quote the text.
fn category(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io | serde_json::error::Category::Syntax => "invalid JSON",
        serde_json::error::Category::Data => "a field has another type than promised",
        serde_json::error::Category::Eof => "it ends too early",
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(body: &str) -> Result<Vec<String>, Unreadable> {
        let answer = read_answer(body.as_bytes())?;
        Ok(answer
            .messages
            .iter()
            .map(|message| message.as_json()["text"]["body"].as_str().unwrap().to_owned())
            .collect())
    }

    #[test]
    fn what_may_be_answered() {
        for (body, said) in [
            (r#"{"original":"hi","reply":"hello"}"#, vec!["hello"]),
            (r#"{"reply":"hello","more":[1]}"#, vec!["hello"]),
            (r#"{"reply":null}"#, vec![]),
            (r#"{"reply":""}"#, vec![]),
            (r#"{"reply":" \n "}"#, vec![]),
            (r#"{"messages":[]}"#, vec![]),
            (r#"{"messages":null,"reply":"a"}"#, vec!["a"]),
            (r#"{"reply":"a","messages":[{"type":"text","text":{"body":"b"}}]}"#, vec!["a", "b"]),
        ] {
            assert_eq!(texts(body).unwrap(), said, "{body}");
        }
    }

    #[test]
    fn what_is_the_backends_mistake() {
        for (body, says) in [
            ("", "ends too early"),
            ("<html>busy</html>", "invalid JSON"),
            ("[]", "not a JSON object"),
            ("\"hi\"", "not a JSON object"),
            ("{}", "neither"),
            (r#"{"messages":null}"#, "neither"),
            (r#"{"reply":7}"#, "neither a string nor null"),
            (r#"{"messages":"x"}"#, "another type"),
            (r#"{"messages":[{"type":"text"}]}"#, "messages[0].text"),
        ] {
            let error = texts(body).unwrap_err().to_string();
            assert!(error.contains(says), "{body}: {error}");
        }
    }

    #[test]
    fn a_flood_is_a_mistake() {
        let message = r#"{"type":"text","text":{"body":"b"}}"#;
        let answer = |count: usize| format!(r#"{{"messages":[{}]}}"#, vec![message; count].join(","));
        assert_eq!(texts(&answer(20)).unwrap().len(), 20);
        assert!(texts(&answer(21)).unwrap_err().to_string().contains("21 messages"));
    }

    #[test]
    fn an_error_never_quotes_the_answer() {
        let error = texts(r#"{"reply": "a secret, "#).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_long_reply_becomes_several_messages() {
        let long = "word ".repeat(2_000);
        let said = texts(&serde_json::json!({ "reply": long }).to_string()).unwrap();
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|text| text.chars().count() <= TEXT_LIMIT));
        assert_eq!(said.join(" ").split_whitespace().count(), 2_000);
    }
}
