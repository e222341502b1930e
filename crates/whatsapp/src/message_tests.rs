//! One message of each type, as documented and with something missing.

use super::*;

fn read(json: &str) -> InboundMessage {
    InboundMessage::from_json(json).unwrap()
}

#[test]
fn each_type_says_what_a_person_saw() {
    for (json, text) in [
        (r#"{"id":"1","type":"text","text":{"body":"hi \u0000 'there'"}}"#, Some("hi \0 'there'")),
        (r#"{"id":"1","type":"text","text":{"body":""}}"#, Some("")),
        (r#"{"id":"1","type":"text"}"#, None),
        (r#"{"id":"1","type":"text","text":"not an object"}"#, None),
        (r#"{"id":"1","type":"button","button":{"payload":"p","text":"Yes"}}"#, Some("Yes")),
        (
            r#"{"id":"1","type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"b1","title":"Buy"}}}"#,
            Some("Buy"),
        ),
        (
            r#"{"id":"1","type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"r1","title":"Row","description":"d"}}}"#,
            Some("Row"),
        ),
        (
            r#"{"id":"1","type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"name":"flow","body":"Sent","response_json":"{}"}}}"#,
            Some("Sent"),
        ),
        (r#"{"id":"1","type":"interactive","interactive":{"type":"call_permission_reply"}}"#, None),
        (r#"{"id":"1","type":"image","image":{"id":"m","caption":"look"}}"#, Some("look")),
        (r#"{"id":"1","type":"document","document":{"id":"m","filename":"a.pdf"}}"#, None),
        (r#"{"id":"1","type":"audio","audio":{"id":"m","voice":true}}"#, None),
        (r#"{"id":"1","type":"reaction","reaction":{"message_id":"x","emoji":"👍"}}"#, None),
        (r#"{"id":"1","type":"location","location":{"latitude":1.5,"longitude":"2"}}"#, None),
        (r#"{"id":"1","type":"hologram","text":{"body":"x"}}"#, None),
        (r#"{"id":"1"}"#, None),
    ] {
        assert_eq!(read(json).text(), text, "{json}");
    }
}

#[test]
fn the_label_is_bounded() {
    assert_eq!(read(r#"{"id":"1","type":"text"}"#).type_label(), "text");
    assert_eq!(read(r#"{"id":"1","type":"hologram"}"#).type_label(), "other");
    assert_eq!(read(r#"{"id":"1"}"#).type_label(), "unknown");
}

#[test]
fn media_context_and_group_are_read() {
    let message = read(
        r#"{"id":"1","from":15550100001,"group_id":"g","timestamp":1760000000,"type":"audio",
            "audio":{"id":"m","mime_type":"audio/ogg","voice":true},"context":{"id":"wamid.0","from":"1","forwarded":true}}"#,
    );
    let media = message.media.as_ref().unwrap();
    assert_eq!((media.id.as_deref(), media.voice), (Some("m"), Some(true)));
    let context = message.context.as_ref().unwrap();
    assert_eq!((context.id.as_deref(), context.forwarded), (Some("wamid.0"), true));
    assert_eq!((message.group_id.as_deref(), message.timestamp), (Some("g"), Some(1_760_000_000)));
    assert_eq!(message.contact.key(), Some("15550100001"));
}

#[test]
fn without_an_id_it_is_no_message() {
    for json in ["{}", r#"{"id":""}"#, r#"{"id":{}}"#, "[]", "7"] {
        assert!(InboundMessage::from_json(json).is_err(), "{json}");
    }
}

#[test]
fn a_button_that_was_chosen_has_its_id() {
    let message = read(
        r#"{"id":"1","type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"buy","title":"Buy"}}}"#,
    );
    let Content::Interactive(reply) = &message.content else { panic!("{message:?}") };
    assert_eq!(reply.id(), Some("buy"));
}
