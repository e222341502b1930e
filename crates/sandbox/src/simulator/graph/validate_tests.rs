use serde_json::json;

use super::*;

fn refusal(body: &Value) -> (i64, String) {
    let error = command(body).unwrap_err();
    let answer = error.body("trace");
    (error.code, answer["error"]["error_data"]["details"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn refusals_name_the_parameter() {
    let long = "ä".repeat(4097);
    for (body, code, named) in [
        (json!({}), 100, "messaging_product"),
        (json!({"messaging_product": "sms", "to": "12025550143"}), 100, "messaging_product"),
        (json!({"messaging_product": "whatsapp", "type": "text", "text": {"body": "a"}}), 100, "to"),
        (json!({"messaging_product": "whatsapp", "to": 12_025_550_143_u64}), 100, "to"),
        (json!({"messaging_product": "whatsapp", "to": "nobody", "type": "text"}), 131_009, "to"),
        (json!({"messaging_product": "whatsapp", "recipient": "anna", "type": "text"}), 131_009, "recipient"),
        (json!({"messaging_product": "whatsapp", "to": "12025550143"}), 100, "type"),
        (json!({"messaging_product": "whatsapp", "to": "12025550143", "type": "fax"}), 100, "type"),
        (json!({"messaging_product": "whatsapp", "to": "12025550143", "type": "text"}), 100, "text"),
        (
            json!({"messaging_product": "whatsapp", "to": "12025550143", "type": "text", "text": "a"}),
            100,
            "text",
        ),
        (
            json!({"messaging_product": "whatsapp", "to": "12025550143", "type": "text", "text": {}}),
            131_008,
            "body",
        ),
        (json!({"messaging_product": "whatsapp", "to": "12025550143", "text": {"body": ""}}), 100, "body"),
        (json!({"messaging_product": "whatsapp", "to": "12025550143", "text": {"body": long}}), 100, "4096"),
        (
            json!({"messaging_product": "whatsapp", "to": "12025550143", "type": "image", "image": {}}),
            131_008,
            "link",
        ),
        (
            json!({"messaging_product": "whatsapp", "to": "12025550143", "text": {"body": "a"},
                "biz_opaque_callback_data": "x".repeat(513)}),
            100,
            "biz_opaque_callback_data",
        ),
        (json!({"messaging_product": "whatsapp", "status": "seen", "message_id": "wamid.A"}), 100, "status"),
        (json!({"messaging_product": "whatsapp", "status": "read"}), 100, "message_id"),
        (
            json!({"messaging_product": "whatsapp", "status": "read", "message_id": "7"}),
            131_009,
            "message_id",
        ),
    ] {
        let (got, details) = refusal(&body);
        assert_eq!(got, code, "{body}: {details}");
        assert!(details.contains(named), "{body}: {details}");
    }
}

#[test]
fn lengths_count_characters_and_not_bytes() {
    let body = json!({"messaging_product": "whatsapp", "to": "+1 (202) 555-0143", "type": "text",
        "text": {"body": "ä".repeat(4096)}, "biz_opaque_callback_data": "out-1"});
    let Command::Send(outgoing) = command(&body).unwrap() else { panic!("not a message") };
    assert_eq!(outgoing.recipient, Recipient::Phone("12025550143".to_owned()));
    assert_eq!(outgoing.input, "+1 (202) 555-0143");
    assert_eq!(outgoing.callback_data.as_deref(), Some("out-1"));
}

#[test]
fn a_number_wins_over_a_user_id() {
    let both = json!({"messaging_product": "whatsapp", "to": "12025550143", "recipient": "US.134",
        "text": {"body": "a"}});
    let Command::Send(outgoing) = command(&both).unwrap() else { panic!("not a message") };
    assert_eq!(outgoing.recipient, Recipient::Phone("12025550143".to_owned()));
    let only = json!({"messaging_product": "whatsapp", "recipient": "US.134", "text": {"body": "a"}});
    let Command::Send(outgoing) = command(&only).unwrap() else { panic!("not a message") };
    assert_eq!(outgoing.recipient, Recipient::UserId("US.134".to_owned()));
}

#[test]
fn interactive_limits_hold() {
    let with = |interactive: Value| json!({"messaging_product": "whatsapp", "to": "12025550143", "type": "interactive", "interactive": interactive});
    let button = |title: &str| json!({"type": "reply", "reply": {"id": "a", "title": title}});
    let good = with(json!({"type": "button", "body": {"text": "Which?"},
        "action": {"buttons": [button("One"), button("Two")]}}));
    let Command::Send(outgoing) = command(&good).unwrap() else { panic!("not a message") };
    assert_eq!(outgoing.text, "Which?");
    for (bad, named) in [
        (json!({"type": "button", "body": {"text": "?"}, "action": {"buttons": []}}), "buttons"),
        (
            json!({"type": "button", "body": {"text": "?"}, "action": {"buttons": [button(&"x".repeat(21))]}}),
            "title",
        ),
        (json!({"type": "button", "body": {"text": "?"}}), "action"),
        (json!({"type": "button", "action": {"buttons": [button("One")]}}), "body"),
        (
            json!({"type": "list", "body": {"text": "?"}, "action": {"button": "Open", "sections":
                [{"rows": vec![json!({"id": "a", "title": "b"}); 11]}]}}),
            "row",
        ),
    ] {
        let (_, details) = refusal(&with(bad));
        assert!(details.contains(named), "{details}");
    }
}

#[test]
fn marking_read_can_ask_for_typing() {
    let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A",
        "typing_indicator": {"type": "text"}});
    assert_eq!(command(&body).unwrap(), Command::MarkRead { message_id: "wamid.A".to_owned(), typing: true });
}

#[test]
fn malformed_json_is_refused() {
    for body in [&b"{"[..], b"", b"[]", b"\"text\""] {
        assert_eq!(validate(body).unwrap_err().code, 100);
    }
}
