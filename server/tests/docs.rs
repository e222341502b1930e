//! docs/CONFIGURATION.md has to say what the code reads.

const BEGIN: &str = "<!-- generated: server settings -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_configuration_page_has_the_table_that_the_server_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once(BEGIN).expect("the mark before the table is there");
    let (table, _) = rest.split_once(END).expect("the mark after the table is there");
    assert!(
        table == server::cli::settings_reference(),
        "docs/CONFIGURATION.md is out of date: run `make docs` and commit it"
    );
}
