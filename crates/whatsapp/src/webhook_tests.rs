//! Bodies as Meta documents them, as it really sends them, and as nobody should.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::message::InboundMessage;

fn envelope(value: &Json) -> String {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]})
        .to_string()
}

fn value(rest: &Json) -> Json {
    let mut value = json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"},
    });
    value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    value
}

fn messages(body: &str) -> Vec<InboundMessage> {
    let webhook = parse(body.as_bytes()).unwrap();
    let message = |item: Item<'_>| match item.kind {
        ItemKind::Message(message) => Some(*message),
        _ => None,
    };
    webhook.items.into_iter().filter_map(message).collect()
}

#[test]
fn a_message_is_tied_to_its_contact() {
    let body = envelope(&value(&json!({
        "contacts": [
            {"profile": {"name": "Bo"}, "wa_id": "2"},
            {"profile": {"name": "Ada", "username": "ada"}, "wa_id": "1", "user_id": "US.1"},
        ],
        "messages": [{"from": "1", "id": "wamid.1", "timestamp": "1760000000", "type": "text", "text": {"body": "hi"}}],
    })));
    let webhook = parse(body.as_bytes()).unwrap();
    assert_eq!(webhook.items[0].phone_number_id.as_deref(), Some("106540352242922"));
    assert_eq!((webhook.items[0].waba_id.as_deref(), &*webhook.items[0].field), (Some("1"), "messages"));
    let [message] = &messages(&body)[..] else { panic!("one message") };
    assert_eq!(message.contact.key(), Some("US.1"));
    assert_eq!((message.contact.wa_id.as_deref(), message.contact.name.as_deref()), (Some("1"), Some("Ada")));
    assert_eq!((message.timestamp, message.text()), (Some(1_760_000_000), Some("hi")));
}

#[test]
fn who_sent_it_is_found_whatever_is_missing() {
    let text = json!({"id": "wamid.1", "type": "text", "text": {"body": "hi"}});
    let with = |from: Json, contacts: Json| {
        let mut message = text.clone();
        message.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
        let body = envelope(&value(&json!({"contacts": contacts, "messages": [message]})));
        messages(&body).remove(0).contact.key().map(str::to_owned)
    };
    for (from, contacts, key) in [
        (json!({"from": "1"}), json!([]), Some("1")),
        (json!({"from": "1"}), Json::Null, Some("1")),
        (json!({"from_user_id": "US.1"}), json!([]), Some("US.1")),
        (json!({"from": "1", "from_user_id": "US.1"}), json!([]), Some("US.1")),
        (json!({}), json!([{"wa_id": "1"}]), Some("1")),
        (json!({}), json!([{"user_id": "US.1", "profile": "odd"}]), Some("US.1")),
        (json!({}), json!([{"wa_id": "1"}, {"wa_id": "2"}]), None),
        (json!({}), json!([]), None),
        (json!({"from": ""}), json!([{"wa_id": "1"}]), Some("1")),
        (json!({"from": "3"}), json!([{"wa_id": "1", "user_id": "US.1"}]), Some("3")),
    ] {
        assert_eq!(with(from.clone(), contacts.clone()).as_deref(), key, "{from} {contacts}");
    }
}

#[test]
fn every_entry_change_and_item_is_walked() {
    let change = |ids: &[&str]| {
        let messages: Vec<_> = ids.iter().map(|id| json!({"id": id, "from": "1", "type": "text"})).collect();
        json!({"field": "messages", "value": value(&json!({"messages": messages}))})
    };
    let body = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "1", "changes": [change(&["a", "b"]), change(&["c"])]},
        {"id": "2", "changes": [change(&["d"])]},
    ]});
    let ids: Vec<_> = messages(&body.to_string()).into_iter().map(|message| message.id).collect();
    assert_eq!(ids, ["a", "b", "c", "d"]);
}

#[test]
fn one_bad_item_does_not_sink_its_neighbours() {
    let body = envelope(&value(&json!({
        "messages": [
            {"from": "1", "type": "text"},
            "not an object",
            {"id": "wamid.good", "from": "1", "type": "text", "text": {"body": 7}},
            null,
        ],
        "statuses": [{"id": "wamid.2"}, {"id": "wamid.3", "status": "sent"}],
        "errors": [{"code": 130429, "title": "limit"}, {"title": "no code"}],
    })));
    let kinds: Vec<_> = parse(body.as_bytes())
        .unwrap()
        .items
        .iter()
        .map(|item| match &item.kind {
            ItemKind::Message(_) => "message",
            ItemKind::Status(_) => "status",
            ItemKind::Echo(_) => "echo",
            ItemKind::Error(_) => "error",
            ItemKind::Change => "change",
            ItemKind::Unreadable(_) => "unreadable",
        })
        .collect();
    assert_eq!(
        kinds,
        ["unreadable", "unreadable", "message", "unreadable", "unreadable", "status", "error", "error"]
    );
}

