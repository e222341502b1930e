//! What the API asks for: sends, takeovers; and what is known of channels.

use super::*;

fn send(channel: &str, contact: &str, key: Option<(&str, u8)>) -> NewSend {
    NewSend {
        message: NewOutbound { payload: Arc::from("{\"body\":\"hello\"}"), ..reply() },
        channel: Arc::from(channel),
        contact: Arc::new(person(contact)),
        idempotency: key
            .map(|(key, body)| Idempotency { key: SeenKey::new(&["call", key]), fingerprint: [body; 32] }),
        inbound_since: None,
    }
}

pub(super) async fn a_call_of_the_api_is_sent_once(store: &dyn Store) {
    let first = send("default", "101", Some(("k1", 1)));
    let id = first.message.id;
    let Enqueued::Stored { claim: Some(claim), left_work: false } =
        store.enqueue(first.clone(), true).await.unwrap()
    else {
        panic!("a conversation is opened when there is none")
    };
    assert_eq!((claim.item.id, claim.item.correlation), (id, id), "nothing caused it");
    assert_eq!((&*claim.contact.key, &*claim.channel), ("101", "default"));
    assert_eq!(claim.item.standing, Standing::default(), "no window is open");
    depth_is(store, |depth| depth.bytes == i64::try_from(first.message.payload.len()).unwrap()).await;

    let again = NewSend { message: reply(), ..first.clone() };
    assert!(matches!(store.enqueue(again, true).await.unwrap(), Enqueued::Known(known) if known == id));
    let other_body = send("default", "101", Some(("k1", 2)));
    assert!(matches!(store.enqueue(other_body, true).await.unwrap(), Enqueued::Conflict));
    depth_is(store, |depth| depth.outbox == 1).await;

    // Behind the first, whose lane is leased.
    let without_key = send("default", "101", None);
    let stored = store.enqueue(without_key.clone(), true).await.unwrap();
    assert!(matches!(stored, Enqueued::Stored { claim: None, left_work: false }));
    let next =
        store.finish(claim.lease, &claim.item, sent("wamid.api"), Finish::default()).await.unwrap().next;
    assert_eq!(next.as_ref().map(|next| next.id), Some(without_key.message.id));
    drain(store, claim.lease, next.unwrap()).await;
    let view = store.message(id).await.unwrap().unwrap();
    assert_eq!(
        (view.direction, &*view.state, view.wamid.as_deref()),
        (Direction::Out, "sent", Some("wamid.api"))
    );
    assert_eq!((&*view.payload, view.correlation), ("{\"body\":\"hello\"}", id));

    // The person's answer comes to the same conversation; what the business says opens no window.
    let inbound = accepted(store, delivery("101", "answer")).await;
    assert_eq!(inbound.lease.conversation, claim.lease.conversation);
    drain(store, inbound.lease, inbound.item).await;
    let window = store.conversation(claim.lease.conversation).await.unwrap().unwrap().last_inbound_at;
    let no_room = send("default", "101", None);
    assert!(matches!(
        store.enqueue(no_room, false).await.unwrap(),
        Enqueued::Stored { claim: None, left_work: true }
    ));
    let claim = store.claim(Queue::Outbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!(claim.item.standing.last_inbound_at, window);
    assert!(window.is_some());
    drain(store, claim.lease, claim.item).await;
}

pub(super) async fn a_conversation_is_taken_over_and_given_back(store: &dyn Store) {
    let claim = accepted(store, on_channel("taken", batch(&[("102", "t1"), ("102", "t2")]))).await;
    let id = claim.lease.conversation;
    let until = now() + 60_000_000;
    assert!(store.take_over(id, Some(until)).await.unwrap());
    assert!(!store.take_over(i64::MAX, Some(until)).await.unwrap(), "there is no such conversation");
    let filter = |at| ConversationFilter {
        channel: Some("taken".to_owned()),
        taken_over_at: Some(at),
        ..ConversationFilter::default()
    };
    let request = PageRequest { before: None, limit: 10 };
    let found = store.conversations(filter(until - 1), request).await.unwrap().items;
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [id]);
    assert!(store.conversations(filter(until), request).await.unwrap().items.is_empty(), "it is over");
    let next = store
        .finish(claim.lease, &claim.item, not_answered(), Finish::default())
        .await
        .unwrap()
        .next
        .unwrap();
    assert_eq!(next.standing.taken_over_until, Some(until));
    assert!(store.take_over(id, None).await.unwrap());
    assert!(store.conversations(filter(until - 1), request).await.unwrap().items.is_empty());
    assert_eq!(store.pending(claim.lease, 1).await.unwrap()[0].standing.taken_over_until, None);
    drain(store, claim.lease, next).await;
}

