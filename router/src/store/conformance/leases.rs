//! Who may work on a conversation, and when.

use super::*;

pub(super) async fn nothing_is_claimed_over_the_limit(store: &dyn Store) {
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

pub(super) async fn a_stale_lease_changes_nothing(store: &dyn Store) {
    let claim = store.accept(delivery("31", "stale"), 8).await.unwrap().claims.pop().unwrap();
    let stale = Lease { token: claim.lease.token - 1, ..claim.lease };
    let answered = Outcome::Answered(vec![reply()]);
    let result = store.finish(stale, &claim.item, answered, claiming()).await;
    assert!(matches!(result, Err(StoreError::LeaseLost)));
    assert!(matches!(store.defer(stale, &claim.item, refusal(false), 0).await, Err(StoreError::LeaseLost)));
    store.release(stale, None).await.unwrap();
    assert_eq!(store.claim(Queue::Inbox, 8).await.unwrap().claims.len(), 0, "the lease still holds");
    depth_is(store, |depth| (depth.inbox, depth.outbox) == (1, 0)).await;
    drain(store, claim.lease, claim.item).await;
}

pub(super) async fn a_deferred_item_keeps_its_place(store: &dyn Store) {
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

pub(super) async fn a_released_lane_can_be_claimed_again(store: &dyn Store) {
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

pub(super) async fn the_items_of_a_lane_can_be_looked_at(store: &dyn Store) {
    let claim = accepted(store, batch(&[("93", "b1"), ("93", "b2"), ("93", "b3")])).await;
    let names = |items: &[Item]| items.iter().map(|item| wamid(item).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&store.pending(claim.lease, 2).await.unwrap()), ["b1", "b2"]);
    store.accept(delivery("93", "b4"), 8).await.unwrap();
    let all = store.pending(claim.lease, 10).await.unwrap();
    assert_eq!(names(&all), ["b1", "b2", "b3", "b4"]);
    assert!(all.iter().all(|item| item.standing.last_inbound_at.is_some()));
    let stale = Lease { token: claim.lease.token - 1, ..claim.lease };
    assert!(matches!(store.pending(stale, 10).await, Err(StoreError::LeaseLost)));
    drain(store, claim.lease, claim.item).await;
}

/// Only where another process could take a lease.
pub(super) async fn a_lease_that_is_not_renewed_expires(store: &dyn Store) {
    let claim = accepted(store, batch(&[("94", "x1"), ("94", "x2")])).await;
    let stale = Lease { token: claim.lease.token - 1, ..claim.lease };
    let Some(lease_time) = store.lease_time() else {
        assert!(store.renew(vec![claim.lease]).await.unwrap().is_empty(), "it can't be lost");
        assert!(store.claim_as_of(Queue::Inbox, 8, later()).await.unwrap().claims.is_empty());
        drain(store, claim.lease, claim.item).await;
        return;
    };
    assert_eq!(store.renew(vec![claim.lease, stale]).await.unwrap(), [stale], "the lost one");
    let until = now() + Micros::try_from(lease_time.as_micros()).unwrap();
    let early = store.claim_as_of(Queue::Inbox, 8, Some(until - 5_000_000)).await.unwrap();
    assert!(early.claims.is_empty() || lease_time < Duration::from_secs(6), "it holds for its time");
    let taken = store.claim_as_of(Queue::Inbox, 8, later()).await.unwrap().claims.pop().unwrap();
    assert_eq!((wamid(&taken.item), taken.item.uncertain), ("x1", true), "its holder may have done it");
    let late = store.finish(claim.lease, &claim.item, not_answered(), Finish::default()).await;
    assert!(matches!(late, Err(StoreError::LeaseLost)));
    assert!(matches!(
        store.defer(claim.lease, &claim.item, refusal(false), 0).await,
        Err(StoreError::LeaseLost)
    ));
    store.release(claim.lease, None).await.unwrap();
    assert_eq!(store.renew(vec![claim.lease, taken.lease]).await.unwrap(), [claim.lease]);
    let next = store
        .finish(taken.lease, &taken.item, not_answered(), Finish::default())
        .await
        .unwrap()
        .next
        .unwrap();
    assert_eq!((wamid(&next), next.uncertain), ("x2", false));
    drain(store, taken.lease, next).await;
}

/// The same for the outbox: what its holder sent last may have gone out, and a status may still tell.
pub(super) async fn an_expired_lease_of_the_outbox_rests_first(store: &dyn Store) {
    if store.lease_time().is_none() {
        return;
    }
    let claim = accepted(store, delivery("95", "y1")).await;
    let opened = answered(store, &claim, &[reply()]).await;
    let first = store.claim_as_of(Queue::Outbox, 8, later()).await.unwrap();
    assert!(first.claims.is_empty() && first.next_due > later(), "it rests");
    let lost = store.finish(opened.lease, &opened.item, sent("wamid.y1"), Finish::default()).await;
    assert!(matches!(lost, Err(StoreError::LeaseLost)));
    let taken = store.claim_as_of(Queue::Outbox, 8, later().map(|at| at * 2)).await.unwrap();
    let [taken] = <[Claim; 1]>::try_from(taken.claims).unwrap();
    assert!(taken.item.uncertain);
    drain(store, taken.lease, taken.item).await;
}

pub(super) async fn what_waits_can_be_hurried_unless_it_is_in_doubt(store: &dyn Store) {
    let claims = store.accept(batch(&[("51", "h1"), ("52", "h2"), ("53", "h3")]), 8).await.unwrap().claims;
    let due_at = now() + 60_000_000;
    for claim in &claims {
        let refusal = refusal(claim.contact.key == "52");
        store.defer(claim.lease, &claim.item, refusal, due_at).await.unwrap();
    }
    assert_eq!(store.hurry(Queue::Outbox, "default", 8).await.unwrap(), 0);
    assert_eq!(store.hurry(Queue::Inbox, "other", 8).await.unwrap(), 0);
    assert_eq!(store.hurry(Queue::Inbox, "default", 1).await.unwrap(), 1, "no more than asked for");
    assert_eq!(
        store.hurry(Queue::Inbox, "default", 8).await.unwrap(),
        1,
        "the other one that is not in doubt"
    );
    let held = store.claim(Queue::Inbox, 8).await.unwrap();
    let mut hurried: Vec<_> = held.claims.iter().map(|claim| claim.contact.key.clone()).collect();
    hurried.sort();
    assert_eq!((hurried, held.next_due), (vec!["51".to_owned(), "53".to_owned()], Some(due_at)));
    assert_eq!(
        store.hurry(Queue::Inbox, "default", 8).await.unwrap(),
        0,
        "what is being worked on is left alone"
    );
    // First those, because a look from so far ahead takes over leases that have ended by then.
    for claim in held.claims {
        drain(store, claim.lease, claim.item).await;
    }
    let doubtful = store.claim_as_of(Queue::Inbox, 8, Some(due_at + 1)).await.unwrap().claims;
    assert_eq!(doubtful.len(), 1);
    for claim in doubtful {
        drain(store, claim.lease, claim.item).await;
    }
}
