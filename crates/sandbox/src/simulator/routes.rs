//! Which path is answered by what.

use std::sync::Arc;

use hyper::{Method, Request, StatusCode, body::Incoming, header};
use serde_json::json;

use super::{
    backend,
    faults::Faults,
    graph,
    http::{self, Broken, Reply},
    inject, page, phone_api, record_api,
    shared::Shared,
};

const SMALL_BODY: usize = 64 * 1024;

pub(crate) async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Reply, Broken> {
    let path = request.uri().path().to_owned();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    if graph::is_graph(&segments) {
        return graph::answer(&shared, request).await;
    }
    if segments == ["backend", "process"] && request.method() == Method::POST {
        return backend::process(&shared, request).await;
    }
    if !same_origin(&request) {
        let detail = "a page of another site may not use the sandbox, open the sandbox's own page";
        return Ok(http::problem(StatusCode::FORBIDDEN, "foreign_origin", detail));
    }
    Ok(own(shared, request, &segments).await)
}

async fn own(shared: Arc<Shared>, request: Request<Incoming>, segments: &[&str]) -> Reply {
    let method = request.method().clone();
    match (&method, segments) {
        (&Method::GET, ["health"]) => {
            http::ok(&json!({"status": "ok", "service": "sandbox", "version": env!("CARGO_PKG_VERSION")}))
        }
        (&Method::GET, ["faults"]) => http::ok(&shared.faults.get()),
        (&Method::PUT, ["faults"]) => set_faults(&shared, request).await,
        (&Method::DELETE, ["faults"]) => {
            shared.faults.set(Faults::default());
            http::ok(&shared.faults.get())
        }
        (&Method::PUT, ["credentials"]) => match http::read(request.into_body(), SMALL_BODY).await {
            Ok(body) => shared.credentials.put(&body),
            Err(refusal) => *refusal,
        },
        (&Method::POST, ["webhooks"]) => inject::answer(&shared, request).await,
        (_, ["graph", ..] | ["webhooks"] | ["backend", ..]) => {
            record_api::answer(&shared, &method, request.uri(), segments)
        }
        (_, ["phone", rest @ ..]) => phone_api::answer(&shared, request, rest).await,
        (&Method::GET, ["media", id]) => graph::media::download(&shared, request.headers(), id),
        (&Method::GET, [file]) => page::file(file),
        _ => not_found(),
    }
}

pub(crate) fn not_found() -> Reply {
    http::problem(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing here, see the README for the sandbox's API",
    )
}

pub(crate) fn method_not_allowed() -> Reply {
    http::problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not know the method")
}

async fn set_faults(shared: &Shared, request: Request<Incoming>) -> Reply {
    let body = match http::read(request.into_body(), SMALL_BODY).await {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let faults: Faults = match http::parse(&body) {
        Ok(faults) => faults,
        Err(refusal) => return *refusal,
    };
    if let Some(problem) = faults.problem() {
        return http::problem(StatusCode::BAD_REQUEST, "invalid_faults", &problem);
    }
    shared.faults.set(faults);
    http::ok(&shared.faults.get())
}

/// Browsers name the page that asks; a page from elsewhere must not write in somebody's name.
fn same_origin(request: &Request<Incoming>) -> bool {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return true };
    let host = request.headers().get(header::HOST).map(header::HeaderValue::as_bytes);
    let authority =
        origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest.as_bytes());
    authority.is_some() && authority == host
}
