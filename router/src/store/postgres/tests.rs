//! The conformance suite on a private PostgreSQL, and what is particular to several routers on one database.

mod lanes;
mod plans;
mod sends;

use std::sync::OnceLock;

use sandbox::postgres::Cluster;

use super::*;
use crate::metrics::StoreMetrics;
use crate::store::{
    Attempt, Claim, Contact, Delivery, Outcome, PaceAsk, Queue, Refusal, Store,
    conformance::{self, batch, claiming, delivery, refusal, reply},
    model, now,
};

fn options() -> OpenOptions {
    OpenOptions {
        uncertain_wait: Duration::from_secs(5),
        lease_time: Duration::from_secs(30),
        clock: Clock::default(),
        metrics: StoreMetrics::unseen(),
    }
}

/// One for all tests; each has a database of its own.
fn new_database() -> Option<String> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| {
        let started = Cluster::start_if_available("the tests of the store on PostgreSQL")?;
        Some(started.expect("a private PostgreSQL starts"))
    });
    cluster.as_ref().map(|cluster| cluster.new_database().expect("a new database"))
}

async fn open(url: &str, options: OpenOptions) -> PostgresStore {
    PostgresStore::open(&url.parse().unwrap(), options).await.unwrap()
}

#[tokio::test]
async fn conforms() {
    let Some(url) = new_database() else { return };
    conformance::all(&open(&url, options()).await).await;
}

#[tokio::test]
async fn random_operations_agree_with_a_simple_model() {
    for seed in 0..3 {
        let Some(url) = new_database() else { return };
        let options = OpenOptions { uncertain_wait: Duration::from_secs(600), ..options() };
        let make = async || Arc::new(open(&url, options.clone()).await) as Arc<dyn Store>;
        model::check(make, seed, 50).await;
    }
}

async fn first_claim(store: &PostgresStore, delivery: Delivery) -> Claim {
    store.accept(delivery, 8).await.unwrap().claims.pop().unwrap()
}

fn not_answered() -> Outcome {
    Outcome::NotAnswered { reason: "test" }
}

fn expiring() -> OpenOptions {
    OpenOptions {
        lease_time: Duration::from_millis(300),
        uncertain_wait: Duration::ZERO,
        clock: Clock::default(),
        metrics: StoreMetrics::unseen(),
    }
}

#[tokio::test]
async fn two_routers_never_hold_the_same_conversation() {
    let Some(url) = new_database() else { return };
    let (a, b) = (open(&url, options()).await, open(&url, options()).await);
    let people: Vec<String> = (0..100).map(|number| format!("49170{number}")).collect();
    for person in &people {
        a.accept(delivery(person, person), 0).await.unwrap();
    }
    let (mut taken, mut rounds) = (std::collections::HashSet::new(), 0);
    while taken.len() < people.len() {
        let (of_a, of_b) = tokio::join!(a.claim(Queue::Inbox, 10), b.claim(Queue::Inbox, 10));
        for claim in of_a.unwrap().claims.into_iter().chain(of_b.unwrap().claims) {
            assert!(taken.insert(claim.lease.conversation), "leased twice");
        }
        rounds += 1;
        assert!(rounds < 200, "only {} of {} were claimed", taken.len(), people.len());
    }
}

