//! An API server in this process, as far as the router uses one: lists, watches that go on from a version, bookmarks,
//! applied status, Leases with optimistic locking, Events; and all that can go wrong with it.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use kube::{Client, client::Body};
use poem::http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::config::{objects::API_VERSION, snapshot::Kind};

pub(super) const NAMESPACE: &str = "shop";

type Line = Result<bytes::Bytes, io::Error>;
type ResponseBody = UnsyncBoxBody<bytes::Bytes, io::Error>;

#[derive(Clone, Default)]
pub(super) struct FakeApi(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u64,
    /// By collection, then by name.
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    /// Version, collection, event.
    history: Vec<(u64, String, Value)>,
    /// Versions up to this one are forgotten.
    compacted: u64,
    watches: Vec<(String, mpsc::UnboundedSender<Line>)>,
    is_down: bool,
    /// Refused with this code: part of `METHOD path`, with `?watch` behind it when it is one.
    refusals: Vec<(String, u16)>,
    requests: Vec<String>,
}

/// Where the objects of a kind are.
pub(super) fn collection(kind: Kind) -> String {
    collection_in(NAMESPACE, kind)
}

fn collection_in(namespace: &str, kind: Kind) -> String {
    let plural = super::scope::plural(kind);
    format!("/apis/{API_VERSION}/namespaces/{namespace}/{plural}")
}

pub(super) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases";
pub(super) const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/shop/events";

impl FakeApi {
    pub(super) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap_or_default();
                let path = parts.uri.path().to_owned();
                let query = parts.uri.query().unwrap_or_default().to_owned();
                api.with(|state| state.answer(&parts.method, &path, &query, &body))
            }
            .boxed()
        });
        Client::new(service, NAMESPACE)
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `kubectl apply`.
    pub(super) fn apply(&self, kind: Kind, name: &str, spec: &Value) {
        self.apply_in(NAMESPACE, kind, name, spec);
    }

    pub(super) fn apply_in(&self, namespace: &str, kind: Kind, name: &str, spec: &Value) {
        let collection = collection_in(namespace, kind);
        self.with(|state| {
            let before = state.object(&collection, name);
            let generation = match &before {
                Some(before) if before["spec"] == *spec => return,
                Some(before) => before["metadata"]["generation"].as_i64().unwrap_or_default() + 1,
                None => 1,
            };
            let uid = before
                .as_ref()
                .map_or_else(|| json!(uuid::Uuid::now_v7()), |it| it["metadata"]["uid"].clone());
            let object = json!({
                "apiVersion": API_VERSION, "kind": kind.as_str(),
                "metadata": {
                    "name": name, "namespace": namespace, "uid": uid, "generation": generation,
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                },
                "spec": spec,
                "status": before.map(|before| before["status"].clone()).unwrap_or_default(),
            });
            state.put(&collection, name, object);
        });
    }

    pub(super) fn delete(&self, collection: &str, name: &str) {
        self.with(|state| state.delete(collection, name));
    }

    pub(super) fn get(&self, collection: &str, name: &str) -> Option<Value> {
        self.with(|state| state.object(collection, name))
    }

    pub(super) fn all(&self, collection: &str) -> Vec<Value> {
        self.with(|state| {
            state.objects.get(collection).map(|all| all.values().cloned().collect()).unwrap_or_default()
        })
    }

    /// Somebody else writes an object as a whole.
    pub(super) fn overwrite(&self, collection: &str, name: &str, change: impl FnOnce(&mut Value)) {
        self.with(|state| {
            let mut object = state.object(collection, name).expect("it is there");
            change(&mut object);
            state.put(collection, name, object);
        });
    }

    /// Nothing answers any more, and every watch breaks off.
    pub(super) fn go_down(&self) {
        self.with(|state| {
            state.is_down = true;
            state.break_watches();
        });
    }

    pub(super) fn come_back(&self) {
        self.with(|state| state.is_down = false);
    }

    /// Every connection is cut, and the next one works.
    pub(super) fn cut(&self) {
        self.with(State::break_watches);
    }

    /// The server forgets what was before now, and its watches end: who goes on from there is told 410.
    pub(super) fn compact(&self) {
        self.with(|state| {
            state.compacted = state.version;
            state.version += 1;
            state.watches.clear();
        });
    }

    /// What contains this in `METHOD path` is refused, until [`FakeApi::allow`].
    pub(super) fn refuse(&self, what: &str, code: u16) {
        self.with(|state| state.refusals.push((what.to_owned(), code)));
    }

    pub(super) fn allow(&self) {
        self.with(|state| state.refusals.clear());
    }

    /// How many requests contained this in `METHOD path`.
    pub(super) fn count(&self, what: &str) -> usize {
        self.with(|state| state.requests.iter().filter(|request| request.contains(what)).count())
    }
}

impl State {
    fn object(&self, collection: &str, name: &str) -> Option<Value> {
        self.objects.get(collection)?.get(name).cloned()
    }

    fn put(&mut self, collection: &str, name: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let before =
            self.objects.entry(collection.to_owned()).or_default().insert(name.to_owned(), object.clone());
        let what = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.publish(collection, json!({"type": what, "object": object}));
    }

