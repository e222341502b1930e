//! What a call of the API wants sent, and what became of it.

use std::sync::Arc;

use super::{Claim, Contact, MessageId, Micros, NewOutbound, SeenKey};

/// A call of the API that wants something sent.
#[derive(Debug, Clone)]
pub struct NewSend {
    pub message: NewOutbound,
    pub channel: Arc<str>,
    pub contact: Arc<Contact>,
    pub idempotency: Option<Idempotency>,
    /// Only if the person wrote at or after this time; looked at after `idempotency`. `None`: in any case.
    pub inbound_since: Option<Micros>,
}

/// Makes a call safe to repeat: the same key with the same body is the same call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// Hash of who calls and of the key they gave.
    pub key: SeenKey,
    /// SHA-256 of the body.
    pub fingerprint: [u8; 32],
}

/// What became of a [`NewSend`].
#[derive(Debug)]
pub enum Enqueued {
    Stored {
        /// The lane of the conversation, when it was idle and the caller had room.
        claim: Option<Box<Claim>>,
        /// An outbox lane is due but was not leased.
        left_work: bool,
    },
    /// The key was used for the same body before: nothing was stored now.
    Known(MessageId),
    /// The key was used for another body.
    Conflict,
    /// The person wrote before [`NewSend::inbound_since`], or never: nothing was stored.
    WindowClosed,
}
