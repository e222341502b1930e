//! What the API shows.

use super::*;

const CHANNEL: &str = "views";

fn request(before: Option<Cursor>, limit: usize) -> PageRequest {
    PageRequest { before, limit }
}

/// Reads on until the last page; no filter may end early because it matches rarely.
async fn every_message(store: &dyn Store, filter: &MessageFilter, limit: usize) -> Vec<MessageView> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.messages(filter.clone(), request(cursor, limit)).await.unwrap();
        assert!(page.items.len() <= limit);
        all.extend(page.items);
        assert!(page.next.is_none() || cursor.is_none() || page.next < cursor, "it goes on");
        cursor = page.next;
        if cursor.is_none() {
            return all;
        }
    }
}

pub(super) async fn messages_are_found_by_every_filter(store: &dyn Store) {
    let started = now();
    let mut delivery = on_channel(CHANNEL, batch(&[("121", "v1"), ("122", "v2"), ("121", "v3")]));
    delivery.messages[1].message_type = "image";
    delivery.messages[2].sent_at = Some(4_711_000_000);
    let ids: Vec<_> = delivery.messages.iter().map(|message| message.id).collect();
    let (ours, others): (Vec<_>, Vec<_>) = store
        .accept(delivery, 8)
        .await
        .unwrap()
        .claims
        .into_iter()
        .partition(|claim| claim.contact.key == "121");
    let claim = &ours[0];
    let conversation = claim.lease.conversation;
    let routed = NewOutbound { route: Some(Arc::from("orders")), ..reply() };
    let opened = answered(store, claim, std::slice::from_ref(&routed)).await;
    store.finish(opened.lease, &opened.item, sent("wamid.v"), Finish::default()).await.unwrap();

    let all = MessageFilter { channel: Some(CHANNEL.to_owned()), ..MessageFilter::default() };
    let named = |name: &str| Some(name.to_owned());
    for (filter, expected) in [
        (all.clone(), &[3, 2, 1, 0][..]),
        (MessageFilter { contact: named("121"), ..all.clone() }, &[3, 2, 0]),
        (MessageFilter { contact: named("nobody"), ..all.clone() }, &[]),
        (MessageFilter { conversation: Some(conversation), ..all.clone() }, &[3, 2, 0]),
        (MessageFilter { contact: named("122"), conversation: Some(conversation), ..all.clone() }, &[]),
        (MessageFilter { direction: Some(Direction::Out), ..all.clone() }, &[3]),
        (MessageFilter { direction: Some(Direction::In), contact: named("121"), ..all.clone() }, &[2, 0]),
        (MessageFilter { state: named("received"), ..all.clone() }, &[2, 1]),
        (MessageFilter { state: named("answered"), ..all.clone() }, &[0]),
        (MessageFilter { message_type: named("image"), ..all.clone() }, &[1]),
        (MessageFilter { since: Some(started), ..all.clone() }, &[3, 2, 1, 0]),
        (MessageFilter { until: Some(started), ..all.clone() }, &[]),
        (MessageFilter { since: Some(now() + 7_200_000_000), ..all.clone() }, &[]),
        (MessageFilter { undelivered: true, ..all.clone() }, &[]),
        (MessageFilter { channel: named("no-such"), ..all.clone() }, &[]),
    ] {
        let found: Vec<_> = every_message(store, &filter, 2).await.iter().map(|message| message.id).collect();
        let id = |index: &usize| ids.get(*index).copied().unwrap_or(routed.id);
        assert_eq!(found, expected.iter().map(id).collect::<Vec<_>>(), "{filter:?}");
    }
    let third = store.message(ids[2]).await.unwrap().unwrap();
    assert_eq!((third.direction, &*third.state, &*third.message_type), (Direction::In, "received", "text"));
    assert_eq!((third.wamid.as_deref(), &*third.payload), (Some("v3"), "{\"id\":\"v3\"}"));
    assert_eq!(
        (third.sent_at, third.correlation, third.conversation),
        (Some(4_711_000_000), ids[2], conversation)
    );
    assert_eq!((&*third.channel, third.contact.wa_id.as_deref()), (CHANNEL, Some("121")));
    let out = store.message(routed.id).await.unwrap().unwrap();
    assert_eq!((out.route.as_deref(), out.correlation, &*out.state), (Some("orders"), ids[0], "sent"));
    assert!(out.sent_at >= Some(started) && out.delivered_at.is_none());
    assert!(store.message(MessageId::generate()).await.unwrap().is_none());
    for claim in ours.into_iter().chain(others) {
        store.release(claim.lease, None).await.unwrap();
    }
    drain_all(store, Queue::Inbox).await;
}

