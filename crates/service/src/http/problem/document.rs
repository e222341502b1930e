//! How a problem is written and documented. `type` and `title` follow from the rest, so they are not stored.

use std::borrow::Cow;

use poem_openapi::{
    Object,
    registry::{MetaSchemaRef, Registry},
    types::{Example, ToJSON, Type},
};
use serde::Serialize;

use super::{Problem, TYPE_BASE};

/// An error (RFC 9457). `code` is stable, `detail` is for people and may change.
#[derive(Object)]
#[oai(rename = "Problem", example)]
struct ProblemDocument {
    /// A link that names the kind of problem; its last segment is `code`.
    #[oai(rename = "type")]
    kind: String,
    /// The HTTP status in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request and what to do about it.
    detail: String,
    /// A stable name for programs.
    code: String,
    /// The field of the request that is wrong, as a path such as `text.body`, where it is one.
    #[oai(skip_serializing_if_is_none)]
    field: Option<String>,
    /// Names this request in the log; the same as the header `X-Request-Id`.
    #[oai(skip_serializing_if_is_none)]
    request_id: Option<String>,
    /// The trace that tells about this request, where there is one; the same as the header `X-Trace-Id`.
    #[oai(skip_serializing_if_is_none)]
    trace_id: Option<String>,
}

impl From<&Problem> for ProblemDocument {
    fn from(problem: &Problem) -> Self {
        Self {
            kind: format!("{TYPE_BASE}{}", problem.code),
            title: problem.title().to_owned(),
            status: problem.status.as_u16(),
            detail: problem.detail.clone(),
            code: problem.code.to_owned(),
            field: problem.field.clone(),
            request_id: problem.request_id.clone(),
            // The edge adds it.
            trace_id: None,
        }
    }
}

impl Example for ProblemDocument {
    fn example() -> Self {
        let problem = Problem::bad_request("text is missing; send a JSON object with a string named text");
        Self::from(&problem.with_request_id("019a1b2c-3d4e-7f50-8a9b-0c1d2e3f4a5b"))
    }
}

/// A problem as serde writes it.
#[derive(Serialize)]
pub(super) struct Written<'p> {
    #[serde(rename = "type")]
    kind: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    code: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'p str>,
}

impl<'p> Written<'p> {
    pub(super) fn of(problem: &'p Problem) -> Self {
        Self {
            kind: format!("{TYPE_BASE}{}", problem.code),
            title: problem.title(),
            status: problem.status.as_u16(),
            detail: &problem.detail,
            code: problem.code,
            field: problem.field.as_deref(),
            request_id: problem.request_id.as_deref(),
        }
    }
}

/// Makes `Json<Problem>` a documented answer.
impl Type for Problem {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        ProblemDocument::name()
    }

    fn schema_ref() -> MetaSchemaRef {
        ProblemDocument::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ProblemDocument::register(registry);
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ToJSON for Problem {
    fn to_json(&self) -> Option<serde_json::Value> {
        ProblemDocument::from(self).to_json()
    }
}
