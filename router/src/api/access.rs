//! Who may call, and how many may look at once: the first thing that every call of the API asks for.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use poem::{Request, RequestBody, http::HeaderMap};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaSecurityScheme, Registry},
};
use secrecy::SecretString;
use service::http::Problem;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::keys::{Hashed, KEY_HEADER, Keys};

/// Calls that read from the store at once, so that whoever asks in a loop takes nothing from the webhooks.
const READS: usize = 8;
/// Others wait for so long.
const PATIENCE: Duration = Duration::from_secs(1);

/// Found by the extractors in the request's data; without it nobody is let in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access {
    keys: Arc<ArcSwap<Keys>>,
    reads: Arc<Semaphore>,
}

impl Access {
    pub fn new(keys: &[SecretString]) -> Self {
        let keys = ArcSwap::from_pointee(Keys::new(keys));
        Self { keys: Arc::new(keys), reads: Arc::new(Semaphore::new(READS)) }
    }

    /// From the next call on, these and no others. Answers whether they are others than before.
    pub(super) fn set_keys(&self, keys: &[SecretString]) -> bool {
        let keys = Keys::new(keys);
        let others = **self.keys.load() != keys;
        if others {
            self.keys.store(Arc::new(keys));
        }
        others
    }

    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Hashed, Problem> {
        self.keys.load().check(headers)
    }

    fn of(request: &Request) -> Result<&Self, Problem> {
        request.data::<Self>().ok_or_else(Problem::internal)
    }
}

/// Has a key. Put it before all other arguments, so that nothing else is looked at without one.
#[derive(Debug)]
pub(super) struct Caller(pub(super) Hashed);

/// Has a key, and room to read. The room is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Reader {
    _room: OwnedSemaphorePermit,
}

/// What Swagger UI asks for under "Authorize".
fn register(registry: &mut Registry) {
    let scheme = MetaSecurityScheme {
        ty: "http",
        description: Some("One of the keys in `ROUTER_API_KEYS`, as `Authorization: Bearer KEY`."),
        name: None,
        key_in: None,
        scheme: Some("bearer"),
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme("bearer", scheme);
    let scheme = MetaSecurityScheme {
        ty: "apiKey",
        description: Some("The same key in a header of its own."),
        name: Some(KEY_HEADER),
        key_in: Some("header"),
        scheme: None,
        bearer_format: None,
        flows: None,
        openid_connect_url: None,
    };
    registry.create_security_scheme("apiKey", scheme);
}

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["bearer", "apiKey"]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(Access::of(request)?.check(request.headers())?))
    }
}

impl<'a> ApiExtractor<'a> for Reader {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        <Caller as ApiExtractor>::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let access = Access::of(request)?;
        access.check(request.headers())?;
        let room = tokio::time::timeout(PATIENCE, access.reads.clone().acquire_owned()).await;
        match room {
            Ok(Ok(room)) => Ok(Self { _room: room }),
            _ => {
                let detail = "too many calls read at the same time; ask again, and less often";
                Err(Problem::unavailable(detail).with_code("too_many_reads").with_retry_after(1).into())
            }
        }
    }
}
