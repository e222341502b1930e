//! The WhatsApp Cloud API as types: what its webhooks hold, how they are signed, what can be sent, what its errors
//! mean, and a client. Knows nothing of queues, databases or routes, so that all who speak to Meta (or play Meta)
//! share it.

pub mod client;
mod debug;
pub mod error;
mod lenient;
pub mod message;
pub mod outbound;
mod raw;
pub mod signature;
pub mod status;
pub mod webhook;
