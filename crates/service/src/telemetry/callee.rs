//! Whom a client calls, as its spans and metrics name it. Put together once: every call says it.

use std::sync::Arc;

use url::Url;

use super::{Attributes, Span, semconv};

/// An address that is called again and again. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    host: Arc<str>,
    attributes: Arc<Attributes>,
}

impl Callee {
    /// What is at `template` below `base`. A user, a password and a query in `base` are left out.
    pub fn below(base: &Url, template: &str) -> Self {
        let host = host(base);
        let attributes = Attributes::default()
            .with(semconv::URL_FULL, &full(base, template))
            .with(semconv::URL_TEMPLATE, template)
            .with(semconv::SERVER_ADDRESS, host)
            .with_some(semconv::SERVER_PORT, base.port_or_known_default());
        Self { host: Arc::from(host), attributes: Arc::new(attributes) }
    }

    /// The name of the host alone.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// An address of version 6 has brackets in a URL alone.
fn host(base: &Url) -> &str {
    base.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

fn full(base: &Url, template: &str) -> String {
    let origin = base.origin().ascii_serialization();
    let path = base.path().trim_end_matches('/');
    format!("{origin}{path}{template}")
}

impl Span {
    /// Says whom a client's span calls, and which template of a path.
    #[must_use]
    pub fn calling(self, callee: &Callee) -> Self {
        self.with_all(&callee.attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_without_what_may_be_secret() {
        for (base, url, host, port) in [
            ("http://orders:8080", "http://orders:8080/process", "orders", 8080_u16),
            ("https://a.example/shop/", "https://a.example/shop/process", "a.example", 443),
            ("http://me:secret@a.example/x?key=secret", "http://a.example/x/process", "a.example", 80),
            ("http://[::1]:8080", "http://[::1]:8080/process", "::1", 8080),
        ] {
            let base = base.parse().unwrap();
            let said = Attributes::default()
                .with("url.full", url)
                .with("url.template", "/process")
                .with("server.address", host)
                .with("server.port", port);
            let callee = Callee::below(&base, "/process");
            assert_eq!((callee.host(), &*callee.attributes), (host, &said), "{base}");
            assert_eq!(full(&base, "/process"), url);
        }
        let graph = "https://graph.facebook.com/".parse().unwrap();
        assert_eq!(full(&graph, "/{version}/messages"), "https://graph.facebook.com/{version}/messages");
    }
}
