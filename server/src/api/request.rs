//! Reads `{"text": "…"}` straight from the bytes of the body, and says exactly what is wrong when that fails.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Object,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{Any, Example, Type},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use service::http::{Problem, body::read_limited};

/// The longest body that is read, in bytes. WhatsApp's longest text has 4,096 characters.
const MAX_BODY: usize = 1024 * 1024;

/// A message to reply to. Fields that are not named here are ignored.
#[derive(Object)]
#[oai(rename = "ProcessRequest", example)]
struct ProcessRequest {
    /// What the person wrote; may be empty.
    text: String,
    /// The whole message as the router knows it. The reply does not depend on it.
    message: Option<BTreeMap<String, Any<serde_json::Value>>>,
}

impl Example for ProcessRequest {
    fn example() -> Self {
        let message = [("id", "wamid.HBgL"), ("type", "text"), ("channel", "support")];
        let message = message.map(|(field, value)| (field.to_owned(), Any(value.into())));
        Self { text: "hello".to_owned(), message: Some(BTreeMap::from(message)) }
    }
}

/// The body as it came in, whatever its content type says, and the request that it came with.
#[derive(Debug)]
pub(super) struct ProcessBody<'r> {
    pub(super) request: &'r Request,
    /// Kept, so that a body which could not be read is counted like any other bad request.
    pub(super) bytes: Result<Bytes, Problem>,
}

impl<'r> ApiExtractor<'r> for ProcessBody<'r> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        ProcessRequest::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = ProcessRequest::schema_ref();
        let content = vec![MetaMediaType { content_type: "application/json", schema }];
        Some(MetaRequest { description: Some("At most 1 MiB."), content, required: true })
    }

    async fn from_request(
        request: &'r Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> Result<Self> {
        let bytes = read_limited(request.headers(), body.take()?, MAX_BODY).await;
        Ok(Self { request, bytes })
    }
}

/// The part of a request that is looked at. Everything else in it is skipped, not stored.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming<'b> {
    /// Borrowed from the body unless it holds escapes.
    #[serde(borrow)]
    pub(super) text: Cow<'b, str>,
}

impl<'b> Incoming<'b> {
    /// The error says which field is wrong and how, without quoting it.
    pub(super) fn parse(body: &'b [u8]) -> Result<Self, String> {
        let text =
            std::str::from_utf8(body).map_err(|_| "the body is not UTF-8; send JSON in UTF-8".to_owned())?;
        // Without this an array would be read as the fields of an object in order.
        if text.trim_ascii_start().starts_with('{')
            && let Ok(incoming) = serde_json::from_str(text)
        {
            return Ok(incoming);
        }
        Err(explain(text))
    }
}

/// Reads the body again, slowly, to find out what is wrong with it. Values are looked at without being built, so
/// that no depth of nesting is too much.
fn explain(body: &str) -> String {
    if body.trim_ascii().is_empty() {
        return "the body is empty; send a JSON object with a string named text".to_owned();
    }
    let value: &RawValue = match serde_json::from_str(body) {
        Ok(value) => value,
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return format!("the body is not valid JSON (line {line}, column {column}); send a JSON object");
        }
    };
    if !value.get().starts_with('{') {
        return format!("the body is {}; send a JSON object with a string named text", kind_of(value));
    }
    let Ok(fields) = serde_json::from_str::<BTreeMap<Cow<'_, str>, &RawValue>>(value.get()) else {
        return "the name of a field is not valid text; send pairs of surrogates".to_owned();
    };
    match fields.get("text") {
        None => "text is missing; send it as a string".to_owned(),
        Some(text) if !text.get().starts_with('"') => format!("text is {}; send a string", kind_of(text)),
        Some(text) if serde_json::from_str::<String>(text.get()).is_err() => {
            "text holds half of a surrogate pair; send whole characters".to_owned()
        }
        Some(_) => "text is there more than once; send it once".to_owned(),
    }
}

fn kind_of(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_a_string_is_all_that_is_needed() {
        for (body, text) in [
            (r#"{"text":"hello"}"#, "hello"),
            (" \n{\"text\": \"\"}\t", ""),
            (r#"{"message":{"raw":[1,{"text":2}]},"text":"hi","more":null}"#, "hi"),
            (r#"{"text":"hi","message":"anything"}"#, "hi"),
            (r#"{"text":"\u00e9\n\ud83d\ude00"}"#, "é\n😀"),
        ] {
            assert_eq!(Incoming::parse(body.as_bytes()).unwrap().text, text, "{body}");
        }
    }

    #[test]
    fn a_text_without_escapes_is_not_copied() {
        assert!(matches!(Incoming::parse(br#"{"text":"hello"}"#).unwrap().text, Cow::Borrowed("hello")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let deep = format!(r#"{{"message":{}{},"text":1}}"#, "[".repeat(500), "]".repeat(500));
        for (body, words) in [
            (&b""[..], "body is empty"),
            (b"  \n", "body is empty"),
            (b"hello", "not valid JSON (line 1"),
            (br#"{"text":"a""#, "not valid JSON"),
            (br#"{"text":"a"} trailing"#, "not valid JSON"),
            (br#"{"text":"\ud800"}"#, "half of a surrogate pair"),
            (br#"{"\ud800":1,"text":"a","text":"b"}"#, "name of a field"),
            (b"{\"text\":\"a\nb\"}", "not valid JSON (line 1, column 10)"),
            (deep.as_bytes(), "text is a number"),
            (b"{\"text\":\"\xff\"}", "not UTF-8"),
            (br#"["hello"]"#, "body is an array"),
            (br#""text""#, "body is a string"),
            (b"null", "body is null"),
            (b"{}", "text is missing"),
            (br#"{"Text":"a"}"#, "text is missing"),
            (br#"{"text":null}"#, "text is null"),
            (br#"{"text":5}"#, "text is a number"),
            (br#"{"text":true}"#, "text is a boolean"),
            (br#"{"text":["a"]}"#, "text is an array"),
            (br#"{"text":{"body":"a"}}"#, "text is an object"),
            (br#"{"text":"a","text":"b"}"#, "more than once"),
        ] {
            let reason = Incoming::parse(body).unwrap_err();
            assert!(reason.contains(words), "{} => {reason}", String::from_utf8_lossy(body));
        }
    }
}
