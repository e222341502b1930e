//! Lanes that are idle: taken again, removed after a while, and never where there is work.

use super::*;

/// Numbers of lanes by what they are: waiting, leased, idle.
async fn lanes(url: &str) -> (i64, i64, i64) {
    let count =
        "SELECT count(*) FILTER (WHERE token = 0 AND due_at IS NOT NULL), count(*) FILTER (WHERE token <> 0),
        count(*) FILTER (WHERE token = 0 AND due_at IS NULL) FROM lane";
    let row = session(url).await.client().query_one(count, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

async fn run(url: &str, sql: &str) {
    session(url).await.run(sql).await.unwrap();
}

#[tokio::test]
async fn a_lane_without_work_is_idle_and_taken_again() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    let claim = first_claim(&store, delivery("1", "a")).await;
    assert_eq!(lanes(&url).await, (0, 1, 0));
    store.finish(claim.lease, &claim.item, not_answered(), claiming()).await.unwrap();
    assert_eq!(lanes(&url).await, (0, 0, 1));
    assert!(store.claim(Queue::Inbox, 8).await.unwrap().claims.is_empty(), "nothing is due");

    let again = first_claim(&store, delivery("1", "b")).await;
    assert!(again.lease.token != claim.lease.token && !again.item.uncertain);
    assert_eq!(lanes(&url).await, (0, 1, 0));
    let stale = store.finish(claim.lease, &again.item, not_answered(), claiming()).await;
    assert!(matches!(stale, Err(StoreError::LeaseLost)), "an old token does not fit");
    store.finish(again.lease, &again.item, not_answered(), claiming()).await.unwrap();

    let accepted = store.accept(delivery("1", "c"), 0).await.unwrap();
    assert!(accepted.left_work && accepted.claims.is_empty(), "nobody has room");
    assert_eq!(lanes(&url).await, (1, 0, 0));
    assert!(!store.accept(delivery("1", "d"), 0).await.unwrap().left_work, "it waits already");
    assert_eq!(store.claim(Queue::Inbox, 8).await.unwrap().claims.len(), 1);
}

#[tokio::test]
async fn what_was_idle_for_long_goes_unless_there_is_work() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    let claim = first_claim(&store, delivery("1", "a")).await;
    store.finish(claim.lease, &claim.item, not_answered(), claiming()).await.unwrap();
    let look = || store.claim_as_of(Queue::Inbox, 8, Some(1));
    look().await.unwrap();
    assert_eq!(lanes(&url).await, (0, 0, 1), "it stays for a while");
    run(&url, "UPDATE lane SET leased_until = 0").await;
    look().await.unwrap();
    assert_eq!(lanes(&url).await, (0, 0, 0));

    // As a router that does not know idle lanes leaves it.
    store.accept(delivery("1", "b"), 0).await.unwrap();
    run(&url, "UPDATE lane SET leased_until = 0, due_at = NULL").await;
    look().await.unwrap();
    assert_eq!(lanes(&url).await, (1, 0, 0));
    assert_eq!(store.claim(Queue::Inbox, 8).await.unwrap().claims.len(), 1);
}

#[tokio::test]
async fn leases_of_the_schema_before_expire_in_their_time() {
    let Some(url) = new_database() else { return };
    run(&url, include_str!("../0001_initial.sql")).await;
    run(&url, include_str!("../0002_trace.sql")).await;
    run(
        &url,
        "INSERT INTO schema_version VALUES (1, 2);
         INSERT INTO conversation (id, channel, contact, created_at) VALUES (1, 'default', '1', 1), (2, 'default', '2', 1);
         INSERT INTO message (seq, id, conversation, direction, wamid, type, state, correlation, created_at, payload)
             SELECT n, gen_random_uuid(), n, 'in', 'w' || n, 'text', 'received', gen_random_uuid(), n, '{}'
             FROM generate_series(1, 2) n;
         INSERT INTO work (queue, conversation, seq) VALUES (1, 1, 1), (1, 2, 2);
         INSERT INTO lane (queue, conversation, due_at, owner, token) VALUES (1, 1, 5, 'gone', 7), (1, 2, 9, NULL, 0)",
    )
    .await;
    let store = open(&url, options()).await;
    assert_eq!(lanes(&url).await, (1, 1, 0));
    let claims = store.claim(Queue::Inbox, 8).await.unwrap().claims;
    let mut found: Vec<_> = claims.iter().map(|claim| (claim.item.seq, claim.item.uncertain)).collect();
    found.sort_unstable();
    assert_eq!(found, [(1, true), (2, false)]);
}
