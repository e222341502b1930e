//! What is generated and committed has to be what the code says now.

use router::config;

const BEGIN: &str = "<!-- generated: router settings -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_configuration_page_has_the_table_that_the_router_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once(BEGIN).expect("the mark before the table is there");
    let (table, _) = rest.split_once(END).expect("the mark after the table is there");
    assert!(
        table == router::cli::settings_reference(),
        "docs/CONFIGURATION.md is out of date: run `make docs` and commit it"
    );
}

#[test]
fn the_objects_page_is_what_the_router_prints() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OBJECTS.md");
    let page = std::fs::read_to_string(path).unwrap();
    assert!(
        page == config::reference::markdown(),
        "docs/OBJECTS.md is out of date: run `make docs` and commit it"
    );
}

#[test]
fn the_definitions_in_deploy_are_what_the_router_prints() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/crds");
    for definition in config::definitions::definitions() {
        let file = std::fs::read_to_string(format!("{folder}/{}.yaml", definition.plural())).unwrap();
        assert!(file == definition.yaml(), "deploy/crds is out of date: run `make crds` and commit it");
    }
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2, "something else is in deploy/crds");
}
