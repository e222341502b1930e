//! A file of the first version with work in every state goes on where it was.

use rusqlite::Connection;

use super::*;

const FIRST_VERSION: &str = include_str!("../0001_initial.sql");

/// Two conversations: an answered message and its delivered reply, a dead message, one that was leased, a reply that
/// waits, one whose status has come before Graph's answer.
const ROWS: &str = "
    INSERT INTO seen VALUES (x'00112233445566778899aabbccddeeff', 5);
    INSERT INTO webhook (received_at, body) VALUES (1, x'7b7d');
    INSERT INTO conversation VALUES (1, 'default', '49', '49', NULL, NULL, 'Ada', 1, 40),
        (2, 'other', '50', '50', NULL, NULL, NULL, 2, 30);
    INSERT INTO contact_alias VALUES ('default', '49', 1), ('other', '50', 2);
    INSERT INTO message (seq, id, conversation, direction, wamid, type, state, payload, correlation, created_at)
    VALUES
        (1, x'00000000000000000000000000000001', 1, 'in', 'w1', 'text', 'answered', '{\"n\":1}', x'00000000000000000000000000000001', 10),
        (2, x'00000000000000000000000000000002', 2, 'in', 'w2', 'text', 'dead', '{}', x'00000000000000000000000000000002', 20),
        (3, x'00000000000000000000000000000003', 1, 'out', 'w3', 'text', 'delivered', '{}', x'00000000000000000000000000000001', 30),
        (5, x'00000000000000000000000000000005', 1, 'in', 'w5', 'text', 'received', '{\"ü\":5}', x'00000000000000000000000000000005', 40),
        (6, x'00000000000000000000000000000006', 1, 'out', NULL, 'text', 'queued', '{\"six\":6}', x'00000000000000000000000000000001', 50),
        (7, x'00000000000000000000000000000007', 1, 'out', 'w7', 'text', 'read', '{}', x'00000000000000000000000000000001', 60);
    INSERT INTO work (queue, conversation, seq, attempts, counted) VALUES (1, 1, 5, 2, 1), (2, 1, 6, 0, 0), (2, 1, 7, 0, 0);
    INSERT INTO lane (queue, conversation, due_at, owner, token) VALUES (1, 1, NULL, 'gone', 7), (2, 1, 100, NULL, 0);
    INSERT INTO dead_letter VALUES (2, 1, 2, 'final', 'no', 3, 25);
    PRAGMA user_version = 1;";

#[tokio::test]
async fn a_file_of_the_first_version_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let first = Connection::open(folder.path().join("router.db")).unwrap();
    first.execute_batch(FIRST_VERSION).unwrap();
    first.execute_batch(ROWS).unwrap();
    drop(first);

    let store = open(&folder);
    let bytes = "{\"ü\":5}{\"six\":6}{}".len();
    let depth = Depth { inbox: 1, outbox: 2, dead_letters: 1, bytes: i64::try_from(bytes).unwrap() };
    assert_eq!(store.depth(), depth);
    let ledger = store.ledger().await.unwrap();
    assert!(ledger.iter().all(|account| (account.inbox_gap(), account.outbox_gap()) == (0, 0)), "{ledger:?}");
    let [default, other] = &ledger[..] else { panic!("{ledger:?}") };
    assert_eq!((default.accepted, default.answered, default.inbox_in_flight), (2, 1, 1));
    assert_eq!((default.queued, default.sent, default.outbox_in_flight), (3, 1, 2));
    assert_eq!((other.accepted, other.inbox_dead), (1, 1));

    let request = PageRequest { before: None, limit: 10 };
    let filter = MessageFilter { contact: Some("49".to_owned()), ..MessageFilter::default() };
    let page = store.messages(filter, request).await.unwrap();
    assert_eq!(page.items.iter().map(|message| message.seq).collect::<Vec<_>>(), [7, 6, 5, 3, 1]);
    assert_eq!((&*page.items[4].payload, page.items[4].created_at), ("{\"n\":1}", 10));
    let dead = store.dead_letters(DeadLetterFilter::default(), request).await.unwrap().items;
    assert_eq!((dead.len(), dead[0].attempts, &*dead[0].reason), (1, 3, "final"));

    let inbox = store.claim(Queue::Inbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!(
        (inbox.item.seq, inbox.item.attempts, inbox.item.counted, inbox.item.uncertain),
        (5, 2, 1, true)
    );
    assert_eq!(inbox.item.standing.last_inbound_at, Some(40));
    let outbox = store.claim(Queue::Outbox, 8).await.unwrap().claims.pop().unwrap();
    assert_eq!((outbox.item.seq, outbox.item.already_sent), (6, false));
    let sent = Outcome::Sent { wamid: None, doubt: None, watch_at: None };
    let next = store.finish(outbox.lease, &outbox.item, sent, Finish::default()).await.unwrap().next.unwrap();
    assert_eq!((next.seq, next.already_sent), (7, true));
    let mut again = delivery("49", "w8");
    again.messages[0].seen_key = SeenKey([
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
    ]);
    assert_eq!(store.accept(again, 8).await.unwrap().duplicates, 1, "what was seen stays seen");
}
