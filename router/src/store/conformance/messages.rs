//! What is accepted, once and in order.

use super::*;

pub(super) async fn a_message_is_stored_once(store: &dyn Store) {
    let mut accepted = store.accept(batch(&[("10", "once"), ("10", "once")]), 8).await.unwrap();
    assert_eq!(accepted.new_messages, [true, false]);
    assert_eq!(accepted.duplicates, 1);
    let again = store.accept(delivery("10", "once"), 8).await.unwrap();
    assert_eq!((again.new_messages, again.duplicates, again.claims.len()), (vec![false], 1, 0));
    depth_is(store, |depth| depth.inbox == 1).await;
    let claim = accepted.claims.pop().unwrap();
    drain(store, claim.lease, claim.item).await;
    let after = store.accept(delivery("10", "once"), 8).await.unwrap();
    assert_eq!(after.claims.len(), 0, "also when it was answered long ago");
}

pub(super) async fn a_lane_is_worked_through_in_order(store: &dyn Store) {
    let accepted = store.accept(batch(&[("11", "a"), ("12", "x"), ("11", "b")]), 8).await.unwrap();
    assert_eq!(accepted.claims.len(), 2, "one lane a conversation");
    let later = store.accept(delivery("11", "c"), 8).await.unwrap();
    assert_eq!(later.claims.len(), 0, "the lane is leased already");
    for claim in accepted.claims {
        let expected: &[&str] = if claim.contact.key == "11" { &["a", "b", "c"] } else { &["x"] };
        let mut item = Some(claim.item);
        for name in expected {
            let current = item.take().unwrap();
            assert_eq!(wamid(&current), *name);
            let outcome = Outcome::NotAnswered { reason: "test" };
            item = store.finish(claim.lease, &current, outcome, Finish::default()).await.unwrap().next;
        }
        assert!(item.is_none());
    }
}

pub(super) async fn what_was_typed_on_the_phone_takes_the_conversation_over(store: &dyn Store) {
    let before = store.ledger().await.unwrap();
    let (contact, id, until) = ("15", MessageId::generate(), now() + 60_000_000);
    // Its status may come first.
    store.accept(statuses(&[("wamid.echo", None, DeliveryState::Delivered)]), 8).await.unwrap();
    let mut delivery = delivery(contact, "before the echo");
    delivery.echoes = vec![NewEcho {
        id,
        seen_key: SeenKey::new(&["echo", "wamid.echo"]),
        channel: Arc::from("default"),
        contact: Arc::new(person(contact)),
        wamid: Arc::from("wamid.echo"),
        message_type: "text",
        raw: Arc::from("{\"typed\":true}"),
        sent_at: Some(1_700_000_000_000_000),
        taken_over_until: Some(until),
    }];
    let mut again = delivery.clone();
    let claim = accepted(store, delivery).await;
    assert_eq!(store.accept(again.clone(), 8).await.unwrap().duplicates, 2);
    let echo = store.message(id).await.unwrap().expect("stored as a message");
    assert_eq!((echo.direction, &*echo.state, echo.correlation), (Direction::Out, "delivered", id));
    assert_eq!((echo.wamid.as_deref(), echo.conversation), (Some("wamid.echo"), claim.lease.conversation));
    assert_eq!((echo.payload.as_str(), echo.sent_at), ("{\"typed\":true}", Some(1_700_000_000_000_000)));

    // An earlier end does not shorten it, none leaves it.
    for (wamid, end) in [("wamid.echo-2", Some(until - 1)), ("wamid.echo-3", None)] {
        again.echoes[0] = NewEcho {
            id: MessageId::generate(),
            seen_key: SeenKey::new(&["echo", wamid]),
            taken_over_until: end,
            ..again.echoes[0].clone()
        };
        store.accept(again.clone(), 8).await.unwrap();
    }
    let conversation = store.conversation(claim.lease.conversation).await.unwrap().unwrap();
    assert_eq!(conversation.taken_over_until, Some(until));
    assert_eq!((conversation.inbox, conversation.outbox), (1, 0), "there is nothing to send");
    let next = accepted(store, super::delivery("15-other", "e1")).await;
    assert_eq!(next.item.standing.taken_over_until, None);
    drain(store, next.lease, next.item).await;
    store.release(claim.lease, None).await.unwrap();
    let again = store.claim(Queue::Inbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!(again.item.standing.taken_over_until, Some(until));
    drain(store, again.lease, again.item).await;
    let queued = |ledger: &[ChannelLedger]| ledger.iter().map(|account| account.queued).sum::<i64>();
    let after = store.ledger().await.unwrap();
    assert_eq!(queued(&after), queued(&before), "the router did not send it");
}
