//! The conformance suite on a real file, and what is particular to SQLite: restarts, rollbacks, a full disk.

mod upgrade;

use rusqlite::Connection;

use super::*;
use crate::store::{
    SeenKey,
    conformance::{self, batch, claiming, delivery, refusal, reply},
    model, now,
};

const WAIT: Duration = Duration::from_secs(5);

fn open(folder: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&Location(folder.path().join("router.db")), WAIT, Clock::default()).unwrap()
}

#[tokio::test]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    conformance::all(&open(&folder)).await;
}

/// In memory where that is possible: nothing here is about the disk.
fn fast_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

#[tokio::test]
async fn random_operations_agree_with_a_simple_model() {
    for seed in 0..100 {
        let folder = fast_folder();
        let location = Location(folder.path().join("router.db"));
        let wait = Duration::from_secs(600);
        let make = async || {
            Arc::new(SqliteStore::open(&location, wait, Clock::default()).unwrap()) as Arc<dyn Store>
        };
        model::check(make, seed, 50).await;
    }
}

#[tokio::test]
async fn work_that_was_leased_when_the_process_ended_is_due_again_and_uncertain() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let mut claims = store.accept(batch(&[("1", "a"), ("1", "b"), ("2", "c")]), 8).await.unwrap().claims;
    let inbox = claims.pop().unwrap();
    let answered = Outcome::Answered(vec![reply()]);
    assert!(store.finish(inbox.lease, &inbox.item, answered, claiming()).await.unwrap().opened.is_some());
    drop(store);

    let store = open(&folder);
    let depth = Depth { inbox: 2, outbox: 1, dead_letters: 0, bytes: 2 * 10 + 2 };
    assert_eq!(store.depth(), depth);
    assert_eq!(
        store.claim(Queue::Outbox, 8).await.unwrap().claims.len(),
        0,
        "a status may still tell that it went out"
    );
    let outbox = store.claim_as_of(Queue::Outbox, 8, Some(now() + 6_000_000)).await.unwrap().claims;
    assert!(outbox.len() == 1 && outbox[0].item.uncertain);
    store.defer(outbox[0].lease, &outbox[0].item, refusal(true), 0).await.unwrap();
    drop(store);

    let store = open(&folder);
    let rests = store.claim(Queue::Outbox, 8).await.unwrap().claims.len();
    assert_eq!(rests, 0, "while nobody was there no status could tell");
    let inbox = store.claim(Queue::Inbox, 8).await.unwrap().claims;
    assert_eq!(inbox.len(), 1, "two messages of one conversation");
    let old = Lease { token: claims[0].lease.token, ..inbox[0].lease };
    let stale =
        store.finish(old, &inbox[0].item, Outcome::NotAnswered { reason: "test" }, Finish::default()).await;
    assert!(matches!(stale, Err(StoreError::LeaseLost)), "a token is never given out twice");
    // The item behind the uncertain one is not uncertain.
    let next = store
        .finish(inbox[0].lease, &inbox[0].item, Outcome::NotAnswered { reason: "test" }, Finish::default())
        .await
        .unwrap()
        .next
        .unwrap();
    assert!(!next.uncertain);
    store.defer(inbox[0].lease, &next, refusal(false), 0).await.unwrap();
    assert!(!store.claim(Queue::Inbox, 8).await.unwrap().claims[0].item.uncertain);
}

#[tokio::test]
async fn a_duplicate_is_recognised_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    store.accept(delivery("1", "a"), 0).await.unwrap();
    drop(store);
    assert_eq!(open(&folder).accept(delivery("1", "a"), 8).await.unwrap().duplicates, 1);
}

#[tokio::test]
async fn a_write_that_fails_is_an_error_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    let other = Connection::open(folder.path().join("router.db")).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON work WHEN (SELECT contact FROM conversation
                 WHERE id = NEW.conversation) = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'disk full'); END",
        )
        .unwrap();
    // Sent together, so that they may share a transaction: the bad one must not take the others with it.
    let (good, bad, also_good) = tokio::join!(
        store.accept(delivery("good", "g1"), 8),
        store.accept(delivery("bad", "b1"), 8),
        store.accept(delivery("good", "g2"), 8),
    );
    assert!(matches!(bad, Err(StoreError::Database(_))));
    assert!(good.is_ok() && also_good.is_ok());
    assert_eq!(store.depth().inbox, 2);
    other.execute_batch("DROP TRIGGER full").unwrap();
    let again = store.accept(delivery("bad", "b1"), 8).await.unwrap();
    assert_eq!(again.new_messages, [true], "what was refused was not remembered as seen");
}

#[test]
fn a_file_that_is_no_database_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("router.db");
    std::fs::write(&path, "this is not a database, it is a text file of some length").unwrap();
    let error = SqliteStore::open(&Location(path), WAIT, Clock::default()).unwrap_err().to_string();
    assert!(error.contains("can't be") && !error.contains('\n'), "{error}");
}
