//! Sends of the API that come at the same moment, which a store may write together.

use futures_util::future::join_all;

use super::*;

/// `key` makes it safe to repeat, with this body.
pub(crate) fn send(contact: &str, key: Option<(&str, u8)>) -> NewSend {
    NewSend {
        message: reply(),
        channel: Arc::from("together"),
        contact: Arc::new(person(contact)),
        idempotency: key
            .map(|(key, body)| Idempotency { key: SeenKey::new(&["send", key]), fingerprint: [body; 32] }),
        inbound_since: None,
    }
}

/// Ends all that is left of a lane; the ids in the order of their turn.
async fn sent_in_order(store: &dyn Store, claim: Claim) -> Vec<MessageId> {
    let (mut ids, mut next) = (Vec::new(), Some(claim.item));
    while let Some(item) = next {
        ids.push(item.id);
        next = store
            .finish(claim.lease, &item, sent(&item.id.to_string()), Finish::default())
            .await
            .unwrap()
            .next;
    }
    ids
}

pub(super) async fn sends_that_come_together_are_answered_each_for_itself(store: &dyn Store) {
    const PEOPLE: usize = 10;
    const EACH: usize = 4;
    let began = now();
    let known = on_channel("together", delivery("960", "window"));
    let inbox = store.accept(known, 8).await.unwrap().claims.pop().unwrap();
    drain(store, inbox.lease, inbox.item).await;

    let mut calls: Vec<NewSend> =
        (0..PEOPLE * EACH).map(|number| send(&format!("97{}", number % PEOPLE), None)).collect();
    let of_people: Vec<MessageId> = calls.iter().map(|call| call.message.id).collect();
    let windowed =
        |contact, key, since| NewSend { inbound_since: Some(since), ..send(contact, Some((key, 1))) };
    let others = [
        send("961", Some(("twice", 1))),
        send("961", Some(("twice", 1))),
        send("962", Some(("twice", 2))),
        windowed("960", "open", began),
        windowed("963", "closed", began),
        windowed("960", "also closed", now() + 60_000_000),
    ];
    let first = others[0].message.id;
    calls.extend(others);
    let mut answers =
        join_all(calls.into_iter().map(|call| async { store.enqueue(call, true).await.unwrap() })).await;

    let mut rest = answers.split_off(PEOPLE * EACH).into_iter();
    let mut said = || rest.next().unwrap();
    let Enqueued::Stored { claim: Some(twice), .. } = said() else { panic!("the first of its key") };
    assert!(matches!(said(), Enqueued::Known(id) if id == first));
    assert!(matches!(said(), Enqueued::Conflict));
    let Enqueued::Stored { claim: Some(open), .. } = said() else { panic!("the window is open") };
    assert!(open.item.standing.last_inbound_at.is_some_and(|at| at >= began));
    assert!(matches!(said(), Enqueued::WindowClosed));
    assert!(matches!(said(), Enqueued::WindowClosed));

    for (number, answer) in answers.into_iter().enumerate() {
        let Enqueued::Stored { claim, left_work: false } = answer else { panic!("{number}: {answer:?}") };
        assert_eq!(claim.is_some(), number < PEOPLE, "the first to a person opens the lane, and no other");
        if let Some(claim) = claim {
            let wanted: Vec<_> = of_people.iter().skip(number).step_by(PEOPLE).copied().collect();
            assert_eq!(sent_in_order(store, *claim).await, wanted, "in the order of the calls");
        }
    }
    assert_eq!(sent_in_order(store, *twice).await, [first]);
    assert_eq!(sent_in_order(store, *open).await.len(), 1);

    // What was refused has left nothing behind: no conversation, and its keys are free.
    let filter = ConversationFilter { contact: Some("963".to_owned()), ..ConversationFilter::default() };
    let page = PageRequest { before: None, limit: 8 };
    assert_eq!(store.conversations(filter, page).await.unwrap().items, []);
    for (contact, key) in [("963", "closed"), ("960", "also closed")] {
        let answer = store.enqueue(send(contact, Some((key, 2))), true).await.unwrap();
        let Enqueued::Stored { claim: Some(claim), .. } = answer else { panic!("{key}: {answer:?}") };
        drain(store, claim.lease, claim.item).await;
    }
}
