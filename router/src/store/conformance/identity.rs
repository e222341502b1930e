//! Which messages belong to one person.

use std::collections::HashMap;

use super::*;

pub(super) async fn both_identifiers_lead_to_one_conversation(store: &dyn Store) {
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

pub(super) async fn two_conversations_that_prove_to_be_one_person_keep_their_order(store: &dyn Store) {
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
