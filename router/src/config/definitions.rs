//! The definitions of `Channel` and `Route` as YAML: what `router crd` prints, deploy/crds holds and a cluster installs.

use serde_json::Value;

use super::objects;

/// A CustomResourceDefinition.
#[derive(Debug, Clone)]
pub struct Definition {
    pub value: Value,
}

impl Definition {
    /// `channels` or `routes`, which is also the name of its file in deploy/crds.
    pub fn plural(&self) -> &str {
        self.value["spec"]["names"]["plural"].as_str().unwrap_or_default()
    }

    /// With keys in alphabetical order, so that the same types always give the same text.
    pub fn yaml(&self) -> String {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(&self.value, options)
            .unwrap_or_else(|error| panic!("a definition can't be written as YAML: {error}"))
    }

    /// The structural schema of the only version.
    pub fn schema(&self) -> &Value {
        &self.value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    }
}

/// Both, in the order of the kinds' names.
pub fn definitions() -> [Definition; 2] {
    objects::definitions().map(|definition| {
        let mut value = serde_json::to_value(&definition)
            .unwrap_or_else(|error| panic!("a definition can't be written as JSON: {error}"));
        write_whole_numbers_as_such(&mut value);
        Definition { value }
    })
}

/// Bounds are kept as floating point numbers, and `maximum: 63.0` is not what people write.
fn write_whole_numbers_as_such(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
            {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers_as_such),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers_as_such),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// All definitions as one stream of YAML documents.
pub fn yaml() -> String {
    definitions().iter().map(|definition| format!("---\n{}", definition.yaml())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml()).unwrap();
        let values = definitions().map(|definition| definition.value);
        assert_eq!(documents, values);
        assert_eq!(definitions().each_ref().map(Definition::plural), ["channels", "routes"]);
    }

    /// A string, list or number of items without a bound makes every rule inside of it unboundedly dear, and the API
    /// server refuses a definition whose rules may cost too much.
    #[test]
    fn everything_in_a_specification_is_bounded() {
        fn walk(schema: &Value, path: &str) {
            match schema["type"].as_str() {
                Some("string") => {
                    let bounded = schema["maxLength"].is_u64() || schema["enum"].is_array();
                    assert!(bounded, "{path} has no maxLength");
                }
                Some("array") => {
                    assert!(schema["maxItems"].is_u64(), "{path} has no maxItems");
                    walk(&schema["items"], &format!("{path}[]"));
                }
                Some("integer") => assert!(schema["maximum"].is_number(), "{path} has no maximum"),
                _ => {}
            }
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                walk(field, &format!("{path}.{name}"));
            }
        }
        for definition in definitions() {
            walk(&definition.schema()["properties"]["spec"], "spec");
        }
    }
}
