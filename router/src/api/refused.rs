//! Errors of a call, documented: each call says which ones it has, and a handler only writes `?`.

use std::marker::PhantomData;

use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use service::http::Problem;

use crate::store::StoreError;

/// A status, and which codes come with it when.
pub(super) type Reason = (u16, &'static str);

/// The errors that a call can answer with.
pub(super) trait Reasons: Send + Sync + 'static {
    const ALL: &'static [Reason];
}

pub(super) const INVALID: Reason = (
    400,
    "A parameter or the body is not what it should be (`invalid_request`); `detail` says what to write instead.",
);
pub(super) const UNAUTHORIZED: Reason = (401, "The key is missing or wrong (`unauthorized`).");
pub(super) const NO_KEYS: Reason =
    (403, "No keys are configured (`no_api_keys`): the router's operator sets `ROUTER_API_KEYS`.");
pub(super) const NOT_FOUND: Reason = (404, "There is nothing with this id or name (`not_found`).");
pub(super) const UNAVAILABLE: Reason = (
    503,
    "Too many calls read at once (`too_many_reads`) or the store does not answer (`store_unavailable`, \
     `store_busy`); `Retry-After` says when to ask again.",
);

/// A list.
pub(super) struct Listing;
impl Reasons for Listing {
    const ALL: &'static [Reason] = &[INVALID, UNAUTHORIZED, NO_KEYS, UNAVAILABLE];
}

/// Something that there is only one of.
pub(super) struct Looking;
impl Reasons for Looking {
    const ALL: &'static [Reason] = &[UNAUTHORIZED, NO_KEYS, UNAVAILABLE];
}

/// One thing by its id, to look at it or to change it.
pub(super) struct Finding;
impl Reasons for Finding {
    const ALL: &'static [Reason] = &[INVALID, UNAUTHORIZED, NO_KEYS, NOT_FOUND, UNAVAILABLE];
}

/// One thing by its name, to look at it.
pub(super) struct Found;
impl Reasons for Found {
    const ALL: &'static [Reason] = &[UNAUTHORIZED, NO_KEYS, NOT_FOUND, UNAVAILABLE];
}

/// A problem out of `R`. Anything that is a problem becomes one with `?`.
#[derive(Debug)]
pub(super) struct Refused<R> {
    problem: Problem,
    reasons: PhantomData<fn() -> R>,
}

impl<R: Reasons> From<Problem> for Refused<R> {
    fn from(problem: Problem) -> Self {
        let status = problem.status().as_u16();
        debug_assert!(status == 500 || R::ALL.iter().any(|(known, _)| *known == status), "{problem}");
        Self { problem, reasons: PhantomData }
    }
}

impl<R: Reasons> From<StoreError> for Refused<R> {
    fn from(error: StoreError) -> Self {
        Self::from(problem_of(&error))
    }
}

impl<R> From<Refused<R>> for poem::Error {
    fn from(refused: Refused<R>) -> Self {
        refused.problem.into()
    }
}

impl<R: Reasons> ApiResponse for Refused<R> {
    fn meta() -> MetaResponses {
        let header = |name: &str, description: &str| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: false,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let of = |&(status, description): &Reason| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/problem+json",
                schema: Problem::schema_ref(),
            }],
            headers: match status {
                401 => vec![header("WWW-AUTHENTICATE", "`Bearer`")],
                503 => vec![header("RETRY-AFTER", "Seconds")],
                _ => Vec::new(),
            },
        };
        MetaResponses { responses: R::ALL.iter().map(of).collect() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

/// What a caller is told when the store does not do it; the words of the database are for the log.
pub(super) fn problem_of(error: &StoreError) -> Problem {
    match error {
        StoreError::Full => {
            Problem::unavailable("the queue is full; send it again when some of it is worked off")
                .with_code("queue_full")
                .with_retry_after(5)
        }
        StoreError::Busy => Problem::unavailable("more writes are waiting than can be stored; send it again")
            .with_code("store_busy")
            .with_retry_after(1),
        StoreError::Database(_) | StoreError::Closed | StoreError::LeaseLost => {
            tracing::warn!(%error, "a call of the API failed");
            Problem::unavailable("the store does not answer now; ask again")
                .with_code("store_unavailable")
                .with_retry_after(2)
        }
    }
}
