//! The account: accepted = answered + not to be answered + in flight + dead, and the same for what is sent.

use super::*;

const CHANNEL: &str = "account";

async fn account(store: &dyn Store) -> ChannelLedger {
    let ledger = store.ledger().await.unwrap();
    assert!(ledger.is_sorted_by(|a, b| a.channel < b.channel), "{ledger:?}");
    let account = ledger.into_iter().find(|account| &*account.channel == CHANNEL).unwrap();
    assert_eq!((account.inbox_gap(), account.outbox_gap()), (0, 0), "{account:?}");
    account
}

pub(super) async fn the_account_adds_up_at_every_step(store: &dyn Store) {
    let batch = on_channel(CHANNEL, batch(&[("111", "l1"), ("111", "l2"), ("111", "l3"), ("111", "l1")]));
    let claim = accepted(store, batch).await;
    let all = account(store).await;
    assert_eq!((all.accepted, all.inbox_in_flight), (3, 3), "a duplicate is none");

    let outcome = Outcome::Answered(vec![reply(), reply(), reply(), reply()]);
    let finished = store.finish(claim.lease, &claim.item, outcome, claiming()).await.unwrap();
    let next = finished.next.unwrap();
    let last =
        store.finish(claim.lease, &next, not_answered(), Finish::default()).await.unwrap().next.unwrap();
    let dead = Outcome::Dead(refusal(false));
    store.finish(claim.lease, &last, dead.clone(), Finish::default()).await.unwrap();
    let all = account(store).await;
    assert_eq!((all.answered, all.not_to_be_answered, all.inbox_in_flight, all.inbox_dead), (1, 1, 0, 1));
    assert_eq!((all.queued, all.outbox_in_flight), (4, 4));

    let opened = finished.opened.unwrap();
    let second = store
        .finish(opened.lease, &opened.item, sent("wamid.l1"), Finish::default())
        .await
        .unwrap()
        .next
        .unwrap();
    let third =
        store.finish(opened.lease, &second, dead.clone(), Finish::default()).await.unwrap().next.unwrap();
    let fourth =
        store.finish(opened.lease, &third, dead.clone(), Finish::default()).await.unwrap().next.unwrap();
    let all = account(store).await;
    assert_eq!((all.sent, all.outbox_dead, all.outbox_in_flight), (1, 2, 1));

    // Given up as lost, and yet it went out.
    store.accept(statuses(&[("wamid.l2", Some(second.id), DeliveryState::Sent)]), 8).await.unwrap();
    let all = account(store).await;
    assert_eq!((all.sent, all.outbox_dead), (2, 1));
    store.discard(third.id).await.unwrap();
    store.discard(last.id).await.unwrap();
    let all = account(store).await;
    assert_eq!((all.discarded, all.outbox_dead, all.not_to_be_answered, all.inbox_dead), (1, 0, 2, 0));
    store.accept(statuses(&[("wamid.l3", Some(third.id), DeliveryState::Sent)]), 8).await.unwrap();
    let all = account(store).await;
    assert_eq!((all.sent, all.discarded), (3, 0), "even what an operator had deleted");

    store.finish(opened.lease, &fourth, dead, Finish::default()).await.unwrap();
    store.replay(Replay::One(fourth.id)).await.unwrap();
    let all = account(store).await;
    assert_eq!(
        (all.queued, all.outbox_in_flight, all.outbox_dead),
        (4, 1, 0),
        "a replay is not queued twice"
    );
    drain_all(store, Queue::Outbox).await;
    assert_eq!(account(store).await.sent, 4);
}

pub(super) async fn queues_are_counted_by_what_they_wait_for(store: &dyn Store) {
    let before = store.queues().await.unwrap();
    assert_eq!((before.inbox, before.outbox), (QueueView::default(), QueueView::default()));
    let batch = batch(&[("112", "m1"), ("112", "m2"), ("113", "m3"), ("114", "m4")]);
    let received_at = batch.received_at;
    let claims = store.accept(batch, 8).await.unwrap().claims;
    assert_eq!(store.queues().await.unwrap().inbox.in_progress, 4, "and what waits behind it");
    for claim in &claims {
        match claim.contact.key.as_str() {
            "112" => store.release(claim.lease, None).await.unwrap(),
            "113" => {
                let due = now() + 600_000_000;
                store.defer(claim.lease, &claim.item, refusal(false), due).await.unwrap();
            }
            _ => {}
        }
    }
    let inbox = store.queues().await.unwrap().inbox;
    assert_eq!((inbox.ready, inbox.in_progress, inbox.delayed), (2, 1, 1));
    assert_eq!(inbox.oldest_at, Some(received_at));
    for claim in claims.into_iter().filter(|claim| claim.contact.key == "114") {
        drain(store, claim.lease, claim.item).await;
    }
    drain_all(store, Queue::Inbox).await;
    assert_eq!(store.queues().await.unwrap(), before);
}
