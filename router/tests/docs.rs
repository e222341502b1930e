//! docs/CONFIGURATION.md and docs/OPERATIONS.md have to say what the code reads and counts.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

const END: &str = "<!-- end -->";

fn assert_page_has(page: &str, command: &str, printed: &str) {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/{page}"), page = page);
    let text = std::fs::read_to_string(path).unwrap();
    let begin = format!("<!-- generated: router {command} -->\n");
    let (_, rest) = text.split_once(&begin).expect("the mark before the table is there");
    let (table, _) = rest.split_once(END).expect("the mark after the table is there");
    assert!(table == printed, "docs/{page} is out of date: run `make docs` and commit it");
}

#[test]
fn the_configuration_page_has_the_table_that_the_router_prints() {
    assert_page_has("CONFIGURATION.md", "settings", &router::cli::settings_reference());
}

// Elsewhere there is no `/proc`, and the kind of what is read from it is not known.
#[cfg(target_os = "linux")]
#[test]
fn the_operations_page_has_the_metrics_that_the_router_declares() {
    assert_page_has("OPERATIONS.md", "metrics", &router::metrics::reference());
}
