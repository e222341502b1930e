//! The API's documentation: `/openapi.json` always, and Swagger UI at `/docs` unless it is switched off.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use poem::{
    Endpoint, IntoResponse, PathPattern, Request, Response, Result,
    error::MethodNotAllowedError,
    http::{
        HeaderValue, Method,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY},
    },
};
use poem_openapi::{OpenApi, OpenApiService, Webhook};

/// Where Swagger UI is.
pub const DOCS_PATH: &str = "/docs";

/// Where the OpenAPI document is.
pub const DOCUMENT_PATH: &str = "/openapi.json";

/// Swagger UI is one page with its script and style inside. It asks nobody but this server, is shown in no frame,
/// and runs no script from elsewhere.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
    img-src 'self' data:; font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The documentation. The page is about 1.6 MB: it is made when somebody asks for it first, and every answer shares
/// the one copy of it.
#[derive(Debug, Clone)]
pub struct Docs {
    document: Bytes,
    page: Option<Arc<OnceLock<Bytes>>>,
}

impl Docs {
    /// Of the service whose document is shown; without `page` there is no `/docs`.
    pub fn of<T: OpenApi, W: Webhook>(service: &OpenApiService<T, W>, page: bool) -> Self {
        Self { document: document_of(service).into(), page: page.then(Arc::default) }
    }

    /// The OpenAPI document as it is served and committed.
    pub fn document(&self) -> &str {
        // It was made from a `String`.
        std::str::from_utf8(&self.document).unwrap_or_default()
    }

    /// Serves the documentation and leaves every other path to `rest`.
    pub fn before<E: Endpoint>(self, rest: E) -> WithDocs<E> {
        WithDocs { docs: self, rest }
    }

    /// The route and the answer to GET, when the path belongs to the documentation.
    fn find(&self, path: &str) -> Option<(&'static str, Response)> {
        let (route, mut response) = match (path, &self.page) {
            (DOCUMENT_PATH, _) => (
                DOCUMENT_PATH,
                Response::builder().content_type("application/json").body(self.document.clone()),
            ),
            (DOCS_PATH | "/docs/", Some(page)) => {
                let policy = HeaderValue::from_static(DOCS_POLICY);
                let page = Response::builder()
                    .content_type("text/html; charset=utf-8")
                    .header(CONTENT_SECURITY_POLICY, policy)
                    .body(page.get_or_init(|| render(self.document()).into()).clone());
                (DOCS_PATH, page)
            }
            _ => return None,
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Some((route, response))
    }
}

/// Swagger UI showing `document`. poem renders the page of a service; here it is that of an empty one, with the
/// document in place of its own.
fn render(document: &str) -> String {
    let empty = OpenApiService::new((), "", "");
    empty.swagger_ui_html().replacen(&empty.spec(), document.trim_end(), 1)
}

/// The OpenAPI document, pretty, with a line end: what the `openapi` subcommand prints.
pub fn document_of<T: OpenApi, W: Webhook>(service: &OpenApiService<T, W>) -> String {
    let mut document = service.spec();
    document.push('\n');
    document
}

/// An endpoint with its documentation in front of it.
#[derive(Debug)]
pub struct WithDocs<E> {
    docs: Docs,
    rest: E,
}

impl<E: Endpoint> Endpoint for WithDocs<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let Some((route, mut response)) = self.docs.find(request.uri().path()) else {
            return self.rest.call(request).await.map(IntoResponse::into_response);
        };
        let route = PathPattern(route.into());
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            response.set_data(route);
            Ok(response)
        } else {
            let mut error = poem::Error::from(MethodNotAllowedError);
            error.set_data(route);
            Err(error)
        }
    }
}
