//! The phone page: static files inside the binary, served under a policy that lets nothing in from elsewhere.

use bytes::Bytes;
use hyper::{StatusCode, header::HeaderValue};

use super::{
    http::{self, Reply},
    routes,
};

mod files {
    include!(concat!(env!("OUT_DIR"), "/page_files.rs"));
}

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file with this name; the empty name is the page itself.
pub(crate) fn file(name: &str) -> Reply {
    let name = if name.is_empty() { "index.html" } else { name };
    let Some((_, content)) = files::FILES.iter().find(|(known, _)| *known == name) else {
        return routes::not_found();
    };
    let mut reply = http::bytes(StatusCode::OK, content_type(name), Bytes::from_static(content));
    let headers = reply.headers_mut();
    headers.insert("content-security-policy", HeaderValue::from_static(POLICY));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    // Another version of the sandbox may be at the same address in a minute.
    headers.insert("cache-control", HeaderValue::from_static("no-cache"));
    reply
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