#[tokio::test]
async fn a_router_that_slept_too_long_can_not_end_what_another_took() {
    let Some(url) = new_database() else { return };
    let (a, b) = (open(&url, expiring()).await, open(&url, expiring()).await);
    let slept = first_claim(&a, batch(&[("1", "s1"), ("1", "s2")])).await;
    let taken = loop {
        if let Some(claim) = b.claim(Queue::Inbox, 1).await.unwrap().claims.pop() {
            break claim;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(taken.item.uncertain && taken.lease.token != slept.lease.token);
    let answered = Outcome::Answered(vec![reply()]);
    let stale = a.finish(slept.lease, &slept.item, answered, claiming()).await;
    assert!(matches!(stale, Err(StoreError::LeaseLost)));
    assert_eq!(a.renew(vec![slept.lease]).await.unwrap(), [slept.lease]);
    let next = b.finish(taken.lease, &taken.item, not_answered(), claiming()).await.unwrap().next.unwrap();
    assert!(!next.uncertain, "nobody had touched it");
}

#[tokio::test]
async fn a_webhook_that_two_routers_get_at_once_is_stored_once() {
    let Some(url) = new_database() else { return };
    let (a, b) = (open(&url, options()).await, open(&url, options()).await);
    for round in 0..20 {
        let wamids: Vec<String> = (0..5).map(|number| format!("{round}.{number}")).collect();
        let items: Vec<(&str, &str)> = wamids.iter().map(|wamid| ("7", wamid.as_str())).collect();
        let (of_a, of_b) = tokio::join!(a.accept(batch(&items), 1), b.accept(batch(&items), 1));
        let (of_a, of_b) = (of_a.unwrap(), of_b.unwrap());
        for (at_a, at_b) in of_a.new_messages.iter().zip(&of_b.new_messages) {
            assert!(at_a ^ at_b, "stored by one of them");
        }
        for (store, accepted) in [(&a, of_a), (&b, of_b)] {
            for claim in accepted.claims {
                let mut item = Some(claim.item);
                while let Some(current) = item {
                    item =
                        store.finish(claim.lease, &current, not_answered(), claiming()).await.unwrap().next;
                }
            }
        }
    }
    assert_eq!(a.claim(Queue::Inbox, 8).await.unwrap().claims.len(), 0, "nothing is left");
}

/// What one router stored after the other had answered comes after it, whoever works on the conversation.
#[tokio::test]
async fn order_is_kept_whichever_router_stores() {
    let Some(url) = new_database() else { return };
    let stores = [open(&url, options()).await, open(&url, options()).await];
    let people = ["81", "82", "83", "84"];
    // Each person's messages go to the two routers in turn, all people at the same time.
    futures_util::future::join_all(people.map(|person| {
        let stores = &stores;
        async move {
            for number in 0..25 {
                let wamid = format!("{person}.{number:02}");
                stores[number % 2].accept(delivery(person, &wamid), 0).await.unwrap();
            }
        }
    }))
    .await;
    let claims = stores[0].claim(Queue::Inbox, 8).await.unwrap().claims;
    assert_eq!(claims.len(), people.len());
    for claim in claims {
        let (mut item, mut order) = (Some(claim.item), Vec::new());
        while let Some(current) = item {
            order.push(current.inbound.as_ref().unwrap().wamid.to_string());
            item = stores[0].finish(claim.lease, &current, not_answered(), claiming()).await.unwrap().next;
        }
        let expected: Vec<String> =
            (0..25).map(|number| format!("{}.{number:02}", claim.contact.key)).collect();
        assert_eq!(order, expected);
    }
}

#[tokio::test]
async fn another_router_hears_of_work_that_nobody_has_room_for() {
    let Some(url) = new_database() else { return };
    let (a, b) = (open(&url, options()).await, open(&url, options()).await);
    // It may resolve without reason, so what counts is that it does after the work was stored. Said again until it is
    // heard: the other may not listen yet.
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    for number in 0.. {
        a.accept(delivery(&number.to_string(), "n"), 0).await.unwrap();
        if tokio::time::timeout(Duration::from_millis(500), b.work_elsewhere()).await.is_ok() {
            return;
        }
        assert!(std::time::Instant::now() < patience, "nothing was heard");
    }
}

#[tokio::test]
async fn routers_that_start_together_make_the_schema_once() {
    let Some(url) = new_database() else { return };
    let stores = futures_util::future::join_all((0..4).map(|_| open(&url, options()))).await;
    stores[3].probe().await.unwrap();
    assert_eq!(stores[0].accept(delivery("1", "a"), 0).await.unwrap().new_messages, [true]);
    assert_eq!(stores[1].accept(delivery("1", "a"), 0).await.unwrap().new_messages, [false]);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let Some(url) = new_database() else { return };
    drop(open(&url, options()).await);
    let other = session(&url).await;
    other.run("UPDATE schema_version SET version = 99").await.unwrap();
    let error = PostgresStore::open(&url.parse().unwrap(), options()).await.unwrap_err().to_string();
    assert!(error.contains("version 99") && !error.contains('\n'), "{error}");
}

#[tokio::test]
async fn what_is_wrong_with_the_address_is_said_in_one_line() {
    let error = |url: &str| {
        let address: Address = url.parse().unwrap();
        async move { PostgresStore::open(&address, options()).await.unwrap_err().to_string() }
    };
    let nobody = error("postgres://router:hunter2@127.0.0.1:1/router").await;
    assert!(nobody.contains("127.0.0.1:1/router") && nobody.contains("check"), "{nobody}");
    assert!(!nobody.contains("hunter2") && !nobody.contains('\n'), "{nobody}");
    let Some(url) = new_database() else { return };
    let missing = error(&format!("{url}_missing")).await;
    assert!(missing.contains("no such database"), "{missing}");
}

#[tokio::test]
async fn two_routers_never_use_more_than_the_limit_together() {
    let Some(url) = new_database() else { return };
    let (a, b) = (open(&url, options()).await, open(&url, options()).await);
    let ask = |demand| PaceAsk {
        channel: Arc::from("default"),
        kind: crate::store::PaceKind::Throughput,
        limit: 80,
        demand,
    };
    assert_eq!(a.share_pace(vec![ask(100)]).await.unwrap(), [80], "nobody else is there");
    assert_eq!(b.share_pace(vec![ask(100)]).await.unwrap(), [0], "all of it is held");
    assert_eq!(a.share_pace(vec![ask(100)]).await.unwrap(), [40]);
    assert_eq!(b.share_pace(vec![ask(100)]).await.unwrap(), [40]);
    assert_eq!(b.share_pace(vec![ask(10)]).await.unwrap(), [10]);
    assert_eq!(a.share_pace(vec![ask(100)]).await.unwrap(), [70]);
}

#[tokio::test]
async fn the_share_of_a_router_that_is_gone_is_free_after_its_lease() {
    let Some(url) = new_database() else { return };
    let (a, b) = (open(&url, expiring()).await, open(&url, expiring()).await);
    let ask = || PaceAsk {
        channel: Arc::from("default"),
        kind: crate::store::PaceKind::Throughput,
        limit: 80,
        demand: 100,
    };
    a.share_pace(vec![ask()]).await.unwrap();
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while b.share_pace(vec![ask()]).await.unwrap() != [80] {
        assert!(std::time::Instant::now() < patience, "it was never given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn session(url: &str) -> session::Session {
    let connector = Connector::new(url.parse().unwrap(), Clock::default(), StoreMetrics::unseen()).unwrap();
    connector.connect(Purpose::Asking, None).await.unwrap()
}

#[tokio::test]
async fn work_goes_on_after_every_connection_was_cut() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    let claim = first_claim(&store, batch(&[("1", "a"), ("1", "b")])).await;
    let other = session(&url).await;
    other
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    let mut answered = None;
    for _ in 0..200 {
        match store.finish(claim.lease, &claim.item, Outcome::Answered(vec![reply()]), claiming()).await {
            Ok(finished) => {
                answered = Some(finished);
                break;
            }
            Err(StoreError::Database(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
    let answered = answered.expect("it came back");
    assert!(answered.next.is_some() && answered.opened.is_some());
    let again = store.finish(claim.lease, &claim.item, Outcome::Answered(vec![reply()]), claiming()).await;
    let again = again.unwrap();
    assert!(again.opened.is_none() && again.next.is_some(), "a repetition changes nothing");
    assert_eq!(
        other
            .client()
            .query_one("SELECT count(*) FROM work WHERE queue = 2", &[])
            .await
            .unwrap()
            .get::<_, i64>(0),
        1
    );
}

/// The other side of a line that was cut may be at a commit still.
#[tokio::test]
async fn a_process_of_the_server_that_is_ended_commits_nothing_afterwards() {
    let Some(url) = new_database() else { return };
    drop(open(&url, options()).await);
    let (lost, holder, ours) = (session(&url).await, session(&url).await, session(&url).await);
    let backend = backend::Backend::of(&lost).await.unwrap().unwrap();
    assert_eq!(backend::Backend::of(&lost).await.unwrap(), Some(backend));
    holder.run("BEGIN; INSERT INTO probe (id, at) VALUES (1, 1)").await.unwrap();
    let waiting = tokio::spawn(async move {
        let write = "INSERT INTO probe (id, at) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET at = 2";
        lost.run(&format!("BEGIN; {write}; COMMIT")).await
    });
    // Which of the two comes first is all the same.
    tokio::task::yield_now().await;
    backend.end(&ours).await.unwrap();
    holder.run("COMMIT").await.unwrap();
    assert!(waiting.await.unwrap().is_err());
    let at: i64 = ours.client().query_one("SELECT at FROM probe", &[]).await.unwrap().get(0);
    assert_eq!(at, 1);
    backend.end(&ours).await.unwrap();
}

#[tokio::test]
async fn one_call_that_can_not_be_stored_does_not_take_the_others_with_it() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    session(&url)
        .await
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON message FOR EACH ROW WHEN (NEW.wamid = 'b1')
                 EXECUTE FUNCTION refuse()",
        )
        .await
        .unwrap();
    let (good, bad, also_good) = tokio::join!(
        store.accept(delivery("good", "g1"), 8),
        store.accept(delivery("bad", "b1"), 8),
        store.accept(delivery("good", "g2"), 8),
    );
    assert!(matches!(bad, Err(StoreError::Database(error)) if error.contains("not this one")));
    assert!(good.is_ok() && also_good.is_ok());
    assert_eq!(store.depth().inbox, 2);
}

#[tokio::test]
async fn a_zero_character_is_stored_as_a_replacement() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    let mut odd = delivery("odd", "z1");
    odd.messages[0].contact =
        Arc::new(Contact { name: Some("a\0b".to_owned()), ..(*odd.messages[0].contact).clone() });
    odd.messages[0].raw = Arc::from("{\"\0\"}");
    let claim = first_claim(&store, odd).await;
    assert_eq!(claim.contact.name.as_deref(), Some("a\u{fffd}b"));
    store.release(claim.lease, None).await.unwrap();
    let again = store.claim(Queue::Inbox, 1).await.unwrap().claims.pop().unwrap();
    assert_eq!(&*again.item.payload, "{\"\u{fffd}\"}");
    let refused = Refusal { attempt: Attempt::None, ..refusal(false) };
    store.defer(again.lease, &again.item, refused, now()).await.unwrap();
}
