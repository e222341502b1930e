//! Holds an object of a file to the same schema that the API server holds a custom resource to: the structural part
//! of the kinds' own definitions here, their CEL rules through kube's evaluator.

use kube::core::cel::Validator;
use regex::Regex;
use serde_json::{Map, Value};

/// Problems of one object, past which more would not help.
const MOST_PROBLEMS: usize = 20;

/// What is wrong with an object, as lines `field: what is wrong`; empty when nothing is.
pub fn problems(schema: &Value, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    // The envelope is Kubernetes' own; whoever reads an object has looked at it already.
    let spec = object.get("spec").unwrap_or(&Value::Null);
    check(&schema["properties"]["spec"], spec, &mut ".spec".to_owned(), &mut found);
    // Rules take the shape for granted that the structure has: on a wrong one they would only add noise.
    if found.is_empty()
        && let Err(errors) = Validator::new().validate(schema, object, None)
    {
        found.extend(errors.as_slice().iter().map(|error| line(&error.field_path, &error.message)));
    }
    found.truncate(MOST_PROBLEMS);
    found
}

fn line(path: &str, problem: &str) -> String {
    match path.trim_start_matches('.') {
        "" => problem.to_owned(),
        path => format!("{path}: {problem}"),
    }
}

/// The keywords of structural schemas (Kubernetes, CustomResourceDefinitions, "Specifying a structural schema") as far
/// as our definitions use them; a test makes sure of that.
fn check(schema: &Value, value: &Value, path: &mut String, found: &mut Vec<String>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    let wanted = schema["type"].as_str().unwrap_or("object");
    if !has_type(wanted, value) {
        found.push(line(path, &format!("is {}, but has to be {}", kind_of(value), article(wanted))));
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let words: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        found.push(line(path, &format!("has to be one of {}", words.join(", "))));
    }
    match value {
        Value::String(text) => check_text(schema, text, path, found),
        Value::Number(_) => check_number(schema, value, path, found),
        Value::Array(items) => check_list(schema, items, path, found),
        Value::Object(fields) => check_fields(schema, fields, path, found),
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_text(schema: &Value, text: &str, path: &str, found: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|least| length < least) {
        found.push(line(path, if length == 0 { "is empty" } else { "is too short" }));
    }
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        found.push(line(path, &format!("is longer than {most} characters")));
    }
    if let Some(pattern) = schema["pattern"].as_str()
        && !Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        found.push(line(path, &format!("does not look like {pattern}")));
    }
}

fn check_number(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let number = value.as_f64().unwrap_or_default();
    if let Some(least) = schema["minimum"].as_f64().filter(|least| number < *least) {
        found.push(line(path, &format!("is less than {least}")));
    }
    if let Some(most) = schema["maximum"].as_f64().filter(|most| number > *most) {
        found.push(line(path, &format!("is more than {most}")));
    }
}

fn check_list(schema: &Value, items: &[Value], path: &mut String, found: &mut Vec<String>) {
    let length = items.len() as u64;
    if let Some(least) = schema["minItems"].as_u64().filter(|least| length < *least) {
        found.push(line(path, &format!("needs at least {least} of them")));
    }
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
        found.push(line(path, &format!("has more than {most} of them")));
        return;
    }
    for (position, item) in items.iter().enumerate() {
        within(path, &format!("[{position}]"), |path| check(&schema["items"], item, path, found));
    }
}

fn check_fields(schema: &Value, fields: &Map<String, Value>, path: &mut String, found: &mut Vec<String>) {
    let Some(known) = schema["properties"].as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if fields.get(name).is_none_or(Value::is_null) {
            within(path, &format!(".{name}"), |path| found.push(line(path, "is missing")));
        }
    }
    for (name, value) in fields {
        within(path, &format!(".{name}"), |path| match known.get(name) {
            Some(schema) => check(schema, value, path, found),
            None => {
                let hint = closest(name, known.keys()).map(|known| format!(", did you mean {known}?"));
                found.push(line(path, &format!("is no field that is known{}", hint.unwrap_or_default())));
            }
        });
    }
}

fn within(path: &mut String, part: &str, then: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push_str(part);
    then(path);
    path.truncate(length);
}

fn has_type(wanted: &str, value: &Value) -> bool {
    match wanted {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        _ => value.is_object(),
    }
}

fn article(wanted: &str) -> &'static str {
    match wanted {
        "string" => "a text (in quotes if it is digits)",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "an object",
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The field that was probably meant: the same letters in another case, or one letter more, less or other.
fn closest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    let name = plain(name);
    known.map(String::as_str).find(|known| is_near(&name, &plain(known)))
}

