//! What every store has to do, whatever database it is on: run by the tests of each implementation.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::*;

/// A webhook with one text message from `contact`.
pub(super) fn delivery(contact: &str, wamid: &str) -> Delivery {
    batch(&[(contact, wamid)])
}

pub(super) fn batch(messages: &[(&str, &str)]) -> Delivery {
    Delivery {
        received_at: now(),
        body: Bytes::from_static(b"{}"),
        messages: messages.iter().map(|(contact, wamid)| inbound(contact, wamid)).collect(),
        statuses: Vec::new(),
        echoes: Vec::new(),
        events: Vec::new(),
    }
}

fn inbound(contact: &str, wamid: &str) -> NewInbound {
    NewInbound {
        id: MessageId::generate(),
        seen_key: SeenKey::new(&["message", "1", wamid]),
        channel: Arc::from("default"),
        contact: Arc::new(person(contact)),
        wamid: Arc::from(wamid),
        message_type: "text",
        raw: Arc::from(format!("{{\"id\":\"{wamid}\"}}")),
        sent_at: None,
    }
}

fn person(wa_id: &str) -> Contact {
    Contact {
        key: wa_id.to_owned(),
        wa_id: Some(wa_id.to_owned()),
        user_id: None,
        username: None,
        name: None,
    }
}

fn statuses(list: &[(&str, Option<MessageId>, DeliveryState)]) -> Delivery {
    let mut delivery = batch(&[]);
    delivery.statuses = list
        .iter()
        .map(|(wamid, message, state)| NewStatus {
            seen_key: SeenKey::new(&["status", wamid, state.as_str()]),
            wamid: (*wamid).to_owned(),
            message: *message,
            state: *state,
            at: now(),
            error: None,
        })
        .collect();
    delivery
}

pub(super) fn reply() -> NewOutbound {
    NewOutbound {
        id: MessageId::generate(),
        message_type: "text".to_owned(),
        payload: Arc::from("{}"),
        route: None,
    }
}

/// With room for the outbox lane that an answer opens.
pub(super) fn claiming() -> Finish {
    Finish { claim_outbox: true, ..Finish::default() }
}

pub(super) fn refusal(uncertain: bool) -> Refusal {
    Refusal {
        reason: "test",
        error: "it failed".to_owned(),
        attempt: Attempt::Counted,
        uncertain,
        doubt: None,
    }
}

fn wamid(item: &Item) -> &str {
    &item.inbound.as_ref().expect("an inbox item").wamid
}

pub(super) async fn all(store: &dyn Store) {
    a_message_is_stored_once(store).await;
    a_lane_is_worked_through_in_order(store).await;
    nothing_is_claimed_over_the_limit(store).await;
    a_stale_lease_changes_nothing(store).await;
    a_deferred_item_keeps_its_place(store).await;
    replies_open_the_outbox(store).await;
    statuses_only_move_forward_and_may_come_first(store).await;
    both_identifiers_lead_to_one_conversation(store).await;
    two_conversations_that_prove_to_be_one_person_keep_their_order(store).await;
    the_dead_are_counted_and_the_next_goes_on(store).await;
    a_released_lane_can_be_claimed_again(store).await;
    assert_eq!((store.depth().inbox, store.depth().outbox), (0, 0), "every case cleans up behind itself");
}

/// Ends all that is left of a lane.
async fn drain(store: &dyn Store, lease: Lease, item: Item) {
    let mut item = Some(item);
    while let Some(current) = item {
        let outcome = match lease.queue {
            Queue::Inbox => Outcome::NotAnswered { reason: "test" },
            Queue::Outbox => Outcome::Sent { wamid: None, doubt: None, watch_at: None },
        };
        item = store.finish(lease, &current, outcome, Finish::default()).await.unwrap().next;
    }
}

async fn a_message_is_stored_once(store: &dyn Store) {
    let mut accepted = store.accept(batch(&[("10", "once"), ("10", "once")]), 8).await.unwrap();
    assert_eq!(accepted.new_messages, [true, false]);
    assert_eq!(accepted.duplicates, 1);
    let again = store.accept(delivery("10", "once"), 8).await.unwrap();
    assert_eq!((again.new_messages, again.duplicates, again.claims.len()), (vec![false], 1, 0));
    assert_eq!(store.depth().inbox, 1);
    let claim = accepted.claims.pop().unwrap();
    drain(store, claim.lease, claim.item).await;
    let after = store.accept(delivery("10", "once"), 8).await.unwrap();
    assert_eq!(after.claims.len(), 0, "also when it was answered long ago");
}

