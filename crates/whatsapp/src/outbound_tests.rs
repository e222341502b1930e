//! Requests as Meta gets them, and bodies that never get that far.

use super::*;

fn sent(to: &Recipient) -> Value {
    let request = OutboundMessage::text("hi").request(to, "id-1").unwrap();
    serde_json::from_slice(&request).unwrap()
}

#[test]
fn the_request_names_the_number_or_else_the_user() {
    let number = Recipient { wa_id: Some("15550100001".into()), user_id: Some("US.1".into()) };
    assert_eq!(
        sent(&number),
        json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+15550100001",
            "type": "text", "text": {"body": "hi"}, "biz_opaque_callback_data": "id-1"
        })
    );
    let user = Recipient { wa_id: None, user_id: Some("US.1".into()) };
    assert_eq!((sent(&user)["recipient"].clone(), sent(&user).get("to").cloned()), (json!("US.1"), None));
    let nobody = OutboundMessage::text("hi").request(&Recipient::default(), "id").unwrap_err();
    assert_eq!(nobody.field, "to");
}

#[test]
fn who_is_meant_is_never_an_empty_text() {
    let sent_to = |wa_id: &str, user_id: &str| {
        let to = Recipient { wa_id: Some(wa_id.into()), user_id: Some(user_id.into()) };
        let request = OutboundMessage::text("hi").request(&to, "id").map_err(|invalid| invalid.field)?;
        let request: Value = serde_json::from_slice(&request).unwrap();
        Ok((request.get("to").cloned(), request.get("recipient").cloned()))
    };
    assert_eq!(sent_to("+1", "US.1"), Ok((Some(json!("+1")), None)));
    for empty in ["", "+", " "] {
        assert_eq!(sent_to(empty, "US.1"), Ok((None, Some(json!("US.1")))), "{empty:?}");
        assert_eq!(sent_to(empty, ""), Err("to".to_owned()), "{empty:?}");
    }
}

#[test]
fn a_caller_cannot_redirect_a_message() {
    let with = |field: &str, value: Value| {
        let mut body = json!({"type": "text", "text": {"body": "hi"}, "context": {"message_id": "wamid.1"}});
        body[field] = value;
        OutboundMessage::from_json(body)
    };
    for (field, value) in [
        ("to", json!("+1")),
        ("to", json!("")),
        ("recipient", json!("US.1")),
        ("recipient_type", json!("group")),
        ("recipient_type", json!(["individual"])),
        ("messaging_product", json!("telegram")),
        ("biz_opaque_callback_data", json!("mine")),
        ("status", json!("read")),
    ] {
        assert_eq!(with(field, value.clone()).unwrap_err().field, field, "{value}");
    }
    // What an SDK writes into every body, and what names nobody.
    for (field, value) in [
        ("messaging_product", json!("whatsapp")),
        ("recipient_type", json!("individual")),
        ("to", Value::Null),
        ("biz_opaque_callback_data", Value::Null),
    ] {
        let message = with(field, value.clone()).unwrap();
        assert!(!message.as_json().contains_key(field), "{field}");
        let to = Recipient { wa_id: Some("2".into()), user_id: None };
        let request = message.request(&to, "ours").unwrap();
        let request: Value = serde_json::from_slice(&request).unwrap();
        assert_eq!((&request["to"], &request["biz_opaque_callback_data"]), (&json!("+2"), &json!("ours")));
        assert_eq!(request["context"]["message_id"], "wamid.1");
    }
}

#[test]
fn what_was_checked_is_written_as_it_was_and_passes_again() {
    let body =
        json!({"type": "image", "image": {"id": "1", "caption": "a \"b\" 😀\u{0}", "n": [1.5, null, {}]}});
    let message = OutboundMessage::from_json(body.clone()).unwrap();
    let stored: Value = serde_json::from_str(&message.to_json_string()).unwrap();
    assert_eq!(stored, body);
    assert_eq!(OutboundMessage::from_json(stored).unwrap(), message);
}

#[test]
fn callback_data_is_counted_in_characters_and_left_out_when_empty() {
    let message = OutboundMessage::text("hi");
    let to = Recipient { wa_id: Some("1".into()), user_id: None };
    assert!(message.request(&to, &"é".repeat(CALLBACK_DATA_LIMIT)).is_ok());
    let long = message.request(&to, &"é".repeat(CALLBACK_DATA_LIMIT + 1)).unwrap_err();
    assert_eq!(long.field, "biz_opaque_callback_data");
    let request: Value = serde_json::from_slice(&message.request(&to, "").unwrap()).unwrap();
    assert_eq!(request.get("biz_opaque_callback_data"), None);
}

#[test]
fn nothing_of_a_message_is_shown() {
    let message = OutboundMessage::text("my secret");
    let to = Recipient { wa_id: Some("15550100001".into()), user_id: Some("US.1".into()) };
    let shown = format!("{message:?} {to:?}");
    assert_eq!(shown, r#"OutboundMessage { message_type: "text", .. } Recipient { .. }"#);
}

#[test]
fn what_is_refused_names_the_field() {
    for (body, field) in [
        (json!([]), ""),
        (json!({}), "type"),
        (json!({"type": 1}), "type"),
        (json!({"type": "telegram"}), "type"),
        (json!({"type": "text"}), "text"),
        (json!({"type": "text", "text": "hi"}), "text"),
        (json!({"type": "text", "text": {}}), "text.body"),
        (json!({"type": "text", "text": {"body": " "}}), "text.body"),
        (json!({"type": "text", "text": {"body": "é".repeat(4097)}}), "text.body"),
        (json!({"type": "text", "text": [{"body": "hi"}]}), "text"),
        (json!({"text": {"body": "hi"}}), "type"),
        (json!({"type": "image"}), "image"),
        (json!({"type": "image", "image": []}), "image"),
        (json!({"type": "template", "template": null}), "template"),
        (json!({"type": "contacts", "contacts": {}}), "contacts"),
        (json!({"type": "contacts", "contacts": []}), "contacts"),
        (json!({"type": "contacts", "contacts": [1]}), "contacts"),
        (json!({"type": "image", "image": {"id": "1"}, "context": 7}), "context"),
        (json!({"type": "image", "image": {"id": "1"}, "context": {}}), "context.message_id"),
        (json!({"type": "image", "image": {"id": "1"}, "context": {"message_id": ""}}), "context.message_id"),
    ] {
        assert_eq!(OutboundMessage::from_json(body.clone()).unwrap_err().field, field, "{body}");
    }
    OutboundMessage::from_json(json!({"type": "text", "text": {"body": "😀".repeat(4096)}})).unwrap();
    OutboundMessage::from_json(json!({"type": "image", "image": {"id": "1"}})).unwrap();
    OutboundMessage::from_json(json!({"type": "contacts", "contacts": [{"name": {}}]})).unwrap();
}
