//! Replies, and what Meta reports of them.

use super::*;

pub(super) async fn replies_open_the_outbox(store: &dyn Store) {
    let claim = store.accept(batch(&[("51", "r1"), ("51", "r2")]), 8).await.unwrap().claims.pop().unwrap();
    let replies = [reply(), reply(), reply()];
    let first = store
        .finish(claim.lease, &claim.item, Outcome::Answered(replies[..2].to_vec()), claiming())
        .await
        .unwrap();
    let opened = first.opened.unwrap();
    assert_eq!((opened.lease.queue, opened.lease.conversation), (Queue::Outbox, claim.lease.conversation));
    assert_eq!((opened.item.id, opened.item.correlation), (replies[0].id, claim.item.id));
    let second = store
        .finish(claim.lease, &first.next.unwrap(), Outcome::Answered(replies[2..].to_vec()), claiming())
        .await
        .unwrap();
    assert!(second.opened.is_none() && second.next.is_none(), "the outbox lane is leased already");

    let mut item = Some(opened.item);
    for reply in &replies {
        let current = item.take().unwrap();
        assert_eq!(current.id, reply.id, "in the order of the answers");
        let outcome =
            Outcome::Sent { wamid: Some(format!("wamid.{}", reply.id)), doubt: None, watch_at: None };
        item = store.finish(opened.lease, &current, outcome, Finish::default()).await.unwrap().next;
    }
    assert!(item.is_none());
}

pub(super) async fn statuses_only_move_forward_and_may_come_first(store: &dyn Store) {
    let claim = store.accept(delivery("61", "s1"), 8).await.unwrap().claims.pop().unwrap();
    let by_id = reply();
    let by_wamid = reply();
    let replies = vec![by_id.clone(), by_wamid.clone()];
    let opened = store
        .finish(claim.lease, &claim.item, Outcome::Answered(replies), claiming())
        .await
        .unwrap()
        .opened
        .unwrap();

    // Before Graph's own answer: one carries our id, the other has only a wamid that we can't know yet.
    let early = [
        ("wamid.early-1", Some(by_id.id), DeliveryState::Delivered),
        ("wamid.early-2", None, DeliveryState::Read),
    ];
    store.accept(statuses(&early), 8).await.unwrap();
    store.release(opened.lease, None).await.unwrap();
    let again = store.claim(Queue::Outbox, 8).await.unwrap().claims.pop().unwrap();
    assert!(again.item.already_sent, "a status is proof that Graph has it");
    let next = store
        .finish(
            again.lease,
            &again.item,
            Outcome::Sent { wamid: None, doubt: None, watch_at: None },
            Finish::default(),
        )
        .await
        .unwrap()
        .next
        .unwrap();
    assert!(!next.already_sent);
    let sent = Outcome::Sent { wamid: Some("wamid.early-2".to_owned()), doubt: None, watch_at: None };
    store.finish(again.lease, &next, sent, Finish::default()).await.unwrap();
    store.accept(statuses(&[("wamid.early-1", None, DeliveryState::Sent)]), 8).await.unwrap();

    assert_eq!(store.message_state(by_id.id).await.unwrap().as_deref(), Some("delivered"));
    assert_eq!(store.message_state(by_wamid.id).await.unwrap().as_deref(), Some("read"));
}

pub(super) async fn a_status_is_stored_once(store: &dyn Store) {
    use DeliveryState::*;
    let claim = accepted(store, delivery("62", "o1")).await;
    let opened = answered(store, &claim, &[reply()]).await;
    let id = opened.item.id;
    store.finish(opened.lease, &opened.item, sent("wamid.once"), Finish::default()).await.unwrap();
    let at = |seconds: i64| 1_800_000_000_000_000 + seconds * 1_000_000;
    let one = async |state: DeliveryState, seconds: i64, recipient: &str, message: Option<MessageId>| {
        let mut delivery = batch(&[]);
        delivery.statuses.push(NewStatus {
            seen_key: SeenKey::in_time(
                at(seconds),
                &["once", state.as_str(), recipient, &seconds.to_string()],
            ),
            wamid: "wamid.once".to_owned(),
            message,
            state,
            at: at(seconds),
            error: None,
            is_plain: recipient.is_empty(),
        });
        store.accept(delivery, 0).await.unwrap().duplicates
    };
    for (state, seconds, recipient, message, duplicates, why) in [
        (Sent, 1, "", Some(id), 0, "Graph's answer is no status"),
        (Sent, 1, "", None, 1, "however it names the message"),
        (Delivered, 2, "", Some(id), 0, "new"),
        (Delivered, 2, "", Some(id), 1, "again"),
        (Delivered, 2, "", None, 1, "again, by its wamid"),
        (Delivered, 3, "", Some(id), 0, "another time is another status"),
        (Delivered, 3, "", Some(id), 1, "which is known then too"),
        (Delivered, 2, "somebody in a group", Some(id), 0, "each recipient has their own"),
        (Delivered, 2, "somebody in a group", Some(id), 1, "once"),
        (Read, 4, "", None, 0, "new"),
        (Read, 4, "", Some(id), 1, "again"),
        (Delivered, 2, "", Some(id), 1, "also when the message has moved on"),
        (Failed, 5, "", Some(id), 0, "new, though it comes too late"),
        (Failed, 5, "", Some(id), 1, "again"),
    ] {
        let found = one(state, seconds, recipient, message).await;
        assert_eq!(found, duplicates, "{state:?} after {seconds} s {recipient}: {why}");
    }
    let message = store.message(id).await.unwrap().unwrap();
    assert_eq!((&*message.state, message.delivered_at, message.read_at), ("read", Some(at(2)), Some(at(4))));
    assert_eq!(message.failed_at, Some(at(5)));
}