pub(super) async fn what_is_learned_of_a_channel_is_kept(store: &dyn Store) {
    let state = async || {
        let states = store.channel_states().await.unwrap();
        states.into_iter().find(|state| &*state.channel == "limited")
    };
    store.note_channel("limited", ChannelNews::Sends).await.unwrap();
    assert!(state().await.is_none_or(|state| state.stopped.is_none()));
    store.note_channel("limited", ChannelNews::Throughput(1_000)).await.unwrap();
    store.note_channel("limited", ChannelNews::Slowed { until: 5 }).await.unwrap();
    let stopped = |probe_at, reason: &str| ChannelNews::Stopped {
        probe_at,
        reason: reason.to_owned(),
        error: "token expired".to_owned(),
    };
    store.note_channel("limited", stopped(7, "token")).await.unwrap();
    let first = state().await.unwrap();
    assert_eq!((first.throughput, first.slowed_until), (Some(1_000), Some(5)));
    let first = first.stopped.unwrap();
    store.note_channel("limited", stopped(9, "blocked")).await.unwrap();
    let second = state().await.unwrap().stopped.unwrap();
    assert_eq!((second.since, second.probe_at, &*second.reason), (first.since, 9, "blocked"));
    assert_eq!(second.error, "token expired");
    store.note_channel("limited", ChannelNews::Sends).await.unwrap();
    let mended = state().await.unwrap();
    assert_eq!((mended.throughput, mended.stopped), (Some(1_000), None));
}

pub(super) async fn a_send_may_need_an_open_window(store: &dyn Store) {
    let send = |contact: &str, inbound_since| NewSend {
        message: reply(),
        channel: Arc::from("default"),
        contact: Arc::new(person(contact)),
        idempotency: Some(Idempotency { key: SeenKey::new(&["send", contact]), fingerprint: [7; 32] }),
        inbound_since,
    };
    let began = now();
    assert!(matches!(store.enqueue(send("951", Some(began)), true).await, Ok(Enqueued::WindowClosed)));
    let none = ConversationFilter { contact: Some("951".to_owned()), ..ConversationFilter::default() };
    let page = PageRequest { before: None, limit: 8 };
    assert_eq!(
        store.conversations(none, page).await.unwrap().items,
        [],
        "what is refused leaves nothing behind"
    );

    let inbox = store.accept(delivery("951", "window"), 8).await.unwrap().claims.pop().unwrap();
    drain(store, inbox.lease, inbox.item).await;
    let later = Some(now() + 60_000_000);
    assert!(matches!(store.enqueue(send("951", later), true).await, Ok(Enqueued::WindowClosed)));
    let Ok(Enqueued::Stored { claim: Some(claim), .. }) = store.enqueue(send("951", Some(began)), true).await
    else {
        panic!("the window is open");
    };
    let again = store.enqueue(send("951", later), true).await;
    assert!(matches!(again, Ok(Enqueued::Known(id)) if id == claim.item.id), "what is known is no new send");
    drain(store, claim.lease, claim.item).await;
    let Ok(Enqueued::Stored { claim: Some(claim), .. }) = store.enqueue(send("952", None), true).await else {
        panic!("it needs no window");
    };
    drain(store, claim.lease, claim.item).await;
}
