//! What the OpenAPI document knows about a route and poem does not tell: how it is written there, since
//! poem-openapi renames parameters to `:param0`, and which methods it takes, which HTTP wants in every 405
//! (RFC 9110, 15.5.6).

use std::{collections::HashMap, sync::Arc};

use poem::http::HeaderValue;

use super::docs::{DOCS_PATH, DOCUMENT_PATH};

/// The documented routes by the pattern that poem matches.
#[derive(Debug, Default)]
pub struct Routes {
    by_pattern: HashMap<String, Route>,
}

/// One documented route.
#[derive(Debug)]
pub(super) struct Route {
    /// As in the document: `/things/{id}`.
    pub(super) template: Arc<str>,
    /// The value of `Allow`.
    pub(super) allow: HeaderValue,
}

impl Routes {
    /// Reads the paths of an OpenAPI document, and adds those of the documentation itself.
    pub fn from_openapi(document: &str) -> Self {
        let document: serde_json::Value = serde_json::from_str(document).unwrap_or_default();
        let mut routes = Self::default();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let keys = item.as_object().into_iter().flat_map(|item| item.keys());
            let methods: Vec<String> =
                keys.filter(|key| is_method(key)).map(|key| key.to_ascii_uppercase()).collect();
            routes.add(&pattern(path), path, &methods);
        }
        routes.add(DOCS_PATH, DOCS_PATH, &["GET"]);
        routes.add(DOCUMENT_PATH, DOCUMENT_PATH, &["GET"]);
        routes
    }

    /// Adds a route that is in no document: poem's pattern `/things/:id`, how metrics and logs show it, and what it
    /// takes.
    pub fn add(&mut self, pattern: &str, template: &str, methods: &[impl AsRef<str>]) {
        let mut names: Vec<&str> = methods.iter().map(AsRef::as_ref).collect();
        // poem answers HEAD like GET.
        if names.contains(&"GET") && !names.contains(&"HEAD") {
            names.push("HEAD");
        }
        names.sort_unstable();
        if let Ok(allow) = HeaderValue::from_str(&names.join(", ")) {
            self.by_pattern.insert(pattern.to_owned(), Route { template: template.into(), allow });
        }
    }

    pub(super) fn find(&self, pattern: &str) -> Option<&Route> {
        self.by_pattern.get(pattern)
    }
}

fn is_method(key: &str) -> bool {
    matches!(key, "get" | "put" | "post" | "delete" | "options" | "head" | "patch" | "trace")
}

/// The document writes `/things/{id}`; poem-openapi serves that as `/things/:param0`, counting along the path.
fn pattern(path: &str) -> String {
    let mut parameters = 0;
    let mut segments = Vec::new();
    for segment in path.split('/') {
        if segment.starts_with('{') {
            segments.push(format!(":param{parameters}"));
            parameters += 1;
        } else {
            segments.push(segment.to_owned());
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_counts_parameters_along_the_path() {
        for (path, expected) in [
            ("/process", "/process"),
            ("/", "/"),
            ("/things/{id}", "/things/:param0"),
            ("/a/{b}/c/{d}/e", "/a/:param0/c/:param1/e"),
        ] {
            assert_eq!(pattern(path), expected);
        }
    }

    #[test]
    fn methods_come_from_the_document_and_head_comes_with_get() {
        let document =
            r#"{"paths":{"/things/{id}":{"get":{},"delete":{},"parameters":[]},"/process":{"post":{}}}}"#;
        let routes = Routes::from_openapi(document);
        let things = routes.find("/things/:param0").unwrap();
        assert_eq!(
            (&*things.template, things.allow.to_str().unwrap()),
            ("/things/{id}", "DELETE, GET, HEAD")
        );
        assert_eq!(routes.find("/process").unwrap().allow, "POST");
        assert!(routes.find("/other").is_none());
        assert!(Routes::from_openapi("no document").find("/process").is_none());
    }
}
