//! What is asked of Prometheus: every query of the dashboards, every rule, each with a name by which people find it.

use std::path::Path;

use serde_json::Value;

use super::{
    ObserveError, expression, layout,
    prometheus::{NAMESPACE, Rule},
};

/// What Grafana fills in, and what with: a scrape comes every second here.
const VARIABLES: [(&str, &str); 4] =
    [("$namespace", NAMESPACE), ("$channel", ".*"), ("$__rate_interval", "15s"), ("$__range", "1m")];

/// Something that has to have data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    /// `panel TITLE REFID`, `variable NAME`, `annotation NAME`, `alert NAME` or `recording NAME`.
    pub(super) name: String,
    /// Has to have a value.
    pub(super) expression: String,
    /// Each has to match a series: of `a or b` one alone gives a value.
    pub(super) selectors: Vec<String>,
    /// What the legend or the words of the alert take from the result; each has to be there.
    pub(super) labels: Vec<String>,
}

impl Check {
    fn new(name: String, expression: String) -> Self {
        let selectors = expression::selectors(&expression);
        Self { name, expression, selectors, labels: Vec::new() }
    }

    /// Of a query with variables, whose result is called as `legend` says.
    fn of_query(name: String, query: &str, legend: &Value) -> Result<Self, String> {
        let expression = filled(&name, query)?;
        let labels = named(legend.as_str().unwrap_or_default(), "{{").collect();
        Ok(Self { labels, ..Self::new(name, expression) })
    }

    pub(super) fn of_rule(rule: &Rule) -> Result<Self, ObserveError> {
        let kind = if rule.kind == "alerting" { "alert" } else { "recording" };
        let expression = expression::without_comparisons(&rule.query).map_err(ObserveError::Answer)?;
        let labels = rule.annotations.values().flat_map(|text| named(text, "$labels.")).collect();
        Ok(Self { labels, ..Self::new(format!("{kind} {}", rule.name), expression) })
    }
}

/// The query with a value for each variable; what is left of a `$` is the end of a regular expression or its group.
fn filled(name: &str, query: &str) -> Result<String, String> {
    let filled = VARIABLES.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    let is_unknown = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '{');
    // What stands before the first one follows none.
    if filled.split('$').skip(1).any(is_unknown) {
        return Err(format!("{name}: {query} has a variable that the test does not know"));
    }
    Ok(filled)
}

/// The names that follow each `mark` in a text.
fn named<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = String> + 't {
    // What stands before the first one follows none.
    text.split(mark).skip(1).map(|rest| {
        let name = rest.trim_start();
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        name[..end].to_owned()
    })
}

/// Of every dashboard in the folder.
pub(super) fn of_dashboards(folder: &Path) -> Result<Vec<Check>, ObserveError> {
    let unreadable = |error| ObserveError::Files(format!("read {}", folder.display()), error);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut checks = Vec::new();
    for file in files {
        let text = std::fs::read(&file).map_err(unreadable)?;
        let wrong = |problem: String| ObserveError::Dashboard(file.display().to_string(), problem);
        let dashboard: Value = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let problems = layout::problems(&dashboard);
        if !problems.is_empty() {
            return Err(wrong(problems.join("; ")));
        }
        checks.extend(of_dashboard(&dashboard).map_err(wrong)?);
    }
    Ok(checks)
}

fn of_dashboard(dashboard: &Value) -> Result<Vec<Check>, String> {
    let mut checks = Vec::new();
    for variable in dashboard["templating"]["list"].as_array().into_iter().flatten() {
        if let Some(query) = variable["query"]["query"].as_str() {
            // `label_values(SELECTOR, LABEL)`.
            let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (selector, label) = inner.and_then(|inner| inner.rsplit_once(',')).ok_or_else(|| {
                format!("the query of the variable {} is not label_values(SELECTOR, LABEL)", variable["name"])
            })?;
            let name = format!("variable {}", variable["name"].as_str().unwrap_or_default());
            let selector = filled(&name, selector)?;
            let is_there = format!("{}!=\"\"}}", label.trim());
            let labelled = match selector.strip_suffix('}') {
                Some(matchers) => format!("{matchers},{is_there}"),
                None => format!("{selector}{{{is_there}"),
            };
            checks.push(Check::new(name, labelled));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        if let Some(query) = annotation["expr"].as_str() {
            let name = format!("annotation {}", annotation["name"].as_str().unwrap_or_default());
            checks.push(Check::of_query(name, query, &annotation["titleFormat"])?);
        }
    }
    collect(dashboard, &mut checks)?;
    if checks.is_empty() { Err("it has no queries".to_owned()) } else { Ok(checks) }
}

/// Rows that are folded have their panels inside of them.
fn collect(value: &Value, checks: &mut Vec<Check>) -> Result<(), String> {
    for panel in value["panels"].as_array().into_iter().flatten() {
        let title = panel["title"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let name = format!("panel {title} {}", target["refId"].as_str().unwrap_or_default());
            let query = target["expr"].as_str().ok_or_else(|| format!("{name} has no expr"))?;
            checks.push(Check::of_query(name, query, &target["legendFormat"])?);
        }
        collect(panel, checks)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_of_legends_and_of_words_are_found() {
        let found = |text, mark| named(text, mark).collect::<Vec<_>>();
        assert_eq!(found("{{queue}} {{ reason }} p50", "{{"), ["queue", "reason"]);
        assert_eq!(
            found("{{ $labels.kind }} {{ $value | humanize }} of {{ $labels.name }}", "$labels."),
            ["kind", "name"]
        );
        assert_eq!(found("all", "{{"), [""; 0]);
    }

    #[test]
    fn every_target_of_every_panel_is_asked_with_its_variables_filled_in() {
        let dashboard = json!({
            "templating": {"list": [
                {"name": "datasource", "query": "prometheus"},
                {"name": "namespace", "query": {"query": "label_values(build_info, namespace)"}},
                {"name": "channel", "query": {"query": "label_values(m{namespace=~\"$namespace\"}, channel)"}},
            ]},
            "annotations": {"list": [
                {"builtIn": 1, "name": "made by hand"}, {"name": "Starts", "expr": "s", "titleFormat": "{{instance}}"},
            ]},
            "panels": [
                {"title": "In", "targets": [{"refId": "A", "expr": "rate(n{namespace=~\"$namespace\"}[$__rate_interval])"}]},
                {"type": "row", "panels": [{"title": "Out", "targets": [
                    {"refId": "A", "expr": "label_replace(m, \"a\", \"$1\", \"b\", \"(.*)$\")"}, {"refId": "B", "expr": "k[$__range]"},
                ]}]},
            ],
        });
        let checks = of_dashboard(&dashboard).unwrap();
        let found: Vec<_> =
            checks.iter().map(|check| (check.name.as_str(), check.expression.as_str())).collect();
        assert_eq!(
            found,
            [
                ("variable namespace", "build_info{namespace!=\"\"}"),
                ("variable channel", "m{namespace=~\"sandbox\",channel!=\"\"}"),
                ("annotation Starts", "s"),
                ("panel In A", "rate(n{namespace=~\"sandbox\"}[15s])"),
                ("panel Out A", "label_replace(m, \"a\", \"$1\", \"b\", \"(.*)$\")"),
                ("panel Out B", "k[1m]"),
            ]
        );
        let unknown =
            json!({"panels": [{"title": "In", "targets": [{"refId": "A", "expr": "n{a=\"$b\"}"}]}]});
        assert!(of_dashboard(&unknown).unwrap_err().contains("$b"));
        assert!(of_dashboard(&json!({})).is_err());
    }
}