    fn delete(&mut self, collection: &str, name: &str) {
        if let Some(mut object) = self.objects.get_mut(collection).and_then(|all| all.remove(name)) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.publish(collection, json!({"type": "DELETED", "object": object}));
        }
    }

    fn publish(&mut self, collection: &str, event: Value) {
        self.watches.retain(|(of, watch)| of != collection || watch.send(Ok(line(&event))).is_ok());
        self.history.push((self.version, collection.to_owned(), event));
    }

    fn break_watches(&mut self) {
        for (_, watch) in self.watches.drain(..) {
            let _ = watch.send(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
        }
    }

    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Response<ResponseBody>, io::Error> {
        let verb = if query.contains("watch=true") { "?watch" } else { "" };
        let request = format!("{method} {path}{verb}");
        self.requests.push(request.clone());
        if self.is_down {
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
        }
        if let Some((_, code)) = self.refusals.iter().find(|(what, _)| request.contains(what)) {
            return Ok(refusal(*code));
        }
        if path == format!("/apis/{API_VERSION}") {
            let resources: Vec<_> = ["channels", "routes"]
                .map(|name| json!({"name": name, "singularName": "", "namespaced": true, "kind": "", "verbs": []}))
                .into();
            return Ok(answer(200, &json!({"groupVersion": API_VERSION, "resources": resources})));
        }
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        // …/namespaces/<namespace>/<plural>[/<name>[/status]]
        let parts: Vec<_> = path.split('/').collect();
        let (collection, rest) = parts.split_at(7.min(parts.len()));
        let collection = collection.join("/");
        Ok(match (method.as_str(), rest) {
            ("GET", []) if query.contains("watch=true") => self.watch(&collection, query),
            ("GET", []) => {
                let items: Vec<_> =
                    self.objects.get(&collection).map(|all| all.values().collect()).unwrap_or_default();
                answer(
                    200,
                    &json!({
                        "apiVersion": API_VERSION, "kind": "List",
                        "metadata": {"resourceVersion": self.version.to_string()}, "items": items,
                    }),
                )
            }
            ("GET", [name]) => match self.object(&collection, name) {
                Some(object) => answer(200, &object),
                None => refusal(404),
            },
            ("POST", []) => self.create(&collection, sent),
            ("PUT", [name]) => self.replace(&collection, name, sent),
            ("PATCH", [name, "status"]) => self.apply_status(&collection, name, &sent),
            _ => refusal(405),
        })
    }

    fn watch(&mut self, collection: &str, query: &str) -> Response<ResponseBody> {
        let since = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("resourceVersion="))
            .and_then(|version| version.parse::<u64>().ok())
            .unwrap_or_default();
        let (sender, receiver) = mpsc::unbounded_channel();
        if since < self.compacted {
            let status = json!({"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"});
            let _ = sender.send(Ok(line(&json!({"type": "ERROR", "object": status}))));
        } else {
            for (version, of, event) in &self.history {
                if *version > since && of == collection {
                    let _ = sender.send(Ok(line(event)));
                }
            }
            let bookmark = json!({
                "apiVersion": API_VERSION, "kind": "Bookmark", "metadata": {"resourceVersion": self.version.to_string()},
            });
            let _ = sender.send(Ok(line(&json!({"type": "BOOKMARK", "object": bookmark}))));
            self.watches.push((collection.to_owned(), sender));
        }
        let lines = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let frames = lines.map(|line| line.map(http_body::Frame::data));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn create(&mut self, collection: &str, object: Value) -> Response<ResponseBody> {
        let Some(name) = object["metadata"]["name"].as_str().map(str::to_owned) else { return refusal(422) };
        if self.object(collection, &name).is_some() {
            return refusal(409);
        }
        self.put(collection, &name, object);
        answer(201, &self.object(collection, &name).unwrap_or_default())
    }

    fn replace(&mut self, collection: &str, name: &str, object: Value) -> Response<ResponseBody> {
        let Some(before) = self.object(collection, name) else { return refusal(404) };
        if before["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
            return refusal(409);
        }
        self.put(collection, name, object);
        answer(200, &self.object(collection, name).unwrap_or_default())
    }

    /// Conditions are merged by their type; what changes nothing makes no new version.
    fn apply_status(&mut self, collection: &str, name: &str, sent: &Value) -> Response<ResponseBody> {
        let Some(mut object) = self.object(collection, name) else { return refusal(404) };
        if sent["metadata"]["uid"] != object["metadata"]["uid"] {
            return refusal(409);
        }
        let before = object["status"].clone();
        let mut conditions: Vec<Value> = before["conditions"].as_array().cloned().unwrap_or_default();
        for condition in sent["status"]["conditions"].as_array().into_iter().flatten() {
            conditions.retain(|known| known["type"] != condition["type"]);
            conditions.push(condition.clone());
        }
        object["status"] = json!({
            "observedGeneration": sent["status"]["observedGeneration"], "conditions": conditions,
        });
        if object["status"] != before {
            self.put(collection, name, object);
        }
        answer(200, &self.object(collection, name).unwrap_or_default())
    }
}

fn line(event: &Value) -> bytes::Bytes {
    format!("{event}\n").into()
}

fn answer(code: u16, body: &Value) -> Response<ResponseBody> {
    let body = http_body_util::Full::new(bytes::Bytes::from(body.to_string()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = poem::http::StatusCode::from_u16(code).expect("a code");
    response
}

fn refusal(code: u16) -> Response<ResponseBody> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "",
    };
    answer(
        code,
        &json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "refused", "reason": reason}),
    )
}
