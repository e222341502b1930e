//! What Grafana would stumble over in a dashboard, as far as its JSON tells: Grafana itself is not there to ask. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// Of Grafana 12.
const SCHEMA: u64 = 41;
/// Columns of the grid.
const COLUMNS: u64 = 24;
const TYPES: [&str; 5] = ["row", "stat", "timeseries", "state-timeline", "table"];
/// The color of a tile that has nothing to show: not the one that says that all is well.
const UNKNOWN: &str = "null+nan";

/// One line for each thing that is wrong.
pub(super) fn problems(dashboard: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    if dashboard["schemaVersion"] != SCHEMA {
        wrong.push(format!(
            "schemaVersion is {}, the panels are written for {SCHEMA}",
            dashboard["schemaVersion"]
        ));
    }
    for field in ["uid", "title"] {
        if dashboard[field].as_str().is_none_or(str::is_empty) {
            wrong.push(format!("{field} is missing"));
        }
    }
    let panels = array(&dashboard["panels"]);
    // Rows that are folded have their panels inside of them, where they will be when it is unfolded.
    let folded: Vec<_> = panels.iter().map(|row| array(&row["panels"])).collect();
    let mut ids = BTreeSet::new();
    for panel in panels.iter().chain(folded.iter().flatten()) {
        let title = panel["title"].as_str().unwrap_or_default();
        wrong.extend(of_panel(panel).into_iter().map(|problem| format!("panel {title}: {problem}")));
        if !panel["id"].as_u64().is_some_and(|id| ids.insert(id)) {
            wrong.push(format!("panel {title}: its id is missing or another's"));
        }
    }
    for group in std::iter::once(&panels).chain(&folded) {
        for (at, one) in group.iter().enumerate() {
            // Each pair once.
            for other in group.iter().skip(at + 1).filter(|other| overlap(one, other)) {
                wrong.push(format!("panels {} and {} overlap", one["title"], other["title"]));
            }
        }
    }
    wrong
}

fn array(value: &Value) -> Vec<&Value> {
    value.as_array().into_iter().flatten().collect()
}

fn of_panel(panel: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let kind = panel["type"].as_str().unwrap_or_default();
    if !TYPES.contains(&kind) {
        wrong.push(format!("its type is {}, not one of {TYPES:?}", panel["type"]));
    }
    match place(panel) {
        Some([x, _, w, h]) if w > 0 && h > 0 && x + w <= COLUMNS => {}
        _ => wrong.push(format!("gridPos {} is not within {COLUMNS} columns", panel["gridPos"])),
    }
    let defaults = &panel["fieldConfig"]["defaults"];
    let is_red_below = defaults["thresholds"]["steps"][0]["color"] == "red";
    let knows_unknown = |mapping: &&Value| mapping["options"]["match"] == UNKNOWN;
    if kind == "stat" && !is_red_below && !array(&defaults["mappings"]).iter().any(knows_unknown) {
        wrong.push(
            "without data it has the color of its lowest threshold; map null+nan to a text and a color"
                .to_owned(),
        );
    }
    let targets = array(&panel["targets"]);
    if targets.is_empty() != (kind == "row") {
        wrong.push("a row has no targets, any other panel has one at least".to_owned());
    }
    let mut names = BTreeSet::new();
    for target in targets {
        if !target["refId"].as_str().is_some_and(|name| names.insert(name)) {
            wrong.push("the refId of a target is missing or another's".to_owned());
        }
        // A variable, so that it can be imported anywhere.
        if target["datasource"]["uid"] != "${datasource}" || target["datasource"]["type"] != "prometheus" {
            wrong.push("the datasource of a target is not the variable".to_owned());
        }
    }
    wrong
}

/// Column, row, width, height.
fn place(panel: &Value) -> Option<[u64; 4]> {
    let number = |name: &str| panel["gridPos"][name].as_u64();
    Some([number("x")?, number("y")?, number("w")?, number("h")?])
}

fn overlap(one: &Value, other: &Value) -> bool {
    let (Some([ax, ay, aw, ah]), Some([bx, by, bw, bh])) = (place(one), place(other)) else { return false };
    ax < bx + bw && bx < ax + aw && ay < by + bh && by < ay + ah
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_dashboard_is_well_made() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/grafana/whatsapp-router.json");
        let dashboard: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(problems(&dashboard), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let target = json!({"refId": "A", "datasource": {"type": "prometheus", "uid": "${datasource}"}});
        let panel = |id: u64, x: u64| {
            json!({"id": id, "type": "table", "title": format!("p{id}"), "targets": [target],
                "gridPos": {"x": x, "y": 0, "w": 12, "h": 4}})
        };
        let dashboard =
            |panels: &[Value]| json!({"schemaVersion": 41, "uid": "u", "title": "t", "panels": panels});
        assert_eq!(problems(&dashboard(&[panel(1, 0), panel(2, 12)])), [""; 0]);
        let found = |panels: &[Value]| problems(&dashboard(panels)).join("; ");
        assert!(found(&[panel(1, 0), panel(2, 11)]).contains("overlap"));
        assert!(found(&[panel(1, 0), panel(1, 12)]).contains("another's"));
        assert!(found(&[panel(1, 13)]).contains("24 columns"));
        let mut pie = panel(1, 0);
        pie["type"] = json!("pie");
        pie["targets"] = json!([]);
        let found = problems(&dashboard(&[pie]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(problems(&json!({})).len(), 3);
    }

    #[test]
    fn a_tile_without_data_has_a_color_of_its_own() {
        let tile = |lowest: &str, mappings: Value| {
            json!({"type": "stat", "gridPos": {"x": 0, "y": 0, "w": 3, "h": 4},
                "targets": [{"refId": "A", "datasource": {"type": "prometheus", "uid": "${datasource}"}}],
                "fieldConfig": {"defaults": {"thresholds": {"steps": [{"color": lowest, "value": null}]}, "mappings": mappings}}})
        };
        let gray = json!([{"type": "special", "options": {"match": "null+nan", "result": {"text": "no data", "color": "gray"}}}]);
        assert!(of_panel(&tile("green", json!([]))).join("; ").contains("null+nan"));
        assert_eq!(of_panel(&tile("green", gray)), [""; 0]);
        assert_eq!(of_panel(&tile("red", json!([]))), [""; 0]);
    }

    #[test]
    fn panels_of_folded_rows_count() {
        let row = |panels: Value| json!({"id": 1, "type": "row", "title": "r", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}, "panels": panels});
        let all = |row: Value| {
            problems(&json!({"schemaVersion": 41, "uid": "u", "title": "t", "panels": [row]})).join("; ")
        };
        let inner = |id: u64, x: u64| {
            json!({"id": id, "type": "table", "title": "p", "gridPos": {"x": x, "y": 1, "w": 12, "h": 8},
                "targets": [{"refId": "A", "datasource": {"type": "prometheus", "uid": "${datasource}"}}]})
        };
        assert_eq!(all(row(json!([inner(2, 0), inner(3, 12)]))), "");
        assert!(all(row(json!([inner(2, 0), inner(3, 6)]))).contains("overlap"));
        assert!(all(row(json!([inner(1, 0)]))).contains("another's"));
    }
}
