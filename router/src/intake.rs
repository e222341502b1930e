//! From a webhook's signed bytes to rows in the store. What is decided is pure; see `plan`.

mod foreign;
mod named;
mod plan;

use std::sync::Arc;

use async_trait::async_trait;

pub use self::{
    foreign::ForeignItems,
    named::{named, not_spoken_for},
    plan::{Plan, plan},
};
use crate::store::{Accepted, Delivery, StoreError};

/// Takes responsibility for a webhook: when it returns `Ok`, everything in it is on disk.
#[async_trait]
pub trait Intake: std::fmt::Debug + Send + Sync {
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, StoreError>;

    /// A webhook that names these channels was refused because of its signature.
    fn refused(&self, channels: &[Arc<str>]);

    /// Why nothing new is begun at the moment: a word of the list that failures are named by.
    fn rests(&self) -> Option<&'static str> {
        None
    }

    /// A webhook had these items for numbers that are no channel.
    fn foreign(&self, items: &ForeignItems);
}
