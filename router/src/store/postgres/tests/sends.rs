//! Sends of the API: many in one transaction, and none that another spoils.

use std::sync::Arc;

use futures_util::future::join_all;

use super::*;
use crate::store::{Enqueued, NewOutbound, NewSend, conformance::sends::send};

async fn run(url: &str, sql: &str) {
    connect_alone(&url.parse().unwrap()).await.unwrap().batch_execute(sql).await.unwrap();
}

fn saying(payload: &str, send: NewSend) -> NewSend {
    NewSend { message: NewOutbound { payload: Arc::from(payload), ..send.message }, ..send }
}

#[tokio::test]
async fn what_queues_up_is_stored_in_one_transaction() {
    const SENDS: usize = 50;
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    let other = connect_alone(&url.parse().unwrap()).await.unwrap();
    // Nothing can be stored until all of them are there.
    other.batch_execute("BEGIN; LOCK TABLE work IN EXCLUSIVE MODE").await.unwrap();
    let sends = join_all((0..SENDS).map(|number| store.enqueue(send(&number.to_string(), None), true)));
    let release = async {
        let waiting = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE NOT l.granted AND d.datname = current_database()";
        while other.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (answers, ()) = tokio::join!(sends, release);
    let tokens: std::collections::HashSet<i64> = answers
        .into_iter()
        .map(|answer| match answer.unwrap() {
            Enqueued::Stored { claim: Some(claim), left_work: false } => claim.lease.token,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tokens.len(), SENDS, "each lane has a lease of its own");
    let count = "SELECT count(*), count(DISTINCT xmin::text) FROM message";
    let row = other.query_one(count, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), SENDS as i64);
    assert!(row.get::<_, i64>(1) <= 2, "{} transactions", row.get::<_, i64>(1));
}

#[tokio::test]
async fn one_that_the_database_refuses_takes_no_other_with_it() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    run(&url, "ALTER TABLE message ADD CONSTRAINT refused CHECK (payload <> 'bad')").await;
    let bad = saying("bad", send("5", Some(("bad", 1))));
    let sends = (0..20).map(|number| {
        let send = if number == 5 { bad.clone() } else { send(&number.to_string(), None) };
        store.enqueue(send, true)
    });
    for (number, answer) in join_all(sends).await.into_iter().enumerate() {
        match answer {
            Ok(Enqueued::Stored { claim: Some(_), .. }) if number != 5 => {}
            Err(StoreError::Database(_)) if number == 5 => {}
            other => panic!("{number}: {other:?}"),
        }
    }
    run(&url, "ALTER TABLE message DROP CONSTRAINT refused").await;
    let again = store.enqueue(bad, true).await;
    assert!(matches!(again, Ok(Enqueued::Stored { claim: Some(_), .. })), "its key was not used: {again:?}");
}

#[tokio::test]
async fn a_key_that_two_routers_are_given_at_once_is_used_once() {
    let Some(url) = new_database() else { return };
    let (a, b) = (open(&url, options()).await, open(&url, options()).await);
    for round in 0..20 {
        let (key, contact) = (round.to_string(), (round / 2).to_string());
        let calls = |store| {
            let of =
                |number: usize| send(&format!("{contact}{number}"), Some((&format!("{key}.{number}"), 1)));
            join_all((0..8).map(of).map(move |call| Store::enqueue(store, call, true)))
        };
        let (of_a, of_b) = tokio::join!(calls(&a), calls(&b));
        for (one, other) in of_a.into_iter().zip(of_b) {
            let known = match (one.unwrap(), other.unwrap()) {
                (Enqueued::Stored { .. }, Enqueued::Known(id))
                | (Enqueued::Known(id), Enqueued::Stored { .. }) => id,
                both => panic!("{both:?}"),
            };
            assert!(a.message(known).await.unwrap().is_some());
        }
    }
}
