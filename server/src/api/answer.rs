//! Writes the answer in one go: the text is escaped straight into the body, twice, and copied nowhere else.

use poem::{IntoResponse, Response};
use poem_openapi::{
    Object,
    payload::Payload,
    registry::{MetaSchemaRef, Registry},
    types::{Example, Type},
};
use serde::{Serialize, Serializer};

use crate::reply::{Reply, reply};

/// The reply to a message.
#[derive(Object)]
#[oai(rename = "ProcessAnswer", example)]
struct ProcessAnswer {
    /// The text as it came in.
    original: String,
    /// What to send back.
    reply: String,
}

impl Example for ProcessAnswer {
    fn example() -> Self {
        Self { original: "hello".to_owned(), reply: reply("hello", 4711).to_string() }
    }
}

#[derive(Serialize)]
struct Written<'t> {
    original: &'t str,
    #[serde(serialize_with = "write_reply")]
    reply: Reply<'t>,
}

fn write_reply<S: Serializer>(reply: &Reply<'_>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reply)
}

/// What the answer holds besides the text, twice.
const ROOM_FOR_THE_REST: usize = 128;

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer(Vec<u8>);

impl Answer {
    pub(super) fn new(text: &str, reply: Reply<'_>) -> Self {
        let mut body = Vec::with_capacity(2 * text.len() + ROOM_FOR_THE_REST);
        serde_json::to_writer(&mut body, &Written { original: text, reply })
            .expect("text can always be written to memory");
        Self(body)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        Response::builder().content_type("application/json").body(self.0)
    }
}

impl Payload for Answer {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        ProcessAnswer::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ProcessAnswer::register(registry);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(text: &str) -> Vec<u8> {
        Answer::new(text, reply(text, 1234)).0
    }

    #[test]
    fn the_room_is_enough_for_a_text_without_escapes() {
        let text = "a".repeat(1000);
        assert!(body(&text).len() <= 2 * text.len() + ROOM_FOR_THE_REST);
    }

    proptest! {
        #[test]
        fn any_text_survives_the_way_through_json(text in any::<String>()) {
            let read: serde_json::Value = serde_json::from_slice(&body(&text)).unwrap();
            let expected = serde_json::json!({"original": text, "reply": reply(&text, 1234).to_string()});
            prop_assert_eq!(read, expected);
        }
    }
}
