//! A JSON body of bounded length, read after the key was checked; an empty one is an empty object.

use std::time::Duration;

use bytes::Bytes;
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::{ParseFromJSON, Type},
};
use serde_json::{Map, Value};
use service::http::{Problem, body::read_limited};

/// Bytes. The largest message that Meta takes, a text of 4,096 characters with every one escaped, has a tenth of it.
pub(super) const MAX_BODY: usize = 256 * 1024;
/// Whoever drips a body must not hold a connection for long.
const BODY_TIME: Duration = Duration::from_secs(20);

async fn read(request: &Request, body: &mut RequestBody) -> poem::Result<Bytes> {
    let body = body.take()?;
    let read = tokio::time::timeout(BODY_TIME, read_limited(request.headers(), body, MAX_BODY)).await;
    Ok(read.unwrap_or_else(|_| Err(Problem::bad_request("the body took too long; send it again")))?)
}

/// The body's object. What is wrong is said without quoting it.
fn object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Problem::bad_request("the body is not a JSON object; send one")),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let detail =
                format!("the body is not valid JSON (line {line}, column {column}); send a JSON object");
            Err(Problem::bad_request(detail).with_code("invalid_json"))
        }
    }
}

fn described<T: Type>() -> MetaRequest {
    let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
    MetaRequest { description: None, content, required: false }
}

/// A body of the form of `T`.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<'a, T: ParseFromJSON> ApiExtractor<'a> for JsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(described::<T>())
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let object = object(&read(request, body).await?)?;
        let parsed = T::parse_from_json(Some(Value::Object(object)));
        parsed.map(Self).map_err(|error| Problem::bad_request(error.into_message()).into())
    }
}

/// A body that is documented as a `T` and looked at by hand.
#[derive(Debug)]
pub(super) struct RawObject<T> {
    pub(super) object: Map<String, Value>,
    form: std::marker::PhantomData<fn() -> T>,
}

impl<'a, T: Type> ApiExtractor<'a> for RawObject<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest { required: true, ..described::<T>() })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let object = object(&read(request, body).await?)?;
        Ok(Self { object, form: std::marker::PhantomData })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_a_body() {
        for (bytes, expected) in [
            (&b""[..], Ok(0)),
            (b" \n", Ok(0)),
            (b"{}", Ok(0)),
            (br#"{"a":1}"#, Ok(1)),
            (b"[]", Err("invalid_request")),
            (b"null", Err("invalid_request")),
            (b"{", Err("invalid_json")),
            (b"{\"a\":\"\xff\"}", Err("invalid_json")),
        ] {
            let read = object(bytes).map(|object| object.len()).map_err(|problem| problem.code());
            assert_eq!(read, expected, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
