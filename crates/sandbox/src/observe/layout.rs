//! What Grafana would stumble over in a dashboard, as far as its JSON tells: Grafana itself is not there to ask. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// Of Grafana 12.
const SCHEMA: u64 = 41;
/// Columns of the grid.
const COLUMNS: u64 = 24;
const TYPES: [&str; 4] = ["row", "stat", "timeseries", "table"];

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
    let panels: Vec<&Value> = dashboard["panels"].as_array().into_iter().flatten().collect();
    let mut ids = BTreeSet::new();
    for panel in &panels {
        let title = panel["title"].as_str().unwrap_or_default();
        wrong.extend(of_panel(panel).into_iter().map(|problem| format!("panel {title}: {problem}")));
        if !panel["id"].as_u64().is_some_and(|id| ids.insert(id)) {
            wrong.push(format!("panel {title}: its id is missing or another's"));
        }
    }
    for (at, one) in panels.iter().enumerate() {
        for other in panels.iter().skip(at + 1).filter(|other| overlap(one, other)) {
            wrong.push(format!("panels {} and {} overlap", one["title"], other["title"]));
        }
    }
    wrong
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
    let targets: Vec<&Value> = panel["targets"].as_array().into_iter().flatten().collect();
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
            json!({"id": id, "type": "stat", "title": format!("p{id}"), "targets": [target],
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
}
