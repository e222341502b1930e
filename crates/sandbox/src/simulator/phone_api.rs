//! The phone page's API: chats as they are, and what a person does in them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::{Method, Request, Response, StatusCode, body::Frame, body::Incoming, header};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{
    events::{self, Event},
    http::{self, Reply},
    person::{self, Saying},
    phone::NewContact,
    routes,
    shared::Shared,
};

const LARGEST: usize = 256 * 1024;
/// Comments in a quiet stream, so that proxies and browsers keep it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    /// Null closes the chat that is open.
    wa_id: Option<String>,
}

pub(crate) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>, path: &[&str]) -> Reply {
    match (request.method(), path) {
        (&Method::GET, ["state"]) => http::ok(&state(shared)),
        (&Method::GET, ["events"]) => event_stream(shared),
        (&Method::POST, ["contacts"]) => match body::<NewContact>(request).await {
            Err(refusal) => *refusal,
            Ok(person) => match shared.phone.add(&person) {
                Ok(contact) => http::json(StatusCode::CREATED, &contact),
                Err(detail) => http::problem(StatusCode::BAD_REQUEST, "invalid_contact", &detail),
            },
        },
        (&Method::POST, ["messages"]) => match body::<Saying>(request).await {
            Err(refusal) => *refusal,
            Ok(saying) => match person::say(shared, &saying) {
                Ok(id) => http::ok(&json!({ "id": id })),
                Err(detail) => http::problem(StatusCode::BAD_REQUEST, "invalid_message", &detail),
            },
        },
        (&Method::POST, ["open"]) => match body::<Open>(request).await {
            Err(refusal) => *refusal,
            Ok(Open { wa_id: Some(wa_id) }) if shared.phone.contact(&wa_id).is_none() => http::problem(
                StatusCode::NOT_FOUND,
                "unknown_contact",
                "nobody has this number, add the contact first",
            ),
            Ok(Open { wa_id }) => http::ok(&json!({ "read": person::open(shared, wa_id.as_deref()) })),
        },
        (_, ["state" | "events" | "contacts" | "messages" | "open"]) => routes::method_not_allowed(),
        _ => routes::not_found(),
    }
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Box<Reply>> {
    http::parse(&http::read(request.into_body(), LARGEST).await?)
}

fn state(shared: &Shared) -> Value {
    let options = &shared.options;
    let link = |address: &Option<String>| {
        let docs = address.as_ref().map(|address| format!("{address}/docs"));
        json!({"url": address, "docs": docs})
    };
    let handshake = shared.handshake.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    let business = options.numbers.first().map(|number| {
        json!({
            "name": number.verified_name, "display_phone_number": number.display_phone_number,
            "phone_number_id": number.phone_number_id,
        })
    });
    json!({
        "contacts": shared.phone.contacts(), "business": business, "router": link(&options.links.router),
        "server": link(&options.links.server), "handshake": handshake,
    })
}

fn event_stream(shared: &Arc<Shared>) -> Reply {
    let hello = events::frame(&Event::Hello { version: env!("CARGO_PKG_VERSION") });
    let watching = (Arc::clone(shared), shared.events.watch(), Some(hello));
    let frames = stream::unfold(watching, |(shared, mut watch, hello)| async move {
        let frame = match hello {
            Some(hello) => hello,
            None => next_frame(&shared, &mut watch).await?,
        };
        Some((Ok::<_, Infallible>(Frame::data(frame)), (shared, watch, None)))
    });
    let mut reply = Response::new(Either::Right(StreamBody::new(frames).boxed_unsync()));
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    reply
}

/// `None` ends the stream.
async fn next_frame(shared: &Shared, watch: &mut broadcast::Receiver<Bytes>) -> Option<Bytes> {
    match shared.until_stopped(tokio::time::timeout(KEEP_ALIVE, watch.recv())).await? {
        Ok(Ok(frame)) => Some(frame),
        // The page missed something: a new connection makes it load the state again.
        Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => None,
        Err(_) => Some(Bytes::from_static(b": still here\n\n")),
    }
}
