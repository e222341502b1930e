//! WhatsApp on your desk: a simulator of Meta's Graph API and webhooks with a phone page, the stack of real
//! processes around it, and a load generator. It is a product for whoever tries the router, and the harness of its tests.

pub mod chaos;
pub mod cli;
mod collector;
pub mod compare;
pub mod load;
pub mod observe;
pub mod postgres;
pub mod proxy;
pub mod relay;
pub mod simulator;
pub mod stack;