#[test]
fn other_fields_are_kept_as_they_are() {
    let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[
        {"field":"account_update","value":{"event":"VERIFIED_ACCOUNT", "x" : 1.50}},
        {"field":"smb_message_echoes","value":{"metadata":{"phone_number_id":"9"},"messages":[{"id":"e"}]}},
        {"field":"flows"}]}]}"#;
    let webhook = parse(body.as_bytes()).unwrap();
    let seen: Vec<_> =
        webhook.items.iter().map(|item| (&*item.field, item.phone_number_id.as_deref())).collect();
    assert_eq!(seen, [("account_update", None), ("smb_message_echoes", Some("9")), ("flows", None)]);
    assert_eq!(webhook.items[0].raw, r#"{"event":"VERIFIED_ACCOUNT", "x" : 1.50}"#);
}

#[test]
fn an_echo_says_to_whom_or_is_unreadable() {
    let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[
        {"field":"smb_message_echoes","value":{"metadata":{"phone_number_id":"9"},"message_echoes":[
            {"from":"1","to":"2","id":"e","timestamp":"3","type":"text","text":{"body":"I"}},{"from":"1","id":"f","type":"text"}]}}]}]}"#;
    let items = parse(body.as_bytes()).unwrap().items;
    let ItemKind::Echo(echo) = &items[0].kind else { panic!("not an echo") };
    assert_eq!((echo.to.as_str(), echo.message.id.as_str(), echo.message.text()), ("2", "e", Some("I")));
    assert!(matches!(items[1].kind, ItemKind::Unreadable(_)) && items.len() == 2);
}

#[test]
fn json_with_nothing_in_it_has_no_items() {
    for body in [
        "{}",
        "[]",
        "null",
        "7",
        r#"{"object":"page","entry":[{"changes":[{"field":"messages","value":{"messages":[{}]}}]}]}"#,
        r#"{"object":"whatsapp_business_account"}"#,
        r#"{"object":"whatsapp_business_account","entry":{}}"#,
        r#"{"object":"whatsapp_business_account","entry":[1,null,{"changes":7}]}"#,
    ] {
        assert_eq!(parse(body.as_bytes()).unwrap().items.len(), 0, "{body}");
    }
}

#[test]
fn what_is_not_json_says_where() {
    for body in [&b""[..], b"hello", b"{\"a\":", b"{} {}", b"\xff\xfe", b"{\"a\":\"\xff\"}"] {
        assert!(parse(body).is_err(), "{body:?}");
    }
}

#[test]
fn odd_texts_pass_unharmed() {
    for text in ["\0", "'\"\\", "שלום", "👩‍👩‍👧", "a\u{202e}b", ""] {
        let body = envelope(&value(
            &json!({"messages": [{"id": "1", "from": "2", "type": "text", "text": {"body": text}}]}),
        ));
        // As Meta writes it: everything that is not ASCII is escaped.
        let escaped: String = body
            .encode_utf16()
            .map(|unit| match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
                _ => format!("\\u{unit:04x}"),
            })
            .collect();
        for body in [body, escaped] {
            assert_eq!(messages(&body)[0].text(), Some(text));
        }
    }
    let half = r#"{"id":"1","from":"2","type":"text","text":{"body":"x\ud83d"}}"#;
    let body = envelope(&value(&json!({"messages": ["HERE"]}))).replace("\"HERE\"", half);
    assert_eq!(messages(&body)[0].text(), Some("x\u{fffd}"));
}

/// What no documentation speaks of.
const ODD: &[&str] = &[
    "null",
    "true",
    "-7",
    "1.5",
    "1e999",
    "-99999999999999999999999999",
    r#""""#,
    r#"" \u0000 ""#,
    r#""\ud83d""#,
    r#""9999999999999999999""#,
    "[]",
    "[[[]]]",
    r#"[null,1e999,"x",{},{"code":{}},{"code":1,"code":"x"}]"#,
    "{}",
    r#"{"\udc00":1,"id":{},"body":[],"title":1e999}"#,
    r#"{"id":"a","id":1e999,"body":"a","body":null,"button_reply":7,"button_reply":{"id":[]}}"#,
];