async fn a_lane_is_worked_through_in_order(store: &dyn Store) {
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

async fn nothing_is_claimed_over_the_limit(store: &dyn Store) {
    let accepted = store.accept(batch(&[("21", "l1"), ("22", "l2"), ("23", "l3")]), 1).await.unwrap();
    assert_eq!((accepted.claims.len(), accepted.left_work), (1, true));
    let rest = store.claim(Queue::Inbox, 1).await.unwrap();
    assert_eq!(rest.claims.len(), 1);
    assert!(rest.next_due.is_some_and(|due| due <= now()), "one more waits");
    let last = store.claim(Queue::Inbox, 8).await.unwrap();
    assert_eq!((last.claims.len(), last.next_due), (1, None));
    for claim in accepted.claims.into_iter().chain(rest.claims).chain(last.claims) {
        drain(store, claim.lease, claim.item).await;
    }
}

async fn a_stale_lease_changes_nothing(store: &dyn Store) {
    let claim = store.accept(delivery("31", "stale"), 8).await.unwrap().claims.pop().unwrap();
    let stale = Lease { token: claim.lease.token - 1, ..claim.lease };
    let answered = Outcome::Answered(vec![reply()]);
    let result = store.finish(stale, &claim.item, answered, claiming()).await;
    assert!(matches!(result, Err(StoreError::LeaseLost)));
    assert!(matches!(store.defer(stale, &claim.item, refusal(false), 0).await, Err(StoreError::LeaseLost)));
    store.release(stale, None).await.unwrap();
    assert_eq!(store.claim(Queue::Inbox, 8).await.unwrap().claims.len(), 0, "the lease still holds");
    assert_eq!((store.depth().inbox, store.depth().outbox), (1, 0));
    drain(store, claim.lease, claim.item).await;
}

async fn a_deferred_item_keeps_its_place(store: &dyn Store) {
    let claim = store.accept(batch(&[("41", "d1"), ("41", "d2")]), 8).await.unwrap().claims.pop().unwrap();
    let due_at = now() + 60_000_000;
    store.defer(claim.lease, &claim.item, refusal(true), due_at).await.unwrap();
    let none = store.claim(Queue::Inbox, 8).await.unwrap();
    assert_eq!((none.claims.len(), none.next_due), (0, Some(due_at)));
    assert_eq!(store.accept(delivery("41", "d3"), 8).await.unwrap().claims.len(), 0, "it waits behind");

    // Due again: as if the minute had passed.
    let lost = store
        .finish(claim.lease, &claim.item, Outcome::NotAnswered { reason: "test" }, Finish::default())
        .await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)), "who deferred has given the lease back");
    store.accept(delivery("42", "other"), 0).await.unwrap();
    let other = store.claim(Queue::Inbox, 8).await.unwrap().claims.pop().unwrap();
    store.defer(other.lease, &other.item, refusal(true), now() - 1).await.unwrap();
    let again = store.claim(Queue::Inbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!(
        (wamid(&again.item), again.item.attempts, again.item.counted, again.item.uncertain),
        ("other", 1, 1, true)
    );
    drain(store, again.lease, again.item).await;
    the_deferred_come_in_order(store, "41").await;
}

/// Looks at the deferred lane with the clock put forward.
async fn the_deferred_come_in_order(store: &dyn Store, contact: &str) {
    let claims = store.claim_as_of(Queue::Inbox, 8, Some(now() + 120_000_000)).await.unwrap().claims;
    let mut order = Vec::new();
    for claim in claims {
        assert_eq!(claim.contact.key, contact);
        let mut item = Some(claim.item);
        while let Some(current) = item {
            order.push(wamid(&current).to_owned());
            let outcome = Outcome::NotAnswered { reason: "test" };
            item = store.finish(claim.lease, &current, outcome, Finish::default()).await.unwrap().next;
        }
    }
    assert_eq!(order, ["d1", "d2", "d3"]);
}

