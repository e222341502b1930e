//! What is done from time to time.

use super::*;

pub(super) async fn what_was_not_delivered_is_found_once(store: &dyn Store) {
    let claim = accepted(store, on_channel("watched", delivery("131", "u1"))).await;
    let routed = |route: Option<&str>| NewOutbound { route: route.map(Arc::from), ..reply() };
    let replies = [routed(Some("orders")), routed(None), routed(Some("orders")), routed(Some("other"))];
    let opened = answered(store, &claim, &replies).await;
    let watch_at = Some(1_000);
    // The third is delivered before Graph's answer, the last one after it.
    let early = [("wamid.u2", Some(replies[2].id), DeliveryState::Delivered)];
    store.accept(statuses(&early), 8).await.unwrap();
    let mut item = Some(opened.item);
    for index in 0..4 {
        let wamid = Some(format!("wamid.u{index}"));
        let outcome = Outcome::Sent { wamid, doubt: None, watch_at };
        item = store.finish(opened.lease, &item.unwrap(), outcome, Finish::default()).await.unwrap().next;
    }
    store.accept(statuses(&[("wamid.u3", None, DeliveryState::Read)]), 8).await.unwrap();

    let remedy = NewOutbound { message_type: "template".to_owned(), route: None, ..reply() };
    let remedies = Remedies::from([(Arc::from("orders"), remedy.clone())]);
    assert!(store.take_undelivered(999, remedies.clone(), 10).await.unwrap().is_empty());
    let mut found = store.take_undelivered(2_000, remedies.clone(), 1).await.unwrap();
    assert_eq!(found.len(), 1, "at most");
    found.extend(store.take_undelivered(2_000, remedies.clone(), 10).await.unwrap());
    assert!(store.take_undelivered(2_000, remedies, 10).await.unwrap().is_empty(), "each once");
    found.sort_by_key(|undelivered| undelivered.id);
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [replies[0].id, replies[1].id]);
    assert!(found.iter().all(|found| found.correlation == claim.item.id && found.sent_at.is_some()));
    assert!(found.iter().all(|found| &*found.channel == "watched"));
    assert_eq!((found[0].route.as_deref(), found[1].route.as_deref()), (Some("orders"), None));
    assert_eq!(found[1].remedy, None);

    let due = store.claim(Queue::Outbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!((Some(due.item.id), due.lease.conversation), (found[0].remedy, claim.lease.conversation));
    assert_ne!(due.item.id, remedy.id, "made anew for each");
    assert_eq!(due.item.correlation, claim.item.id);
    assert_eq!(store.message(due.item.id).await.unwrap().unwrap().message_type, "template");
    drain(store, due.lease, due.item).await;

    let filter =
        MessageFilter { channel: Some("watched".to_owned()), undelivered: true, ..MessageFilter::default() };
    let page = store.messages(filter, PageRequest { before: None, limit: 10 }).await.unwrap();
    assert_eq!(page.items.iter().map(|found| found.id).collect::<Vec<_>>(), [replies[1].id, replies[0].id]);
    assert!(page.items.iter().all(|message| message.undelivered_at.is_some()));
}

pub(super) async fn only_what_is_old_and_finished_is_deleted(store: &dyn Store) {
    let finished = accepted(store, delivery("132", "old")).await;
    let opened = answered(store, &finished, &[reply()]).await;
    store.finish(opened.lease, &opened.item, sent("wamid.old"), Finish::default()).await.unwrap();
    let working = accepted(store, delivery("133", "unfinished")).await;
    let dead = accepted(store, delivery("134", "dead")).await;
    let outcome = Outcome::Dead(refusal(false));
    store.finish(dead.lease, &dead.item, outcome, Finish::default()).await.unwrap();
    let mut rest = statuses(&[("wamid.nobody", None, DeliveryState::Read)]);
    rest.events = vec![NewEvent {
        seen_key: SeenKey::new(&["event", "sweep"]),
        channel: None,
        field: "account_update".to_owned(),
        raw: "{}".to_owned(),
    }];
    store.accept(rest, 8).await.unwrap();

    let nothing = store.sweep(Cutoffs::default(), 100).await.unwrap();
    assert_eq!(nothing.total(), 0, "what has no cutoff is kept for ever");
    let long_ago = Some(1_000);
    let none_so_old = Cutoffs {
        webhooks: long_ago,
        messages: long_ago,
        events: long_ago,
        seen: long_ago,
        idempotency_keys: long_ago,
        dead_letters: long_ago,
        orphan_statuses: long_ago,
    };
    assert_eq!(store.sweep(none_so_old, 100).await.unwrap().total(), 0);

    // The newest message may stay.
    let newest = accepted(store, delivery("135", "newest")).await;
    drain(store, newest.lease, newest.item).await;
    let everything = Some(now() + 10_000_000);
    let all = Cutoffs {
        webhooks: everything,
        messages: everything,
        events: everything,
        seen: everything,
        orphan_statuses: everything,
        idempotency_keys: everything,
        dead_letters: None,
    };
    let mut swept = Swept::default();
    loop {
        let once = store.sweep(all, 7).await.unwrap();
        if once.total() == 0 {
            break;
        }
        for (sum, of) in [
            (&mut swept.webhooks, once.webhooks),
            (&mut swept.messages, once.messages),
            (&mut swept.events, once.events),
            (&mut swept.seen, once.seen),
            (&mut swept.orphan_statuses, once.orphan_statuses),
            (&mut swept.idempotency_keys, once.idempotency_keys),
        ] {
            assert!(of <= 7 || of == once.seen, "{once:?}");
            *sum += of;
        }
    }
    assert!(swept.webhooks >= 4 && swept.messages >= 2 && swept.events >= 1 && swept.seen >= 5, "{swept:?}");
    assert!(swept.orphan_statuses >= 1 && swept.idempotency_keys >= 1, "{swept:?}");
    assert!(store.message(finished.item.id).await.unwrap().is_none());
    assert!(store.message(opened.item.id).await.unwrap().is_none());
    for id in [working.item.id, dead.item.id] {
        assert!(
            store.message(id).await.unwrap().is_some(),
            "unfinished work and the dead keep their messages"
        );
    }
    let known = store.accept(delivery("132", "old"), 8).await.unwrap();
    assert_eq!(known.duplicates, 0, "its key was deleted as well");
    for claim in known.claims {
        drain(store, claim.lease, claim.item).await;
    }
    drain(store, working.lease, working.item).await;

    let dead_too = Cutoffs { dead_letters: everything, ..Cutoffs::default() };
    assert!(store.sweep(dead_too, 100).await.unwrap().dead_letters >= 1);
    assert!(store.dead_letter(dead.item.id).await.unwrap().is_none());
    depth_is(store, |depth| depth.dead_letters == 0).await;
}
