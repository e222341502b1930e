//! What is given up, and what an operator does with it.

use super::*;

pub(super) async fn the_dead_are_counted_and_the_next_goes_on(store: &dyn Store) {
    let before = store.depth().dead_letters;
    let claim = store.accept(batch(&[("81", "k1"), ("81", "k2")]), 8).await.unwrap().claims.pop().unwrap();
    let finished = store
        .finish(claim.lease, &claim.item, Outcome::Dead(refusal(false)), Finish::default())
        .await
        .unwrap();
    depth_is(store, |depth| depth.dead_letters == before + 1).await;
    assert_eq!(store.message_state(claim.item.id).await.unwrap().as_deref(), Some("dead"));
    drain(store, claim.lease, finished.next.unwrap()).await;
}

/// Ends the item at the head as dead; gives the next one.
async fn bury(store: &dyn Store, lease: Lease, item: &Item, reason: &'static str) -> Option<Item> {
    let outcome = Outcome::Dead(Refusal { reason, ..refusal(false) });
    store.finish(lease, item, outcome, Finish::default()).await.unwrap().next
}

pub(super) async fn what_is_replayed_takes_its_old_place(store: &dyn Store) {
    let claim = accepted(store, batch(&[("82", "p1"), ("82", "p2"), ("82", "p3")])).await;
    store.defer(claim.lease, &claim.item, refusal(false), 0).await.unwrap();
    let claim = store.claim(Queue::Inbox, 8).await.unwrap().claims.pop().unwrap();
    let next = bury(store, claim.lease, &claim.item, "replayed").await.unwrap();
    assert_eq!(wamid(&next), "p2");
    let before = store.depth().dead_letters;
    let replayed = store.replay(Replay::One(claim.item.id)).await.unwrap();
    assert_eq!(replayed, Replayed { inbox: 1, outbox: 0 });
    assert_eq!(
        store.replay(Replay::One(claim.item.id)).await.unwrap(),
        Replayed::default(),
        "it is not dead"
    );
    depth_is(store, |depth| (depth.inbox, depth.dead_letters) == (3, before - 1)).await;
    assert_eq!(store.message_state(claim.item.id).await.unwrap().as_deref(), Some("received"));
    let first =
        store.finish(claim.lease, &next, not_answered(), Finish::default()).await.unwrap().next.unwrap();
    assert_eq!((wamid(&first), first.attempts, first.counted), ("p1", 0, 0), "with fresh attempts");
    let last =
        store.finish(claim.lease, &first, not_answered(), Finish::default()).await.unwrap().next.unwrap();
    assert_eq!(wamid(&last), "p3");
    drain(store, claim.lease, last).await;

    // Without work in the conversation its lane is opened anew.
    let claim = accepted(store, delivery("82", "p4")).await;
    let opened = answered(store, &claim, &[reply(), reply()]).await;
    let second = bury(store, opened.lease, &opened.item, "replayed").await.unwrap();
    assert!(bury(store, opened.lease, &second, "replayed").await.is_none());
    let filter = DeadLetterFilter { reason: Some("replayed".to_owned()), ..DeadLetterFilter::default() };
    let one = Replay::Matching { filter: filter.clone(), limit: 1 };
    assert_eq!(store.replay(one.clone()).await.unwrap(), Replayed { inbox: 0, outbox: 1 });
    let claim = store.claim(Queue::Outbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!(claim.item.id, opened.item.id, "the oldest first");
    assert_eq!(store.replay(one).await.unwrap(), Replayed { inbox: 0, outbox: 1 });
    drain(store, claim.lease, claim.item).await;
    assert_eq!(store.replay(Replay::Matching { filter, limit: 8 }).await.unwrap(), Replayed::default());
}

pub(super) async fn a_replay_takes_nobody_elses_doubt(store: &dyn Store) {
    let claim = accepted(store, delivery("83", "q1")).await;
    let opened = answered(store, &claim, &[reply(), reply()]).await;
    let second = bury(store, opened.lease, &opened.item, "first").await.unwrap();
    store.release(opened.lease, Some(now() - 1)).await.unwrap();
    store.replay(Replay::One(opened.item.id)).await.unwrap();
    let claim = store.claim(Queue::Outbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!((claim.item.id, claim.item.uncertain), (opened.item.id, false));
    let next = store
        .finish(claim.lease, &claim.item, sent("wamid.q1"), Finish::default())
        .await
        .unwrap()
        .next
        .unwrap();
    assert_eq!((next.id, next.uncertain), (second.id, true), "the one that may have gone out");
    drain(store, claim.lease, next).await;
}

pub(super) async fn dead_letters_are_filtered_and_deleted(store: &dyn Store) {
    let started = now();
    let mut ids = Vec::new();
    for (channel, contact, reason) in
        [("dead-a", "84", "final"), ("dead-a", "85", "too_old"), ("dead-b", "84", "final")]
    {
        let delivery = on_channel(channel, delivery(contact, &format!("{channel} {contact}")));
        let claim = accepted(store, delivery).await;
        bury(store, claim.lease, &claim.item, reason).await;
        ids.push(claim.item.id);
    }
    let all = DeadLetterFilter { since: Some(started), ..DeadLetterFilter::default() };
    let named = |name: &str| Some(name.to_owned());
    for (filter, expected) in [
        (all.clone(), &[2, 1, 0][..]),
        (DeadLetterFilter { channel: named("dead-a"), ..all.clone() }, &[1, 0]),
        (DeadLetterFilter { contact: named("84"), ..all.clone() }, &[2, 0]),
        (DeadLetterFilter { reason: named("too_old"), ..all.clone() }, &[1]),
        (DeadLetterFilter { queue: Some(Queue::Inbox), ..all.clone() }, &[2, 1, 0]),
        (DeadLetterFilter { queue: Some(Queue::Outbox), ..all.clone() }, &[]),
        (DeadLetterFilter { until: Some(started), ..all.clone() }, &[]),
    ] {
        let page = store.dead_letters(filter.clone(), PageRequest { before: None, limit: 10 }).await.unwrap();
        let found: Vec<_> = page.items.iter().map(|dead| dead.id).collect();
        let expected: Vec<_> = expected.iter().map(|index| ids[*index]).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let page = store.dead_letters(all.clone(), PageRequest { before: None, limit: 2 }).await.unwrap();
    let rest = store.dead_letters(all.clone(), PageRequest { before: page.next, limit: 2 }).await.unwrap();
    assert_eq!((page.items.len(), rest.items.len(), rest.items[0].id), (2, 1, ids[0]));
    let one = store.dead_letter(ids[0]).await.unwrap().unwrap();
    assert_eq!((&*one.reason, &*one.error, one.attempts), ("final", "it failed", 1));
    assert_eq!(
        (&*one.contact.key, one.contact.wa_id.as_deref(), &*one.channel),
        ("84", Some("84"), "dead-a")
    );

    for id in ids {
        assert!(store.discard(id).await.unwrap());
        assert!(!store.discard(id).await.unwrap(), "there is none any more");
        assert!(store.dead_letter(id).await.unwrap().is_none());
        assert_eq!(store.message_state(id).await.unwrap().as_deref(), Some("discarded"));
    }
    assert_eq!(store.replay(Replay::Matching { filter: all, limit: 8 }).await.unwrap(), Replayed::default());
}

pub(super) async fn a_status_proves_that_the_dead_went_out(store: &dyn Store) {
    let claim = accepted(store, delivery("86", "z1")).await;
    let replies = [reply(), reply(), reply()];
    let opened = answered(store, &claim, &replies).await;
    let second = bury(store, opened.lease, &opened.item, "timeout").await.unwrap();
    let third = bury(store, opened.lease, &second, "timeout").await.unwrap();
    assert!(store.discard(second.id).await.unwrap());
    let news: Vec<_> = [(0, "wamid.z0"), (1, "wamid.z1"), (2, "wamid.z2")]
        .map(|(index, wamid)| (wamid, Some(replies[index].id), DeliveryState::Delivered))
        .into();
    store.accept(statuses(&news), 8).await.unwrap();
    // The third was in the queue: it is given up although a status has told that it went out.
    bury(store, opened.lease, &third, "timeout").await;
    for reply in &replies {
        assert_eq!(store.message_state(reply.id).await.unwrap().as_deref(), Some("delivered"));
        assert!(store.dead_letter(reply.id).await.unwrap().is_none());
        assert_eq!(store.replay(Replay::One(reply.id)).await.unwrap(), Replayed::default());
    }
    assert_eq!(store.message(third.id).await.unwrap().unwrap().doubt, Some(Doubt::SettledByStatus));
}