async fn replies_open_the_outbox(store: &dyn Store) {
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

async fn statuses_only_move_forward_and_may_come_first(store: &dyn Store) {
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

async fn both_identifiers_lead_to_one_conversation(store: &dyn Store) {
    let mut by_state = HashMap::new();
    for (wamid, wa_id, user_id) in [
        ("i1", Some("71"), None),
        ("i2", Some("71"), Some("US.71")),
        ("i3", None, Some("US.71")),
        ("i4", Some("71"), Some("US.new-owner")),
    ] {
        let mut delivery = delivery("71", wamid);
        let key = user_id.or(wa_id).unwrap();
        delivery.messages[0].contact = Arc::new(Contact {
            wa_id: wa_id.map(str::to_owned),
            user_id: user_id.map(str::to_owned),
            ..person(key)
        });
        let claim = store.accept(delivery, 8).await.unwrap().claims.pop().unwrap();
        by_state.insert(wamid, (claim.lease.conversation, claim.contact.clone()));
        drain(store, claim.lease, claim.item).await;
    }
    assert_eq!(by_state["i1"].0, by_state["i2"].0);
    assert_eq!(by_state["i1"].0, by_state["i3"].0);
    assert_ne!(by_state["i1"].0, by_state["i4"].0, "a number that changed hands");
    let mut former = delivery("US.71", "i5");
    former.messages[0].contact =
        Arc::new(Contact { wa_id: None, user_id: Some("US.71".to_owned()), ..person("US.71") });
    let former = store.accept(former, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!(former.lease.conversation, by_state["i1"].0);
    assert_eq!(former.contact.wa_id, None, "what is said to the former owner must not reach the new one");
    drain(store, former.lease, former.item).await;
    let known = &by_state["i3"].1;
    assert_eq!((known.wa_id.as_deref(), known.user_id.as_deref()), (Some("71"), Some("US.71")));
}

async fn two_conversations_that_prove_to_be_one_person_keep_their_order(store: &dyn Store) {
    let from = |wamid: &str, wa_id: Option<&str>, user_id: Option<&str>| {
        let mut delivery = delivery("75", wamid);
        let contact = person(user_id.or(wa_id).unwrap());
        let (wa_id, user_id) = (wa_id.map(str::to_owned), user_id.map(str::to_owned));
        delivery.messages[0].contact = Arc::new(Contact { wa_id, user_id, ..contact });
        delivery
    };
    let by_user = store.accept(from("p1", None, Some("US.75")), 8).await.unwrap().claims.pop().unwrap();
    drain(store, by_user.lease, by_user.item).await;
    let by_number = store.accept(from("p2", Some("75"), None), 8).await.unwrap().claims.pop().unwrap();
    let both = store.accept(from("p3", Some("75"), Some("US.75")), 8).await.unwrap();
    assert_eq!(both.claims.len(), 0, "it waits behind what its number said before");
    let outcome = Outcome::NotAnswered { reason: "test" };
    let next = store
        .finish(by_number.lease, &by_number.item, outcome, Finish::default())
        .await
        .unwrap()
        .next
        .unwrap();
    assert_eq!(wamid(&next), "p3");
    let later = store.accept(from("p4", None, Some("US.75")), 8).await.unwrap();
    assert_eq!(later.claims.len(), 0, "from now on both identifiers lead there");
    drain(store, by_number.lease, next).await;
}

async fn the_dead_are_counted_and_the_next_goes_on(store: &dyn Store) {
    let before = store.depth().dead_letters;
    let claim = store.accept(batch(&[("81", "k1"), ("81", "k2")]), 8).await.unwrap().claims.pop().unwrap();
    let finished = store
        .finish(claim.lease, &claim.item, Outcome::Dead(refusal(false)), Finish::default())
        .await
        .unwrap();
    assert_eq!(store.depth().dead_letters, before + 1);
    assert_eq!(store.message_state(claim.item.id).await.unwrap().as_deref(), Some("dead"));
    drain(store, claim.lease, finished.next.unwrap()).await;
}

async fn a_released_lane_can_be_claimed_again(store: &dyn Store) {
    let claim = store.accept(delivery("91", "back"), 8).await.unwrap().claims.pop().unwrap();
    store.release(claim.lease, None).await.unwrap();
    let again = store.claim(Queue::Inbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!((wamid(&again.item), again.item.uncertain), ("back", false));
    assert_ne!(again.lease.token, claim.lease.token);
    store.release(again.lease, Some(now() + 60_000_000)).await.unwrap();
    assert_eq!(store.claim(Queue::Inbox, 8).await.unwrap().claims.len(), 0);
    let again =
        store.claim_as_of(Queue::Inbox, 8, Some(now() + 61_000_000)).await.unwrap().claims.pop().unwrap();
    assert!(again.item.uncertain, "in doubt");
    drain(store, again.lease, again.item).await;
}