#[test]
fn no_field_with_anything_in_it_costs_the_item() {
    let fields = "from_user_id timestamp group_id context button interactive image video audio document sticker \
        location reaction system edit revoke errors recipient_id recipient_type recipient_user_id \
        biz_opaque_callback_data participant_recipient_id conversation pricing";
    for field in fields.split_whitespace() {
        for odd in ODD {
            let rest = format!(
                r#""id":"wamid.1","type":"text","text":{{"body":"hi"}},"status":"read","{field}":{odd}"#
            );
            let ItemKind::Message(message) = kind(&format!(r#""messages":[{{{rest}}}]"#)) else {
                panic!("{rest}")
            };
            assert_eq!((message.id.as_str(), message.text()), ("wamid.1", Some("hi")), "{rest}");
            let ItemKind::Status(status) = kind(&format!(r#""statuses":[{{{rest}}}]"#)) else {
                panic!("{rest}")
            };
            assert_eq!((status.id.as_str(), status.status.label()), ("wamid.1", "read"), "{rest}");
        }
    }
    for field in ["metadata", "contacts", "statuses", "errors", "messaging_product"] {
        for odd in ODD {
            let rest = format!(r#"{{"messages":[{{"id":"wamid.1","from":"1"}}],"{field}":{odd}}}"#);
            let body = envelope(&json!("HERE")).replace("\"HERE\"", &rest);
            assert_eq!(messages(&body).len(), 1, "{rest}");
        }
    }
}

/// The one item of a value of which nothing but `rest` is known.
fn kind(rest: &str) -> ItemKind {
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"changes":[{{"field":"messages","value":{{{rest}}}}}]}}]}}"#
    );
    let mut items = parse(body.as_bytes()).unwrap().items;
    assert_eq!(items.len(), 1, "{rest}");
    items.remove(0).kind
}

