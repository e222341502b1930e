//! For whom a webhook says that it is, read from a body that nobody vouches for: nothing is kept of it, nothing is
//! allocated by what it holds, and what is odd is passed over.

use std::{fmt, ops::ControlFlow};

use serde::{
    Deserialize, Deserializer as _,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::{Deserializer, value::RawValue};

use super::OBJECT;
use crate::raw::{given, text};

envelope! {
    Body { object, entry }
    Entry { changes }
    Change { value }
    Value { metadata }
    Metadata { phone_number_id }
}

/// Calls `each` with the phone number id of every change of `body`, until it breaks off.
pub fn each_number(body: &[u8], mut each: impl FnMut(&str) -> ControlFlow<()>) {
    let Ok(json) = std::str::from_utf8(body) else { return };
    let Ok(body) = serde_json::from_str::<Body<'_>>(json) else { return };
    if text(body.object).as_deref() != Some(OBJECT) {
        return;
    }
    let _ = each_element(body.entry, &mut |entry| {
        each_element(fields::<Entry<'_>>(Some(entry)).changes, &mut |change| {
            let value: Value<'_> = fields(fields::<Change<'_>>(Some(change)).value);
            let metadata: Metadata<'_> = fields(value.metadata);
            given(metadata.phone_number_id).map_or(ControlFlow::Continue(()), |number| each(&number))
        })
    });
}

/// As [`crate::raw::fields`], which makes room for the names of an object that has one twice; here that is odd.
fn fields<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

type Each<'f, 'a> = &'f mut dyn FnMut(&'a RawValue) -> ControlFlow<()>;

/// One after the other, so that a list costs no memory, however long it is.
fn each_element<'a>(list: Option<&'a RawValue>, each: Each<'_, 'a>) -> ControlFlow<()> {
    let Some(list) = list else { return ControlFlow::Continue(()) };
    let mut elements = Elements { each, flow: ControlFlow::Continue(()) };
    // Where it is no list or breaks off, there is no more to be found.
    let _ = Deserializer::from_str(list.get()).deserialize_seq(&mut elements);
    elements.flow
}

struct Elements<'f, 'a> {
    each: Each<'f, 'a>,
    flow: ControlFlow<()>,
}

impl<'a> Visitor<'a> for &mut Elements<'_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            self.flow = (self.each)(element);
            if self.flow.is_break() {
                return Err(A::Error::custom("enough was found"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::webhook::parse;

    fn found(body: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        each_number(body, |number| {
            found.push(number.to_owned());
            ControlFlow::Continue(())
        });
        found
    }

    fn change(number: &Json) -> Json {
        json!({"field": "messages", "value": {"metadata": {"phone_number_id": number}}})
    }

    fn envelope(entries: &Json) -> String {
        json!({"object": "whatsapp_business_account", "entry": entries}).to_string()
    }

    #[test]
    fn every_number_is_found_and_what_is_odd_is_passed_over() {
        let entries = json!([
            {"changes": [change(&json!("1")), 7, {}, change(&json!("")), change(&json!(2))]},
            "no entry",
            {"changes": {}},
            {"changes": [{"value": null}, {"value": {"metadata": []}}, change(&json!("1"))]},
        ]);
        assert_eq!(found(envelope(&entries).as_bytes()), ["1", "2", "1"]);
        let other = json!({"object": "instagram", "entry": [{"changes": [change(&json!("1"))]}]}).to_string();
        for body in ["", "{", "[]", "null", &other, "{\"object\":\"whatsapp_business_account\"}"] {
            assert_eq!(found(body.as_bytes()), [""; 0], "{body}");
        }
        assert_eq!(found(&[0xff, 0xfe]), [""; 0]);
    }

    #[test]
    fn what_is_left_is_not_looked_at_after_enough() {
        let many = |number| json!({"changes": [change(&json!(number)), change(&json!(number))]});
        let mut calls = 0;
        each_number(envelope(&json!([many("1"), many("2")])).as_bytes(), |number| {
            calls += 1;
            if calls < 3 {
                ControlFlow::Continue(())
            } else {
                assert_eq!(number, "2");
                ControlFlow::Break(())
            }
        });
        assert_eq!(calls, 3);
    }

    proptest! {
        /// With one item in each change, it is what the whole reading says.
        #[test]
        fn the_numbers_are_those_of_the_items(numbers in proptest::collection::vec("[0-9]{0,3}", 0..6)) {
            let entries: Vec<_> = numbers.iter().map(|number| json!({"changes": [change(&json!(number))]})).collect();
            let body = envelope(&json!(entries));
            let items = parse(body.as_bytes()).unwrap().items;
            let of_items: Vec<_> = items.iter().filter_map(|item| item.phone_number_id.as_deref()).collect();
            prop_assert_eq!(found(body.as_bytes()), of_items);
        }

        #[test]
        fn nothing_makes_it_fail(body in proptest::collection::vec(any::<u8>(), 0..64), cut in 0..200_usize) {
            found(&body);
            let whole = envelope(&json!([{"changes": [change(&json!("1"))]}]));
            found(&whole.as_bytes()[..cut.min(whole.len())]);
        }
    }
}