fn is_near(one: &str, other: &str) -> bool {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let same_start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let rest = (&one[same_start..], &other[same_start..]);
    let same_end = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(a, b)| a == b).count();
    rest.0.len().max(rest.1.len()) - same_end <= 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::objects::definitions;

    fn schema(kind: usize) -> Value {
        let definition = serde_json::to_value(&definitions()[kind]).unwrap();
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    }

    fn channel() -> Value {
        json!({
            "apiVersion": "whatsapp-router.dev/v1alpha1", "kind": "Channel", "metadata": {"name": "support"},
            "spec": {
                "provider": "WhatsAppCloud", "phoneNumberId": "106540352242922",
                "accessTokenRef": {"name": "support", "key": "access-token"},
                "verification": {
                    "verifyTokenRef": {"name": "support", "key": "verify-token"},
                    "appSecretRef": {"name": "support", "key": "app-secret"}
                }
            }
        })
    }

    fn route() -> Value {
        json!({
            "apiVersion": "whatsapp-router.dev/v1alpha1", "kind": "Route", "metadata": {"name": "orders"},
            "spec": {
                "channelRefs": [{"name": "support"}],
                "rules": [{"name": "all", "backends": [{"url": "http://orders:8080"}]}]
            }
        })
    }

    fn changed(mut object: Value, path: &str, to: Value) -> Value {
        *object.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = to;
        object
    }

    #[test]
    fn right_objects_have_no_problems() {
        assert_eq!(problems(&schema(0), &channel()), [""; 0]);
        assert_eq!(problems(&schema(1), &route()), [""; 0]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        for (object, kind, says) in [
            (
                changed(channel(), "/spec/phoneNumberId", json!("+49")),
                0,
                "spec.phoneNumberId: does not look like",
            ),
            (
                changed(channel(), "/spec/phoneNumberId", json!(1065)),
                0,
                "spec.phoneNumberId: is a number, but has to be a text",
            ),
            (
                changed(channel(), "/spec/provider", json!("Telegram")),
                0,
                "spec.provider: has to be one of WhatsAppCloud",
            ),
            (
                changed(channel(), "/spec/accessTokenRef", json!({"name": "x"})),
                0,
                "spec.accessTokenRef.key: is missing",
            ),
            (
                changed(channel(), "/spec/accessTokenRef", json!({"name": "x", "key": "y", "kye": 1})),
                0,
                "spec.accessTokenRef.kye: is no field",
            ),
            (changed(channel(), "/spec", json!({"phone_number_id": "1"})), 0, "did you mean phoneNumberId?"),
            (changed(route(), "/spec/channelRefs", json!([])), 1, "spec.channelRefs: needs at least 1"),
            (
                changed(route(), "/spec/rules/0/backends/0", json!({})),
                1,
                "a backend has either a url or a service",
            ),
            (
                changed(route(), "/spec/rules/0/backends/0", json!({"url": "http://a", "weight": 0})),
                1,
                "at least one backend needs a weight",
            ),
            (
                changed(route(), "/spec/rules/0/backends/0/url", json!("orders:8080")),
                1,
                "rules[0].backends[0].url",
            ),
            (
                changed(
                    route(),
                    "/spec/rules",
                    json!([{"name": "a", "backends": [{"url": "http://a"}], "matches": [{}]}]),
                ),
                1,
                "a match needs at least one of",
            ),
            (
                changed(
                    route(),
                    "/spec/rules",
                    json!([{"name": "a", "backends": [{"url": "http://a"}]}, {"name": "a", "backends": [{"url": "http://a"}]}]),
                ),
                1,
                "the same name",
            ),
            (
                changed(
                    route(),
                    "/spec/rules",
                    json!([{"name": "a", "backends": [{"url": "http://a"}], "delivery": {"timeout": "soon"}}]),
                ),
                1,
                "delivery.timeout",
            ),
        ] {
            let found = problems(&schema(kind), &object);
            assert!(found.iter().any(|line| line.contains(says)), "{says} is not in {found:#?}");
        }
    }

    /// A keyword that [`check`] does not know would be a rule that only the API server holds.
    #[test]
    fn every_keyword_of_our_definitions_is_checked() {
        const KNOWN: [&str; 16] = [
            "type",
            "properties",
            "required",
            "items",
            "enum",
            "minLength",
            "maxLength",
            "pattern",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "nullable",
            "description",
            "default",
            "title",
        ];
        const ELSEWHERE: [&str; 4] =
            ["x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "format"];
        fn walk(schema: &Value, path: &str) {
            for (keyword, value) in schema.as_object().unwrap() {
                assert!(
                    KNOWN.contains(&keyword.as_str()) || ELSEWHERE.contains(&keyword.as_str()),
                    "{path}: {keyword}"
                );
                match keyword.as_str() {
                    "properties" => {
                        for (name, schema) in value.as_object().unwrap() {
                            walk(schema, &format!("{path}.{name}"));
                        }
                    }
                    "items" => walk(value, &format!("{path}[]")),
                    _ => {}
                }
            }
        }
        for kind in 0..2 {
            walk(&schema(kind), "");
        }
    }
}
