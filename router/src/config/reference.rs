//! The page docs/OBJECTS.md: every field of the objects with its bounds, from the very schemas that check them.

use std::fmt::Write;

use serde_json::Value;

use super::{
    definitions::{Definition, definitions},
    objects::{API_VERSION, ConditionType, Reason},
};
use crate::working;

const HEAD: &str = "\
<!-- made by `router crd --reference`; `make docs` writes it again -->
# Configuration objects

A `Channel` is a phone number, a `Route` says which messages of which channels go to which backend. The same two kinds
are custom resources in Kubernetes and YAML documents in the folder `CONFIG_DIR`; the same rules hold in both.

- Lengths of time are written `500ms`, `6s`, `10m`, `24h`, `7d` or as a sum such as `1h30m`.
- A reference `{name, key}` to a secret is the file `$SECRETS_DIR/<name>/<key>`, else the environment variable
  `WHATSAPP_ROUTER_SECRET_<NAME>_<KEY>` (upper case, `-` and `.` as `_`). In Kubernetes the chart mounts the Secret.
- Routes are asked in this order: higher `priority`, more specific match, older object, name, position of the rule.
";

const CHANNEL_EXAMPLE: &str = "\
apiVersion: whatsapp-router.dev/v1alpha1
kind: Channel
metadata:
  name: support
spec:
  provider: WhatsAppCloud
  phoneNumberId: \"106540352242922\"
  displayPhoneNumber: \"+1 555 078 3881\"
  accessTokenRef: {name: support, key: access-token}
  verification:
    verifyTokenRef: {name: support, key: verify-token}
    appSecretRef: {name: support, key: app-secret}
";

const ROUTE_EXAMPLE: &str = "\
apiVersion: whatsapp-router.dev/v1alpha1
kind: Route
metadata:
  name: orders
spec:
  channelRefs: [{name: support}]
  priority: 100
  rules:
    - name: keyword
      matches: [{types: [text], text: {type: Prefix, value: order}}]
      backends:
        - {url: \"http://orders:8080\", weight: 9}
        - {service: {name: orders-new, port: 8080}, weight: 1}
      delivery: {timeout: 5s, retry: {attempts: 6, backoff: 1s, maxBackoff: 5m}}
    - name: rest
      backends: [{url: \"http://server:8001\"}]
";

/// The whole page, as Markdown.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    for (definition, example) in definitions().iter().zip([CHANNEL_EXAMPLE, ROUTE_EXAMPLE]) {
        kind(definition, example, &mut page);
    }
    conditions(&mut page);
    page
}

fn kind(definition: &Definition, example: &str, page: &mut String) {
    let spec = &definition.value["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let columns: Vec<_> = spec["versions"][0]["additionalPrinterColumns"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|column| text(&column["name"]))
        .collect();
    let schema = definition.schema();
    let mut rules = Vec::new();
    let mut rows = String::new();
    note_rules(schema, "", &mut rules);
    let spec_schema = &schema["properties"]["spec"];
    note_rules(spec_schema, "spec", &mut rules);
    fields(spec_schema, "", &mut rows, &mut rules);
    // Writing to a String does not fail.
    let _ = write!(
        page,
        "\n## {}\n\n{}\n\n`{API_VERSION}`, namespaced; `kubectl get {}` or `{}` shows {}.\n\n```yaml\n{example}```\n\n\
         | field of `spec` | type | needed | what it says |\n| --- | --- | --- | --- |\n{rows}\nBesides:\n\n",
        text(&names["kind"]),
        text(&schema["description"]),
        text(&names["plural"]),
        text(&names["shortNames"][0]),
        columns.join(", "),
    );
    for (path, message) in rules {
        let place = if path.is_empty() { String::new() } else { format!(" (`{path}`)") };
        let _ = writeln!(page, "- {message}{place}");
    }
}

/// One row for each field, depth first.
fn fields(schema: &Value, path: &str, rows: &mut String, rules: &mut Vec<(String, String)>) {
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let is_needed = required.iter().any(|required| *required == name);
        let needed = match &field["default"] {
            _ if is_needed => "yes".to_owned(),
            Value::Null => String::new(),
            default => format!("`{}`", default.to_string().trim_matches('"')),
        };
        let says = field["description"].as_str().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(rows, "| `{here}` | {} | {needed} | {says} |", shape(field));
        note_rules(field, &here, rules);
        let (inner, here) = match field["type"].as_str() {
            Some("array") => (&field["items"], format!("{here}[]")),
            _ => (field, here),
        };
        if inner["type"] == "object" {
            if field["type"] == "array" {
                note_rules(inner, &here, rules);
            }
            fields(inner, &here, rows, rules);
        }
    }
}

/// Type and bounds in a few words.
fn shape(field: &Value) -> String {
    let number = |key: &str| field[key].as_i64();
    let words: Option<Vec<_>> = field["enum"]
        .as_array()
        .map(|words| words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect());
    match (field["type"].as_str().unwrap_or_default(), words) {
        (_, Some(words)) => words.join(", "),
        ("string", None) => match (field["pattern"].as_str(), number("maxLength")) {
            (Some(pattern), _) if pattern.contains("(ms|s|m|h|d)") => "length of time".to_owned(),
            (Some(pattern), Some(most)) => {
                format!("text like `{}`, up to {most}", pattern.replace('|', "\\|"))
            }
            (_, Some(most)) => format!("text, up to {most}"),
            (_, None) => "text".to_owned(),
        },
        ("integer", None) => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            _ => "whole number".to_owned(),
        },
        ("boolean", None) => "`true`, `false`".to_owned(),
        ("array", None) => {
            let bounds =
                format!("{} to {}", number("minItems").unwrap_or(0), number("maxItems").unwrap_or(0));
            match shape(&field["items"]).as_str() {
                "" => format!("list, {bounds}"),
                item => format!("list, {bounds}, of {item}"),
            }
        }
        _ => String::new(),
    }
}

