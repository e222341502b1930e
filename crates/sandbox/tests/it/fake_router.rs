//! A router that writes down every webhook and answers what it is told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use poem::{
    EndpointExt, Route, Server, get, handler,
    http::{HeaderMap, StatusCode},
    listener::{Listener, TcpAcceptor, TcpListener},
    web::{Data, Query},
};
use serde_json::Value;

/// One POST as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    pub(crate) signature: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) answered: u16,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// All messages or statuses in it.
    pub(crate) fn items(&self, kind: &str) -> Vec<Value> {
        let body = self.json();
        let changes = body["entry"][0]["changes"].as_array().cloned().unwrap_or_default();
        changes.iter().filter_map(|change| change["value"][kind].as_array()).flatten().cloned().collect()
    }
}

#[derive(Debug, Default)]
struct Orders {
    received: Vec<Received>,
    /// Answer so many bodies that contain the text with the status.
    failures: Vec<(String, u16, usize)>,
}

#[derive(Debug, Clone)]
pub(crate) struct FakeRouter {
    orders: Arc<Mutex<Orders>>,
    address: SocketAddr,
}

impl FakeRouter {
    pub(crate) async fn start() -> Self {
        let acceptor: TcpAcceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = *poem::listener::Acceptor::local_addr(&acceptor)[0].as_socket_addr().unwrap();
        let orders = Arc::<Mutex<Orders>>::default();
        let app = Route::new().at("/webhook", get(shake).post(receive)).data(Arc::clone(&orders));
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
        Self { orders, address }
    }

    pub(crate) fn webhook_url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    pub(crate) fn fail(&self, containing: &str, status: u16, times: usize) {
        self.orders.lock().unwrap().failures.push((containing.to_owned(), status, times));
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.orders.lock().unwrap().received.clone()
    }

    /// What was accepted, in order of arrival.
    pub(crate) fn accepted(&self, kind: &str) -> Vec<Value> {
        let accepted = self.received().into_iter().filter(|received| received.answered == 200);
        accepted.flat_map(|received| received.items(kind)).collect()
    }

    /// Waits for that many accepted messages or statuses.
    pub(crate) async fn wait_for(&self, kind: &str, count: usize) -> Vec<Value> {
        for _ in 0..2_000 {
            let items = self.accepted(kind);
            if items.len() >= count {
                return items;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("only {:?} of {count} {kind} arrived", self.accepted(kind));
    }
}

#[derive(serde::Deserialize)]
struct Challenge {
    #[serde(rename = "hub.challenge")]
    challenge: String,
    #[serde(rename = "hub.verify_token")]
    token: String,
}

#[handler]
fn shake(Query(asked): Query<Challenge>) -> (StatusCode, String) {
    if asked.token == "sandbox-verify-token" {
        (StatusCode::OK, asked.challenge)
    } else {
        (StatusCode::FORBIDDEN, String::new())
    }
}

#[handler]
fn receive(Data(orders): Data<&Arc<Mutex<Orders>>>, headers: &HeaderMap, body: Vec<u8>) -> StatusCode {
    let mut orders = orders.lock().unwrap();
    let text = String::from_utf8_lossy(&body).into_owned();
    let failure =
        orders.failures.iter_mut().find(|(part, _, times)| *times > 0 && text.contains(part.as_str()));
    let answered = failure.map_or(200, |(_, status, times)| {
        *times -= 1;
        *status
    });
    let signature = headers.get("x-hub-signature-256").map(|value| value.to_str().unwrap().to_owned());
    orders.received.push(Received { signature, body, answered });
    StatusCode::from_u16(answered).unwrap()
}
