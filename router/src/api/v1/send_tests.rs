//! Bodies that are sent, and those that are refused with the field named.

use poem::http::HeaderMap;
use secrecy::SecretString;
use whatsapp::client::Number;

use super::*;
use crate::{api::keys::Keys, pacing::Limits};

fn table(names: &[&str]) -> Table {
    let channels = names.iter().enumerate().map(|(at, name)| Channel {
        name: Arc::from(*name),
        number: Number::new(&format!("10{at}"), "v25.0", &SecretString::from("token")).unwrap(),
        app_secrets: Vec::new(),
        verify_token: SecretString::from("verify"),
        limits: Limits::default(),
    });
    Table::new(channels.collect(), Vec::new()).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => panic!("a body is an object"),
    }
}

fn read(value: Value) -> Result<Sendable, (String, String)> {
    Sendable::read(object(value), &table(&["default"])).map_err(|problem| {
        assert_eq!((problem.status().as_u16(), problem.code()), (400, "invalid_message"));
        (problem.field().unwrap_or_default().to_owned(), problem.detail().to_owned())
    })
}

#[test]
fn a_text_goes_to_a_number_or_a_user_id() {
    let sendable = read(json!({"to": "+1 555-010-0001", "type": "text", "text": {"body": "hi"}})).unwrap();
    assert_eq!((&*sendable.channel, &*sendable.contact.key), ("default", "15550100001"));
    assert_eq!(sendable.contact.wa_id.as_deref(), Some("15550100001"));
    assert_eq!(sendable.message.to_json_string(), r#"{"text":{"body":"hi"},"type":"text"}"#);
    assert!(sendable.needs_open_window());

    let whole = json!({"messaging_product": "whatsapp", "recipient_type": "individual", "recipient": "US.1349",
        "channel": "default", "type": "template", "template": {"name": "hello", "language": {"code": "en"}}});
    let sendable = read(whole).unwrap();
    assert_eq!((&*sendable.contact.key, sendable.contact.user_id.as_deref()), ("US.1349", Some("US.1349")));
    assert!(!sendable.needs_open_window());
}

#[test]
fn what_is_wrong_is_named() {
    let with = |field: &str, value: Value| {
        let mut body = json!({"to": "15550100001", "type": "text", "text": {"body": "hi"}});
        body[field] = value;
        body
    };
    for (body, field, words) in [
        (with("to", Value::Null), "to", "is missing"),
        (with("to", json!(15_550_100_001_i64)), "to", "put it into quotes"),
        (with("to", json!("ada")), "to", "not a phone number"),
        (with("to", json!("0170 123456")), "to", "country code"),
        (with("recipient", json!("US.1")), "recipient", "together with to"),
        (json!({"recipient": "", "type": "text", "text": {"body": "a"}}), "recipient", "user id"),
        (json!({"recipient": "a b", "type": "text", "text": {"body": "a"}}), "recipient", "user id"),
        (with("channel", json!("other")), "channel", "none of default"),
        (with("channel", json!(1)), "channel", "quotes"),
        (with("type", json!("poll")), "type", "none of text"),
        (with("type", Value::Null), "type", "is missing"),
        (with("type", json!("image")), "image", "is missing"),
        (with("text", json!("hi")), "text", "not an object"),
        (with("text", json!({})), "text.body", "is missing"),
        (with("text", json!({"body": " \n"})), "text.body", "is empty"),
        (with("text", json!({"body": "é".repeat(4097)})), "text.body", "4097 characters"),
        (with("context", json!({})), "context.message_id", "is missing"),
        (with("messaging_product", json!("telegram")), "messaging_product", "whatsapp"),
        (with("recipient_type", json!("group")), "recipient_type", "individual"),
        (with("biz_opaque_callback_data", json!("mine")), "biz_opaque_callback_data", "leave it out"),
        (with("status", json!("read")), "status", "leave it out"),
        (json!({}), "to", "is missing"),
    ] {
        let (named, detail) = read(body.clone()).unwrap_err();
        assert!(named == field && detail.contains(words), "{body} => {named}: {detail}");
        assert!(!detail.contains("ada") && !detail.contains("0170"), "nothing is quoted: {detail}");
    }
    assert!(read(with("text", json!({"body": "é".repeat(4096)}))).is_ok());
}

#[test]
fn with_several_channels_one_has_to_be_named() {
    let body = object(json!({"to": "15550100001", "type": "text", "text": {"body": "hi"}}));
    let two = table(&["sales", "support"]);
    let problem = Sendable::read(body.clone(), &two).unwrap_err();
    assert_eq!(problem.detail(), "channel is missing; write one of sales, support");
    let mut named = body.clone();
    named.insert("channel".to_owned(), json!("support"));
    assert_eq!(&*Sendable::read(named, &two).unwrap().channel, "support");
    assert_eq!(Sendable::read(body, &Table::default()).unwrap_err().field(), Some("channel"));
}

fn caller(key: &str) -> Hashed {
    let headers: HeaderMap =
        [("x-api-key".parse().unwrap(), key.parse().unwrap())].into_iter().collect::<HeaderMap>();
    Keys::new(&[SecretString::from(key)]).check(&headers).unwrap()
}

#[test]
fn the_same_call_is_known_by_its_key_and_its_content() {
    let [one, two] = ["first-key-of-sixteen", "second-key-of-sixteen"].map(caller);
    let of = |caller, key: &str, body: &str| {
        idempotency(caller, Some(key), &serde_json::from_str(body).unwrap()).unwrap().unwrap()
    };
    let first = of(one, "k", r#"{"a": {"x": 1, "y": [1, "2"]}, "b": null}"#);
    assert_eq!(first, of(one, "k", r#"{"b":null,"a":{"y":[1,"2"],"x":1}}"#), "spelling does not matter");
    assert_ne!(first.key, of(two, "k", "{}").key, "each caller has their own keys");
    assert_ne!(first.key, of(one, "K", "{}").key);
    for other in [
        r#"{"a": {"x": 1, "y": [1, "2"]}}"#,
        r#"{"a": {"x": 1, "y": [1, 2]}, "b": null}"#,
        r#"{"a": {"x": 1, "y": ["2", 1]}, "b": null}"#,
        r#"{"a": {"x": 1, "y": [[1], "2"]}, "b": null}"#,
        r#"{"a": {"x": true, "y": [1, "2"]}, "b": null}"#,
        r#"{"a": {"x": 1}, "y": [1, "2"], "b": null}"#,
    ] {
        assert_ne!(first.fingerprint, of(one, "k", other).fingerprint, "{other}");
    }
}

#[test]
fn an_idempotency_key_is_short_and_visible() {
    let check = |key: &str| idempotency(caller("first-key-of-sixteen"), Some(key), &Map::new());
    for key in ["a", "6f1c9b1e-0c2a-4f6e-9d3f-2b7b1a0c9e11", &"x".repeat(255)] {
        assert!(check(key).is_ok(), "{key}");
    }
    for key in ["", "a b", "\u{e9}", &"x".repeat(256)] {
        assert_eq!(check(key).unwrap_err().field(), Some("Idempotency-Key"), "{key}");
    }
    assert_eq!(idempotency(caller("first-key-of-sixteen"), None, &Map::new()), Ok(None));
}