pub(super) async fn pages_neither_repeat_nor_hide(store: &dyn Store) {
    let names: Vec<_> = (0..7).map(|index| format!("page {index}")).collect();
    let messages: Vec<_> = names.iter().map(|name| ("123", name.as_str())).collect();
    let claim = accepted(store, on_channel("pages", batch(&messages))).await;
    let by_channel = MessageFilter { channel: Some("pages".to_owned()), ..MessageFilter::default() };
    let by_contact = MessageFilter { contact: Some("123".to_owned()), ..MessageFilter::default() };
    for filter in [by_channel, by_contact] {
        let first = store.messages(filter.clone(), request(None, 3)).await.unwrap();
        // What is stored meanwhile is newer than the first page.
        let wamid = format!("meanwhile {}", MessageId::generate());
        store.accept(on_channel("pages", delivery("123", &wamid)), 8).await.unwrap();
        let mut cursor = first.next;
        let mut rest = Vec::new();
        while let Some(next) = cursor {
            let page = store.messages(filter.clone(), request(Some(next), 3)).await.unwrap();
            rest.extend(page.items);
            cursor = page.next;
        }
        let seqs: Vec<_> = first.items.iter().chain(&rest).map(|message| message.seq).collect();
        assert!(seqs.is_sorted_by(|a, b| a > b), "{seqs:?}");
        assert_eq!(rest.last().unwrap().wamid.as_deref(), Some("page 0"));
        assert!(seqs.len() == 7 || seqs.len() == 8);
    }
    drain(store, claim.lease, claim.item).await;
}

pub(super) async fn conversations_show_their_newest_message(store: &dyn Store) {
    let started = now();
    let claims = store
        .accept(on_channel("chats", batch(&[("124", "c1"), ("125", "c2"), ("126", "c3")])), 8)
        .await
        .unwrap()
        .claims;
    let id =
        |contact: &str| claims.iter().find(|claim| claim.contact.key == contact).unwrap().lease.conversation;
    let all = ConversationFilter { channel: Some("chats".to_owned()), ..ConversationFilter::default() };
    let first = store.conversations(all.clone(), request(None, 2)).await.unwrap();
    let rest = store.conversations(all.clone(), request(first.next, 2)).await.unwrap();
    let found: Vec<_> = first.items.iter().chain(&rest.items).map(|found| found.id).collect();
    assert_eq!(found, [id("126"), id("125"), id("124")]);
    let by_contact = ConversationFilter { contact: Some("125".to_owned()), ..all };
    let found = store.conversations(by_contact, request(None, 5)).await.unwrap();
    assert_eq!((found.items.len(), found.items[0].id, found.next), (1, id("125"), None));
    assert!(store.conversation(i64::MAX).await.unwrap().is_none());

    for claim in claims {
        if claim.contact.key == "125" {
            let opened = answered(store, &claim, &[reply()]).await;
            let view = store.conversation(id_of(&claim)).await.unwrap().unwrap();
            let newest = view.last_message.unwrap();
            assert_eq!((newest.id, newest.direction), (opened.item.id, Direction::Out));
            assert_eq!((&*newest.state, &*newest.message_type), ("queued", "text"));
            assert_eq!((view.inbox, view.outbox), (0, 1));
            assert!(view.last_inbound_at >= Some(started) && view.created_at >= started);
            assert_eq!((&*view.channel, &*view.contact.key), ("chats", "125"));
            drain(store, opened.lease, opened.item).await;
        } else {
            let view = store.conversation(id_of(&claim)).await.unwrap().unwrap();
            assert_eq!((view.inbox, view.last_message.map(|newest| newest.id)), (1, Some(claim.item.id)));
            drain(store, claim.lease, claim.item).await;
        }
    }
}

fn id_of(claim: &Claim) -> i64 {
    claim.lease.conversation
}
