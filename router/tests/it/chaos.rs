//! A few seconds of what `make chaos` does in full: kills, failpoints, webhooks that come again, on both databases.

use std::{io::Write, path::Path};

use sandbox::chaos::{self, ChaosOptions, Store, Verdict};

async fn in_short(store: Store) {
    let options = ChaosOptions {
        stores: vec![store],
        filter: String::new(),
        rounds: 1,
        short: true,
        keep: false,
        seed: u64::from(std::process::id()),
        folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos"),
        progress: false,
    };
    let report = chaos::run(&options).await;
    assert!(!report.rows.is_empty());
    for row in &report.rows {
        if let Verdict::NotRun(why) = &row.verdict {
            // Not by `eprintln!`, which a test that passes does not show.
            let _ = writeln!(std::io::stderr(), "NOT RUN: {} on {store}: {why}", row.case);
        }
    }
    assert!(report.is_fine(), "seed {}\n{}", report.seed, report.table());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_sqlite() {
    in_short(Store::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_postgresql() {
    in_short(Store::Postgres).await;
}
