//! What is known of a request besides what it says itself. It is one thing, because each thing more that a request carries
//! costs a box, and sometimes a larger table for the boxes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use poem::Request;

use super::RequestTrace;
use crate::http::RequestId;

/// The ids of a request, and whether its refusal has been logged. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RequestFacts(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    id: RequestId,
    trace: Option<RequestTrace>,
    told: AtomicBool,
}

impl RequestFacts {
    /// None where no [`super::Edge`] is in front.
    pub fn of(request: &Request) -> Option<&Self> {
        request.data()
    }

    pub(super) fn begin(request: &mut Request, id: RequestId, trace: Option<RequestTrace>) -> Self {
        let facts = Self(Arc::new(Facts { id, trace, told: AtomicBool::new(false) }));
        request.set_data(facts.clone());
        facts
    }

    /// By which a person finds its line in the log.
    pub fn id(&self) -> &RequestId {
        &self.0.id
    }

    /// Its span; none when traces are off.
    pub fn trace(&self) -> Option<&RequestTrace> {
        self.0.trace.as_ref()
    }

    /// The log has a line with the reason of the refusal and these ids: the edge need not say it, too.
    pub fn told(&self) {
        self.0.told.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_told(&self) -> bool {
        self.0.told.load(Ordering::Relaxed)
    }
}
