//! The load generator against the real programs: its account adds up, and it sees what watching them brings.

use std::time::Duration;

use sandbox::load::{self, LoadOptions, Mode};

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_watched_is_exact_and_leaves_traces() {
    let report = load::run(&LoadOptions {
        mode: Mode::Durable,
        rate: 100,
        duration: Duration::from_secs(3),
        contacts: 32,
        open_loop: false,
        connections: 8,
        statuses: 1,
        traces: Some(1.0),
    })
    .await
    .unwrap();
    assert!(report.is_exact(), "{report}");
    let watched = report.watched.unwrap();
    assert!(watched.exports > 0 && watched.export_bytes > 1_000, "{watched:?}");
    assert!(watched.scrapes >= 2, "both services: {watched:?}");
}
