//! The records over HTTP: `/graph/messages`, `/graph/calls`, `/webhooks` and `/backend/requests`.

use hyper::{Method, StatusCode, Uri};
use serde_json::json;

use super::{
    http::{self, Reply},
    options::digits,
    routes,
    shared::Shared,
};

pub(crate) fn answer(shared: &Shared, method: &Method, uri: &Uri, segments: &[&str]) -> Reply {
    match (method, segments) {
        (&Method::GET, ["graph", "messages"]) => messages(shared, uri),
        (&Method::DELETE, ["graph", "messages"]) => {
            shared.records.forget_messages();
            http::ok(&json!({"items": []}))
        }
        (&Method::GET, ["graph", "calls"]) => http::ok(&json!({"items": shared.records.calls()})),
        (&Method::GET, ["webhooks"]) => http::ok(&json!({"items": shared.records.webhooks()})),
        (&Method::GET, ["backend", "requests"]) => http::ok(&json!({"items": shared.backend.all()})),
        (&Method::DELETE, ["backend", "requests"]) => {
            shared.backend.forget();
            http::ok(&json!({"items": []}))
        }
        (_, ["graph", "messages" | "calls"] | ["webhooks"] | ["backend", "requests" | "process"]) => {
            routes::method_not_allowed()
        }
        _ => routes::not_found(),
    }
}

/// `?contact=` takes a number in any spelling, or a user id; `?after=` the `seq` of the last item that is known.
fn messages(shared: &Shared, uri: &Uri) -> Reply {
    let after = match http::query(uri, "after").map(|after| after.parse::<u64>()) {
        None => 0,
        Some(Ok(after)) => after,
        Some(Err(_)) => {
            let detail = "after is no whole number, give the seq of an item";
            return http::problem(StatusCode::BAD_REQUEST, "invalid_query", detail);
        }
    };
    let contact = http::query(uri, "contact");
    let number = contact.as_deref().map(digits);
    let items = shared.records.messages_where(|message| {
        message.seq > after
            && contact.as_deref().is_none_or(|contact| {
                message.to == contact || number.as_deref().is_some_and(|number| message.to == number)
            })
    });
    http::ok(&json!({"items": items}))
}
