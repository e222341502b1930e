//! The committed OpenAPI document.

use std::{fs, path::Path};

use serde_json::Value;
use server::app::App;

#[test]
fn the_committed_document_is_what_the_program_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/server.json");
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == App::new().document(), "openapi/server.json is not up to date; run `make openapi`");
}

#[test]
fn every_call_is_named_explained_and_says_how_it_fails() {
    let document: Value = serde_json::from_str(&App::new().document()).unwrap();
    assert_eq!(document["servers"][0]["url"], "/");
    let paths = document["paths"].as_object().unwrap();
    let calls: Vec<&Value> = paths.values().flat_map(|item| item.as_object().unwrap().values()).collect();
    assert_eq!(calls.len(), 7);
    for call in calls {
        for field in ["operationId", "summary", "description"] {
            assert!(!call[field].as_str().unwrap_or_default().is_empty(), "{field} in {call}");
        }
    }
    let answers = &document["paths"]["/process"]["post"]["responses"];
    for status in ["400", "413", "500"] {
        let schema = &answers[status]["content"]["application/problem+json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Problem", "{status}");
    }
}