pub(super) async fn several_messages_end_as_one_call(store: &dyn Store) {
    let claim = accepted(store, batch(&[("53", "j1"), ("53", "j2"), ("53", "j3"), ("53", "j4")])).await;
    let items = store.pending(claim.lease, 3).await.unwrap();
    let answer = reply();
    let with = Finish { joined: items[1..].iter().map(|item| item.seq).collect(), ..claiming() };
    let outcome = Outcome::Answered(vec![answer.clone()]);
    let finished = store.finish(claim.lease, &claim.item, outcome, with).await.unwrap();
    for item in &items {
        assert_eq!(store.message_state(item.id).await.unwrap().as_deref(), Some("answered"));
    }
    let opened = finished.opened.unwrap();
    assert_eq!(opened.item.id, answer.id);
    let sent_once =
        store.finish(opened.lease, &opened.item, sent("wamid.j"), Finish::default()).await.unwrap();
    assert!(sent_once.next.is_none(), "one answer for all three");

    let last = finished.next.unwrap();
    assert_eq!(wamid(&last), "j4");
    store.accept(delivery("53", "j5"), 8).await.unwrap();
    let pending = store.pending(claim.lease, 8).await.unwrap();
    let with = Finish { joined: vec![pending[1].seq], ..Finish::default() };
    let before = store.depth().dead_letters;
    let finished = store.finish(claim.lease, &last, Outcome::Dead(refusal(false)), with).await.unwrap();
    assert!(finished.next.is_none());
    depth_is(store, |depth| depth.dead_letters == before + 2).await;
    for item in pending {
        assert!(store.discard(item.id).await.unwrap());
    }
}

pub(super) async fn what_is_known_of_a_conversation_comes_with_its_items(store: &dyn Store) {
    let delivery = delivery("54", "w1");
    let received_at = delivery.received_at;
    let claim = accepted(store, delivery).await;
    assert_eq!(claim.item.standing, Standing { last_inbound_at: Some(received_at), ..Standing::default() });
    let routed = NewOutbound { route: Some(Arc::from("orders")), ..reply() };
    let opened = answered(store, &claim, &[routed, reply(), reply()]).await;
    assert_eq!(opened.item.route.as_deref(), Some("orders"));
    assert_eq!(opened.item.standing.last_inbound_at, Some(received_at));
    let with = Finish { pair_free_at: Some(4_711), ..Finish::default() };
    let outcome =
        Outcome::Sent { wamid: Some("wamid.w1".to_owned()), doubt: Some(Doubt::Repeated), watch_at: None };
    let next = store.finish(opened.lease, &opened.item, outcome, with).await.unwrap().next.unwrap();
    assert_eq!((next.standing.pair_free_at, next.route.as_deref()), (4_711, None));
    assert_eq!(store.message(opened.item.id).await.unwrap().unwrap().doubt, Some(Doubt::Repeated));
    let last =
        store.finish(opened.lease, &next, sent("wamid.w2"), Finish::default()).await.unwrap().next.unwrap();
    assert_eq!(last.standing.pair_free_at, 4_711, "it stays until somebody says otherwise");

    store.release(opened.lease, None).await.unwrap();
    let again = store.claim(Queue::Outbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!((again.item.standing, again.item.uncertain), (last.standing, false));
    let outcome = Outcome::Dead(Refusal { doubt: Some(Doubt::NotRepeated), ..refusal(true) });
    store.finish(again.lease, &again.item, outcome, Finish::default()).await.unwrap();
    let dead = store.dead_letter(again.item.id).await.unwrap().unwrap();
    assert_eq!((dead.doubt, dead.queue), (Some(Doubt::NotRepeated), Queue::Outbox));
    assert!(store.discard(dead.id).await.unwrap());
}