fn note_rules(schema: &Value, path: &str, rules: &mut Vec<(String, String)>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        if let Some(message) = rule["message"].as_str() {
            rules.push((path.to_owned(), message.to_owned()));
        }
    }
}

fn conditions(page: &mut String) {
    page.push_str(
        "\n## Conditions\n\nIn Kubernetes they are in `status.conditions`, written by one router at a time and only when they \
         change; elsewhere\n`GET /api/v1/channels`, `GET /api/v1/routes` and `router check-config` show them.\n\n\
         | condition | reason | what it means |\n| --- | --- | --- |\n",
    );
    for condition in ConditionType::ALL {
        let _ = writeln!(page, "| `{}` | | {} |", condition.as_str(), condition.question());
        for reason in Reason::ALL {
            let (of, means) = reason.meaning();
            if of == condition {
                let _ = writeln!(page, "| | `{}` | {means} |", reason.as_str());
            }
        }
    }
    page.push_str("\nA channel in use has two more, which `check-config` does not know:\n\n| condition | reason | what it means |\n| --- | --- | --- |\n");
    for (condition, question, reasons) in working::REFERENCE {
        let _ = writeln!(page, "| `{condition}` | | {question} |");
        for (reason, means) in reasons {
            let _ = writeln!(page, "| | `{reason}` | {means} |");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;

    #[test]
    fn the_examples_hold_to_the_schema() {
        for (definition, example) in definitions().iter().zip([CHANNEL_EXAMPLE, ROUTE_EXAMPLE]) {
            let object: Value = serde_saphyr::from_str(example).unwrap();
            assert_eq!(schema::problems(definition.schema(), &object), [""; 0], "{}", definition.plural());
        }
    }

    #[test]
    fn every_field_is_described() {
        let page = markdown();
        for row in page.lines().filter(|line| line.starts_with("| `")) {
            assert!(!row.ends_with("|  |"), "no description: {row}");
        }
        for expected in [
            "| `rules[].backends[].weight` | 0 to 1000000 | `1` |",
            "- a backend has either a url or a service (`rules[].backends[]`)",
            "| `phoneNumberId` | text like `^[0-9]+$`, up to 32 | yes |",
            "| | `LastGoodVersion` |",
        ] {
            assert!(page.contains(expected), "{expected} is not in\n{page}");
        }
    }
}