#[test]
fn an_odd_part_costs_nothing_but_itself() {
    for odd in [
        r#""errors":[{"title":"no code"}]"#,
        r#""errors":[{"code":{}},7,[],{"code":1,"code":2}]"#,
        r#""timestamp":1e999"#,
        r#""timestamp":99999999999999999999999999"#,
        r#""location":{"latitude":-1e999,"longitude":[]}"#,
        r#""context":{"id":1e999,"forwarded":"maybe","referred_product":[{}]}"#,
        r#""context":{"id":"a","id":"b"}"#,
        r#""\ud83d":"\ud83d""#,
        r#""type":"text""#,
        r#""image":{"id":{"id":{"id":[[[[]]]]}}},"group_id":"""#,
    ] {
        let json = format!(r#"{{"id":"wamid.1","from":"1","type":"text","text":{{"body":"hi"}},{odd}}}"#);
        let ItemKind::Message(message) = kind(&format!(r#""messages":[{json}]"#)) else { panic!("{odd}") };
        assert_eq!((message.text(), message.contact.key()), (Some("hi"), Some("1")), "{odd}");
        assert_eq!((message.timestamp, message.group_id), (None, None), "{odd}");
    }
    for odd in [r#""errors":[{"title":"x"}]"#, r#""timestamp":1e999,"errors":[{"code":1e999}]"#] {
        let ItemKind::Status(status) =
            kind(&format!(r#""statuses":[{{"id":"wamid.1","status":"failed",{odd}}}]"#))
        else {
            panic!("{odd}")
        };
        assert_eq!(
            (status.status.label(), status.errors[0].code),
            ("failed", crate::error::NO_CODE),
            "{odd}"
        );
    }
}

#[test]
fn an_odd_envelope_loses_no_message() {
    let message = r#"{"id":"wamid.1","from":"1","type":"text","text":{"body":"hi"}}"#;
    let value = format!(r#"{{"metadata":{{"phone_number_id":"9"}},"messages":[{message}]}}"#);
    let change = format!(r#"{{"field":"messages","value":{value}}}"#);
    let entry = format!(r#"{{"id":"1","changes":[{change}]}}"#);
    let object = r#""object":"whatsapp_business_account""#;
    for body in [
        format!(r#" {{{object},"entry":[{entry}]}} "#),
        format!(r#"{{{object},"entry":null,"entry":[{entry}]}}"#),
        format!(r#"{{"\ud83d":1e999,{object},{object},"entry":[{entry}]}}"#),
        format!(r#"{{{object},"entry":[[],1e999,"\ud83d",{entry}]}}"#),
        format!(r#"{{{object},"entry":[{{"id":"1","id":"1","changes":[{change}]}}]}}"#),
        format!(r#"{{{object},"entry":[{{"id":1e999,"changes":[null,[{change}],{change}]}}]}}"#),
        format!(
            r#"{{{object},"entry":[{{"changes":[{{"field":"messages","field":"messages","value":{value}}}]}}]}}"#
        ),
        format!(
            r#"{{"entry":[{{"changes":[{{"value":{value},"field":"m\u0065ssages","\udc00":0}}]}}],{object}}}"#
        ),
    ] {
        let webhook = parse(body.as_bytes()).unwrap();
        let [item] = &webhook.items[..] else { panic!("{body}") };
        assert!(matches!(item.kind, ItemKind::Message(_)), "{body}");
        assert_eq!((item.raw, item.phone_number_id.as_deref()), (message, Some("9")), "{body}");
    }
    assert!(matches!(kind(r#""messages":1e999"#), ItemKind::Unreadable(_)));
    assert!(matches!(kind(r#""metadata":["9"],"messages":[["wamid.1"]]"#), ItemKind::Unreadable(_)));
}

#[test]
fn deep_nesting_is_no_danger() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        for message in [
            format!(r#"{{"id":"1","from":"2","type":"text","text":{{"body":"hi"}},"x":{deep}}}"#),
            format!(
                r#"{{"id":"1","from":"2","type":"text","text":{{"body":"hi"}},"context":{deep},"errors":{deep}}}"#
            ),
        ] {
            let ItemKind::Message(message) = kind(&format!(r#""messages":[{message}],"contacts":{deep}"#))
            else {
                panic!("not a message")
            };
            assert_eq!(message.text(), Some("hi"));
        }
        assert!(matches!(kind(&format!(r#""statuses":[{deep}]"#)), ItemKind::Unreadable(_)));
        assert_eq!(parse(deep.as_bytes()).unwrap().items.len(), 0);
        assert!(parse(&deep.as_bytes()[..deep.len() - 1]).is_err());
    }
}

#[test]
fn nothing_of_a_person_is_shown() {
    let body = envelope(&value(&json!({
        "contacts": [{"profile": {"name": "Ada Secret", "username": "secret"}, "wa_id": "15550100001"}],
        "messages": [
            {"from": "15550100001", "id": "wamid.1", "type": "text", "text": {"body": "secret"}, "context": {"from": "15550100001"}},
            {"from": "15550100001", "id": "wamid.2", "type": "image", "image": {"caption": "secret", "filename": "secret"}},
            {"from": "15550100001", "id": "wamid.3", "type": "interactive", "interactive": {"button_reply": {"title": "secret"}}},
        ],
        "statuses": [{"id": "wamid.4", "status": "failed", "recipient_id": "15550100001", "errors": [{"code": 1, "message": "secret"}]}],
        "errors": [{"code": 1, "error_data": {"details": "secret 15550100001"}}],
    })));
    let webhook = parse(body.as_bytes()).unwrap();
    let messages = messages(&body);
    let contents: Vec<_> =
        messages.iter().map(|one| (&one.content, &one.context, &one.media, &one.contact)).collect();
    let shown = format!("{webhook:?} {contents:?}");
    assert!(shown.contains("wamid.4") && shown.contains("Interactive(Button)"), "{shown}");
    assert!(!shown.to_lowercase().contains("secret") && !shown.contains("15550100001"), "{shown}");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&body);
    }

    #[test]
    fn nor_does_a_valid_body_with_something_wrong(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = envelope(&value(&json!({
            "contacts": [{"profile": {"name": "A"}, "wa_id": "1"}],
            "messages": [{"id": "1", "from": "2", "type": "text", "timestamp": "3", "text": {"body": "\u{1f600}"}}],
            "statuses": [{"id": "1", "status": "sent", "errors": [{"code": 1}]}],
        }))).into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        if let Ok(webhook) = parse(&body) {
            for item in webhook.items {
                let kept = std::str::from_utf8(&body).unwrap().contains(item.raw);
                prop_assert!(kept || item.raw == "null", "a change without a value has nothing to keep");
            }
        }
    }
}
