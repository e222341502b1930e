//! A file in which everything happened that the conformance suite makes happen, moved to a real PostgreSQL.

use rusqlite::Connection;
use sandbox::postgres::Cluster;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::{
    clock::Clock,
    metrics::StoreMetrics,
    store::{
        Finish, MessageFilter, MessageView, Outcome, PageRequest, Store, conformance, database::OpenOptions,
        postgres::PostgresStore, sqlite::SqliteStore,
    },
};

const WAIT: Duration = Duration::from_secs(5);

struct Case {
    cluster: Cluster,
    database: String,
    folder: tempfile::TempDir,
}

impl Case {
    /// `None` where there is no PostgreSQL.
    async fn new() -> Option<Self> {
        let cluster = Cluster::start_if_available("the migration from SQLite to PostgreSQL")?.unwrap();
        let url = cluster.new_database().unwrap();
        let database = url.rsplit('/').next().unwrap().to_owned();
        let case = Self { cluster, database, folder: tempfile::tempdir().unwrap() };
        let store = SqliteStore::open(&case.file(), WAIT, Clock::default()).unwrap();
        conformance::all(&store).await;
        leave_work(&store).await;
        drop(store);
        case.change("INSERT INTO idempotency VALUES (x'01', x'02', randomblob(16), 5)");
        case.change("INSERT INTO channel_state (channel, throughput) VALUES ('slow', 20)");
        case.change("INSERT INTO orphan_status VALUES ('wamid.unknown', 'read', 7, NULL)");
        case.change("INSERT INTO event (received_at, field, raw) VALUES (1, 'zero', 'a' || char(0) || 'b')");
        Some(case)
    }

    fn file(&self) -> Location {
        Location(self.folder.path().join("router.db"))
    }

    fn address(&self) -> Address {
        self.cluster.url(&self.database).parse().unwrap()
    }

    fn change(&self, sql: &str) {
        Connection::open(self.file().0).unwrap().execute_batch(sql).unwrap();
    }

    fn old(&self, sql: &str) -> i64 {
        Connection::open(self.file().0).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn new_database(&self, sql: &str) -> String {
        self.cluster.query(&self.database, sql).unwrap().trim().to_owned()
    }

    async fn run(&self) -> Result<Report, MigrateError> {
        run(&self.file(), &self.address(), WAIT).await
    }

    fn rows(&self) -> Vec<(&'static str, i64)> {
        let count = |name| self.new_database(&format!("SELECT count(*) FROM {name}")).parse().unwrap();
        TABLES.iter().map(|table| (table.name, count(table.name))).collect()
    }
}

const ROUTERS: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'whatsapp-router'";

/// As the API shows them.
async fn newest(store: &dyn Store) -> Vec<MessageView> {
    let page = PageRequest { before: None, limit: 1_000 };
    store.messages(MessageFilter::default(), page).await.unwrap().items
}

/// What a router leaves behind that is killed: two messages with the backend and one more behind one of them, a reply on
/// its way to Graph, a dead letter.
async fn leave_work(store: &SqliteStore) {
    let messages = [("901", "m1"), ("901", "m2"), ("902", "m3"), ("903", "m4"), ("904", "m5")];
    let mut claims = store.accept(conformance::batch(&messages), 8).await.unwrap().claims;
    let (answered, dead) = (claims.pop().unwrap(), claims.pop().unwrap());
    let reply = Outcome::Answered(vec![conformance::reply()]);
    let with = conformance::claiming();
    assert!(store.finish(answered.lease, &answered.item, reply, with).await.unwrap().opened.is_some());
    let given_up = Outcome::Dead(conformance::refusal(false));
    store.finish(dead.lease, &dead.item, given_up, Finish::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_and_nothing_was_changed() {
    let Some(case) = Case::new().await else { return };
    let content = || Sha256::digest(std::fs::read(case.file().0).unwrap());
    let before = content();
    let leased = case.old("SELECT count(*) FROM lane WHERE due_at IS NULL");
    let uncertain = case.old("SELECT count(*) FROM lane WHERE due_at IS NULL OR uncertain");
    assert!(leased == 3 && uncertain >= leased, "{leased} {uncertain}");

    let report = case.run().await.unwrap();
    assert_eq!(content(), before);
    for table in TABLES.iter().map(|table| table.name) {
        let rows = case.old(&format!("SELECT count(*) FROM {table}"));
        assert!(rows > 0, "there is something in {table}");
        let moved = report.moved.iter().find(|moved| moved.table == table).unwrap();
        assert_eq!(i64::try_from(moved.digest.rows).unwrap(), rows, "{table}");
        assert_eq!(case.new_database(&format!("SELECT count(*) FROM {table}")), rows.to_string());
    }
    assert_eq!(
        case.new_database("SELECT count(*) FROM lane WHERE uncertain AND token = 0 AND owner IS NULL"),
        uncertain.to_string()
    );
    assert_eq!(case.new_database("SELECT raw FROM event WHERE field = 'zero'"), "a\u{fffd}b");
    for (sequence, table, column) in [
        ("'message_seq'", "message", "seq"),
        ("'conversation_id'", "conversation", "id"),
        ("pg_get_serial_sequence('webhook', 'id')", "webhook", "id"),
    ] {
        let above = format!("SELECT nextval({sequence}) > max({column}) FROM {table}");
        assert_eq!(case.new_database(&above), "t", "{table}");
    }
    let depth = "SELECT sum(inbox + outbox) = (SELECT count(*) FROM work) FROM tally";
    assert_eq!(case.new_database(depth), "t");

    // Both stores say the same of what they hold.
    let options = OpenOptions {
        uncertain_wait: WAIT,
        lease_time: WAIT,
        clock: Clock::default(),
        metrics: StoreMetrics::unseen(),
    };
    let new = PostgresStore::open(&case.address(), options).await.unwrap();
    let (ledger, messages) = (new.ledger().await.unwrap(), newest(&new).await);
    drop(new);
    let old = SqliteStore::open(&case.file(), WAIT, Clock::default()).unwrap();
    assert_eq!(old.ledger().await.unwrap(), ledger);
    assert_eq!(newest(&old).await, messages);
    drop(old);
    while case.new_database(ROUTERS) != "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let again = case.run().await.unwrap_err();
    assert!(matches!(again, MigrateError::Target(TargetError::NotEmpty { .. })), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_halfway_leaves_an_empty_database_and_can_be_done_again() {
    let Some(case) = Case::new().await else { return };
    drop(Target::connect(&case.address()).await.unwrap());
    // One of the last tables, after everything large has been written.
    case.new_database("ALTER TABLE event ADD CONSTRAINT never CHECK (field <> 'zero')");
    let failed = case.run().await.unwrap_err();
    assert!(matches!(failed, MigrateError::Target(TargetError::Sql { .. })), "{failed}");
    assert!(case.rows().iter().all(|(_, rows)| *rows == 0), "{:?}", case.rows());

    case.new_database("ALTER TABLE event DROP CONSTRAINT never");
    case.run().await.unwrap();
    assert!(case.rows().contains(&("event", case.old("SELECT count(*) FROM event"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_and_a_newer_one_are_refused() {
    let Some(case) = Case::new().await else { return };
    let router = Target::connect(&case.address()).await.unwrap();
    let refused = case.run().await.unwrap_err();
    assert!(matches!(refused, MigrateError::Target(TargetError::InUse { routers: 1 })), "{refused}");
    drop(router);
    case.new_database("UPDATE schema_version SET version = 99");
    let refused = case.run().await.unwrap_err().to_string();
    assert!(refused.contains("99"), "{refused}");
}
