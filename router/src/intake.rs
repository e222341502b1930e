//! From a webhook's signed bytes to rows in the store. What is decided is pure; see `plan`.

mod plan;

use async_trait::async_trait;

pub use self::plan::{Plan, plan, speaks_for_all};
use crate::store::{Accepted, Delivery, StoreError};

/// Takes responsibility for a webhook: when it returns `Ok`, everything in it is on disk.
#[async_trait]
pub trait Intake: std::fmt::Debug + Send + Sync {
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, StoreError>;
}
