use super::*;

fn message(id: &str, direction: Direction, status: DeliveryStatus) -> ChatMessage {
    ChatMessage {
        id: id.to_owned(),
        direction,
        kind: "text".to_owned(),
        text: "hello".to_owned(),
        at: 0,
        status,
        error: None,
        content: None,
    }
}

fn book_with(name: &str, wa_id: &str) -> Book {
    let mut book = Book::default();
    book.add(&NewContact { name: name.to_owned(), wa_id: Some(wa_id.to_owned()) }).unwrap();
    book
}

#[test]
fn numbers_are_checked_and_made_up_when_missing() {
    let mut book = book_with("Amara", "+1 202 555 0143");
    assert!(book.find("12025550143").is_some());
    for (name, wa_id, complaint) in [
        ("", Some("12025550144"), "a name has"),
        ("Zoë", Some("12025550143"), "is there already"),
        ("Zoë", Some("phone"), "a number has"),
    ] {
        let error =
            book.add(&NewContact { name: name.to_owned(), wa_id: wa_id.map(str::to_owned) }).unwrap_err();
        assert!(error.contains(complaint), "{error}");
    }
    let made_up = book.add(&NewContact { name: "Zoë".to_owned(), wa_id: None }).unwrap();
    assert_eq!(made_up.wa_id, "12025550100");
    assert!(made_up.user_id.starts_with("US."));
    assert_eq!(book.find(&made_up.user_id).unwrap().wa_id, "12025550100");
}

#[test]
fn a_status_never_goes_back() {
    let mut book = book_with("Amara", "12025550143");
    book.put("12025550143", message("a", Direction::In, DeliveryStatus::Sent));
    assert!(book.advance("a", DeliveryStatus::Read, None).is_some());
    assert!(book.advance("a", DeliveryStatus::Delivered, None).is_none());
    assert_eq!(book.contacts()[0].messages[0].status, DeliveryStatus::Read);
    assert!(book.advance("unknown", DeliveryStatus::Read, None).is_none());
}

#[test]
fn opening_a_chat_reads_what_has_arrived() {
    let mut book = book_with("Amara", "12025550143");
    book.put("12025550143", message("a", Direction::In, DeliveryStatus::Delivered));
    book.put("12025550143", message("b", Direction::In, DeliveryStatus::Sent));
    book.put("12025550143", message("c", Direction::Out, DeliveryStatus::Delivered));
    let read = book.open(Some("12025550143")).unwrap();
    assert_eq!(read.ids, ["a"]);
    assert!(book.is_open("12025550143"));
    assert!(book.open(None).is_none());
    assert!(!book.is_open("12025550143"));
}

#[test]
fn the_business_reads_everything_up_to_a_message() {
    let mut book = book_with("Amara", "12025550143");
    for id in ["a", "b", "c"] {
        book.put("12025550143", message(id, Direction::Out, DeliveryStatus::Delivered));
    }
    assert_eq!(book.business_read("b").unwrap().ids, ["a", "b"]);
    assert_eq!(book.business_read("b").unwrap().ids, Vec::<String>::new());
    assert!(book.business_read("unknown").is_none());
}

#[test]
fn an_old_timer_does_not_end_a_new_typing() {
    let mut book = book_with("Amara", "12025550143");
    let (first, shown) = book.start_typing("12025550143").unwrap();
    assert!(shown);
    let (second, shown) = book.start_typing("12025550143").unwrap();
    assert!(!shown);
    assert!(!book.stop_typing("12025550143", Some(first)));
    assert!(book.stop_typing("12025550143", Some(second)));
    assert!(!book.stop_typing("12025550143", None));
}

#[test]
fn chats_stay_bounded() {
    let mut book = book_with("Amara", "12025550143");
    for n in 0..MESSAGES_KEPT + 5 {
        book.put("12025550143", message(&n.to_string(), Direction::In, DeliveryStatus::Sent));
    }
    assert_eq!(book.contacts()[0].messages.len(), MESSAGES_KEPT);
    assert_eq!(book.chat_of.len(), MESSAGES_KEPT);
}
