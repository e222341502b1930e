//! Each statement of the hot paths looks its rows up by key, also with the plan that is made on an empty database: that one
//! is kept while millions of messages come in, until the tables are analyzed.

use std::fmt::Write as _;

use super::*;
use crate::store::postgres::{
    accept, connect::STABLE_PLANS, dead_letters, expiry, finish, lanes, orphans, people, sends, statuses,
};

const STATEMENTS: [(&str, &str); 28] = [
    ("accept::TOUCH", accept::TOUCH),
    ("accept::BUSY", accept::BUSY),
    ("people::LOOK_UP", people::LOOK_UP),
    ("people::UPDATE", people::UPDATE),
    ("finish::PAIRS", finish::PAIRS),
    ("finish::LOCK", finish::LOCK),
    ("finish::TAKE", finish::TAKE),
    ("finish::REST", finish::REST),
    ("columns::END_INBOUND", finish::columns::END_INBOUND),
    ("columns::END_OUTBOUND", finish::columns::END_OUTBOUND),
    ("columns::CERTAIN", finish::columns::CERTAIN),
    ("columns::DEFER_WORK", finish::columns::DEFER_WORK),
    ("columns::LET_GO", finish::columns::LET_GO),
    ("lanes::HEADS", lanes::HEADS),
    ("lanes::CLAIM", lanes::CLAIM),
    ("lanes::PEOPLE", lanes::PEOPLE),
    ("lanes::RENEW", lanes::RENEW),
    ("dead_letters::DOUBT_OF_ITEMS", dead_letters::DOUBT_OF_ITEMS),
    ("dead_letters::DOUBT_OF_LANES", dead_letters::DOUBT_OF_LANES),
    ("dead_letters::REVIVE", dead_letters::REVIVE),
    ("statuses::ADVANCE", statuses::ADVANCE),
    ("statuses::BY_ID", statuses::BY_ID),
    ("statuses::BY_WAMID", statuses::BY_WAMID),
    ("sends::REMEMBERED", sends::REMEMBERED),
    ("sends::FORGET", sends::FORGET),
    ("sends::STANDINGS", sends::STANDINGS),
    ("orphans::KNOWN", orphans::KNOWN),
    ("expiry::EXPIRE", expiry::EXPIRE),
];

/// Those that are meant to walk along an index, and the condition that they may have alone.
const WALKS: [(&str, &str); 2] = [
    ("lanes::CLAIM", "(due_at <= "),
    // All that is leased: see there.
    ("expiry::EXPIRE", "lane"),
];

/// What scans without a key, as `EXPLAIN` prints it.
fn scans(plan: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in plan.iter().enumerate() {
        let scan = line.trim().trim_start_matches("-> ").trim();
        if !scan.contains("Scan using") && !scan.starts_with("Seq Scan") {
            continue;
        }
        let condition = plan.get(at + 1).map_or("", |next| next.trim());
        let keys = ["conversation", "seq", "id", "wamid", "identifier", "key"];
        let by_key = condition.starts_with("Index Cond:")
            && keys.iter().any(|key| {
                condition.contains(&format!("({key} = ")) || condition.contains(&format!("{key} = ANY"))
            });
        if !by_key {
            found.push(format!("{scan}: {condition}"));
        }
    }
    found
}

async fn plan(session: &session::Session, sql: &str) -> Vec<String> {
    let parameters = (1..20).take_while(|n| sql.contains(&format!("${n}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    session.run(&format!("PREPARE it AS {sql}")).await.unwrap();
    let rows =
        session.client().simple_query(&format!("EXPLAIN (COSTS OFF) EXECUTE it({nulls})")).await.unwrap();
    session.run("DEALLOCATE it").await.unwrap();
    rows.iter()
        .filter_map(|row| match row {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn what_is_done_for_each_message_is_looked_up_by_key() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    let session = session(&url).await;
    session.run(&format!("{STABLE_PLANS}; SET whatsapp_router.ahead = '0'")).await.unwrap();
    let mut wrong = String::new();
    for (name, sql) in STATEMENTS {
        let plan = plan(&session, sql).await;
        assert!(plan.len() > 1, "{name}: {plan:?}");
        for scan in scans(&plan) {
            if !WALKS.iter().any(|(walks, along)| *walks == name && scan.contains(along)) {
                writeln!(wrong, "{name}: {scan}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    drop(store);
}

/// The test above can fail.
#[tokio::test]
async fn a_join_that_reads_the_whole_queue_is_found() {
    let Some(url) = new_database() else { return };
    let store = open(&url, options()).await;
    let session = session(&url).await;
    session.run(STABLE_PLANS).await.unwrap();
    let sql = "SELECT l.conversation FROM UNNEST($2::bigint[], $3::bigint[]) u(c, t)
        JOIN lane l ON l.queue = $1 AND l.conversation = u.c AND l.token = u.t FOR UPDATE OF l";
    let found = scans(&plan(&session, sql).await);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("lane_pkey"), "{found:?}");
    drop(store);
}
