use std::collections::VecDeque;

use serde_json::json;

use super::*;

fn numbers() -> Vec<BusinessNumber> {
    let number = |id: &str| BusinessNumber {
        phone_number_id: id.to_owned(),
        display_phone_number: "+1 555 078 3881".to_owned(),
        verified_name: "Bakery".to_owned(),
    };
    vec![number("1001"), number("1002")]
}

fn said(number: usize, id: &str, text: &str) -> Item {
    let contact = Contact {
        wa_id: "12025550143".to_owned(),
        user_id: "US.1".to_owned(),
        name: "Zoë".to_owned(),
        messages: VecDeque::new(),
        typing: false,
    };
    Item::Message(Arc::new(MessageItem::new(
        number,
        &contact,
        id,
        "text",
        &json!({ "body": text }),
        &Value::Null,
    )))
}

fn status(id: &str, kind: StatusKind) -> Item {
    Item::Status(StatusItem {
        number: 0,
        id: id.to_owned(),
        status: kind,
        timestamp: 1_790_000_000,
        recipient_id: "12025550143".to_owned(),
        recipient_user_id: None,
        callback_data: Some("out-7".to_owned()),
        error: (kind == StatusKind::Failed).then_some((131_026, "Message undeliverable")),
    })
}

#[test]
fn a_message_has_the_documented_shape() {
    let body = render("42", &numbers(), &[said(0, "wamid.A", "Grüße 👋")]);
    assert!(body.is_ascii());
    let text = String::from_utf8(body.clone()).unwrap();
    assert!(text.contains(r"Gr\u00fc\u00dfe \ud83d\udc4b"), "{text}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let value = &body["entry"][0]["changes"][0]["value"];
    assert_eq!(body["object"], "whatsapp_business_account");
    assert_eq!(value["metadata"], json!({"display_phone_number": "15550783881", "phone_number_id": "1001"}));
    assert_eq!(
        value["contacts"],
        json!([{"profile": {"name": "Zoë"}, "wa_id": "12025550143", "user_id": "US.1"}])
    );
    assert_eq!(value["messages"][0]["text"]["body"], "Grüße 👋");
    assert!(value["messages"][0]["timestamp"].is_string());
    assert!(value.get("statuses").is_none());
}

#[test]
fn batches_have_one_change_per_number_and_kind() {
    let items = [
        said(0, "wamid.A", "1"),
        status("wamid.X", StatusKind::Sent),
        said(0, "wamid.B", "2"),
        said(1, "wamid.C", "3"),
        status("wamid.X", StatusKind::Failed),
    ];
    let body: Value = serde_json::from_slice(&render("42", &numbers(), &items)).unwrap();
    let changes = body["entry"][0]["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 3);
    assert_eq!(changes[0]["value"]["messages"].as_array().unwrap().len(), 2);
    assert_eq!(changes[0]["value"]["contacts"].as_array().unwrap().len(), 1);
    let statuses = changes[1]["value"]["statuses"].as_array().unwrap();
    assert_eq!(statuses[0]["biz_opaque_callback_data"], "out-7");
    assert_eq!(statuses[0]["pricing"]["pricing_model"], "PMP");
    assert_eq!(statuses[1]["errors"][0]["code"], 131_026);
    assert_eq!(changes[2]["value"]["metadata"]["phone_number_id"], "1002");
}

#[test]
fn ascii_stays_as_it_is() {
    assert_eq!(escape_beyond_ascii(r#"{"a":"b\n/"}"#.to_owned()), br#"{"a":"b\n/"}"#);
    assert_eq!(escape_beyond_ascii("\u{7f}ä".to_owned()), b"\x7f\\u00e4");
}
