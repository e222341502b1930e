//! Whom a client calls, as its spans and metrics name it. Put together once: every call says it.

use std::sync::Arc;

use url::Url;

use super::{Span, semconv};

/// An address that is called again and again. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    url: Arc<str>,
    host: Arc<str>,
    port: Option<u16>,
}

impl Callee {
    /// What is at `template` below `base`. A user, a password and a query in `base` are left out.
    pub fn below(base: &Url, template: &str) -> Self {
        let origin = base.origin().ascii_serialization();
        let path = base.path().trim_end_matches('/');
        Self {
            url: Arc::from(format!("{origin}{path}{template}")),
            // An address of version 6 has brackets in a URL alone.
            host: Arc::from(base.host_str().unwrap_or_default().trim_matches(['[', ']'])),
            port: base.port_or_known_default(),
        }
    }

    /// The name of the host alone.
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl Span {
    /// Says whom a client's span calls.
    #[must_use]
    pub fn calling(self, callee: &Callee) -> Self {
        self.with(semconv::URL_FULL, &callee.url)
            .with(semconv::SERVER_ADDRESS, &callee.host)
            .with_some(semconv::SERVER_PORT, callee.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_without_what_may_be_secret() {
        for (base, url, host, port) in [
            ("http://orders:8080", "http://orders:8080/process", "orders", 8080),
            ("https://a.example/shop/", "https://a.example/shop/process", "a.example", 443),
            ("http://me:secret@a.example/x?key=secret", "http://a.example/x/process", "a.example", 80),
            ("http://[::1]:8080", "http://[::1]:8080/process", "::1", 8080),
        ] {
            let callee = Callee::below(&base.parse().unwrap(), "/process");
            assert_eq!((&*callee.url, callee.host(), callee.port), (url, host, Some(port)), "{base}");
        }
        let graph = Callee::below(&"https://graph.facebook.com/".parse().unwrap(), "/{version}/messages");
        assert_eq!(&*graph.url, "https://graph.facebook.com/{version}/messages");
    }
}
