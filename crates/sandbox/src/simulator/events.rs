//! What happens, as it happens: one stream of JSON events for every phone page that watches.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use super::phone::{ChatMessage, Contact, DeliveryStatus};

/// Slow readers lose events beyond this many and are told to load the state again.
const BUFFER: usize = 1024;

#[derive(Debug, Clone)]
pub(crate) struct Events {
    sender: broadcast::Sender<Bytes>,
}

/// One event; `type` says which.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Event<'a> {
    Hello {
        version: &'a str,
    },
    Contact {
        contact: &'a Contact,
    },
    Message {
        wa_id: &'a str,
        message: &'a ChatMessage,
    },
    Status {
        wa_id: &'a str,
        id: &'a str,
        status: DeliveryStatus,
        error: Option<&'a str>,
    },
    Typing {
        wa_id: &'a str,
        on: bool,
    },
    Handshake {
        ok: bool,
        detail: &'a str,
    },
    /// One attempt to deliver a webhook; `status` is null while it is under way and when nobody answered.
    Webhook {
        id: u64,
        at: u64,
        body: &'a Value,
        status: Option<u16>,
        attempt: u32,
        duration_ms: u64,
    },
    /// One call of the Graph API; `status` is null when the connection was broken on purpose.
    Graph {
        id: u64,
        at: u64,
        method: &'a str,
        path: &'a str,
        request: &'a Value,
        status: Option<u16>,
        response: &'a Value,
        duration_ms: u64,
    },
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::channel(BUFFER).0 }
    }

    pub(crate) fn has_watchers(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        if self.has_watchers() {
            // The last watcher may leave at this very moment; then nobody misses the event.
            let _ = self.sender.send(frame(event));
        }
    }

    pub(crate) fn watch(&self) -> broadcast::Receiver<Bytes> {
        self.sender.subscribe()
    }
}

/// The event in the wire form of server-sent events.
pub(crate) fn frame(event: &Event<'_>) -> Bytes {
    let mut frame = b"data: ".to_vec();
    // Only maps with keys that are no strings could fail here.
    if serde_json::to_writer(&mut frame, event).is_err() {
        frame.extend_from_slice(b"null");
    }
    frame.extend_from_slice(b"\n\n");
    Bytes::from(frame)
}
