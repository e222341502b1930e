//! The one layer around everything that is served: it names the request, measures it, logs it, catches what goes
//! wrong and gives every error the same shape.

mod errors;
mod facts;
mod slow_body;
mod trace;

use std::{
    net::SocketAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt;
use poem::{
    Endpoint, Error, IntoResponse, Middleware, PathPattern, Request, Response, Result,
    error::NotFoundError,
    http::{
        HeaderName, HeaderValue, Method, StatusCode,
        header::{ALLOW, X_CONTENT_TYPE_OPTIONS},
    },
};

use self::{
    errors::{error_response, finish_error_response},
    trace::{Place, X_TRACE_ID, is_of_machines},
};
pub use self::{
    facts::RequestFacts,
    trace::{RequestTrace, Trust},
};
use super::{Problem, RequestId, Routes, request_id::REQUEST_ID_HEADER, settings::Limits};
use crate::{
    metrics::{HttpServerMetrics, Metrics, UNMATCHED},
    telemetry::Tracer,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static(REQUEST_ID_HEADER);
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The middleware; put it around the outermost endpoint with `.with(Edge::new(&metrics))`.
/// Handlers find what it knows of a request with [`RequestFacts::of`].
#[derive(Debug, Clone)]
pub struct Edge {
    metrics: HttpServerMetrics,
    routes: Arc<Routes>,
    body_timeout: Duration,
    tracer: Tracer,
    trust: Trust,
    place: Place,
}

impl Edge {
    /// Without knowledge of routes: a 405 carries no `Allow`, and parameters are called `:param0`.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.http_server().clone(),
            routes: Arc::default(),
            body_timeout: Limits::default().body_timeout,
            tracer: Tracer::off(),
            trust: Trust::Nobody,
            place: Place::default(),
        }
    }

    /// Cuts off a body that does not come in this time, or a second more for each 4 KiB of it.
    #[must_use]
    pub fn with_limits(mut self, limits: &Limits) -> Self {
        self.body_timeout = limits.body_timeout;
        self
    }

    /// Lets a 405 say which methods there are, and shows routes as the document writes them.
    #[must_use]
    pub fn with_routes(mut self, routes: Routes) -> Self {
        self.routes = Arc::new(routes);
        self
    }

    /// Makes each request a span, which is one of its [`RequestFacts`].
    #[must_use]
    pub fn with_tracer(mut self, tracer: &Tracer, trust: Trust) -> Self {
        self.tracer = tracer.clone();
        self.trust = trust;
        self
    }

    /// Lets spans say where requests come in.
    #[must_use]
    pub fn listening_on(mut self, address: SocketAddr) -> Self {
        self.place = Place::at(address);
        self
    }
}

impl<E: Endpoint> Middleware<E> for Edge {
    type Output = EdgeEndpoint<E>;

    fn transform(&self, inner: E) -> Self::Output {
        EdgeEndpoint { inner, edge: self.clone() }
    }
}

/// What [`Edge`] makes of an endpoint. It never returns an error.
#[derive(Debug)]
pub struct EdgeEndpoint<E> {
    inner: E,
    edge: Edge,
}

impl<E: Endpoint> Endpoint for EdgeEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let started = Instant::now();
        let active = self.edge.metrics.start();
        let id = RequestId::accept_or_generate(request.headers().get(&X_REQUEST_ID));
        let method = request.method().clone();
        let trace = RequestTrace::begin(&self.edge.tracer, self.edge.trust, &request);
        let facts = RequestFacts::begin(&mut request, id, trace);
        let id = facts.id();
        slow_body::watch(&mut request, self.edge.body_timeout);

        // A handler that panicked leaves nothing behind that this endpoint uses again.
        let result = AssertUnwindSafe(self.inner.call(request)).catch_unwind().await;
        let (mut response, route) = match result {
            Ok(Ok(output)) => {
                let mut response = output.into_response();
                let route = response.extensions_mut().remove::<PathPattern>();
                (response, route)
            }
            Ok(Err(error)) => self.edge.answer_error(error, id),
            Err(_panic) => (error_response(Problem::internal(), id), None),
        };
        let trace_id = facts.trace().and_then(|trace| trace.id(response.status()));
        if response.status().is_client_error() || response.status().is_server_error() {
            response = finish_error_response(response, id, trace_id.as_ref()).await;
        }
        if let Some(trace_id) = trace_id {
            response.headers_mut().insert(X_TRACE_ID, trace_id);
        }
        response.headers_mut().insert(X_REQUEST_ID, id.header().clone());
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);

        let template = self.edge.template(route.as_ref());
        let route = template.map_or(UNMATCHED, |template| &**template);
        self.edge.record(&method, route, &response, started, &facts);
        if let Some(trace) = facts.trace() {
            trace.record(&self.edge.tracer, &self.edge.place, &method, template, &response);
        }
        drop(active);
        Ok(response)
    }
}

impl Edge {
    fn answer_error(&self, error: Error, id: &RequestId) -> (Response, Option<PathPattern>) {
        // A nested route leaves its own prefix on the error of a path that it does not know.
        let route = error.data::<PathPattern>().filter(|_| !error.is::<NotFoundError>()).cloned();
        if error.status().is_server_error() && !error.is::<Problem>() {
            tracing::error!(request_id = id.as_str(), %error, "request failed");
        }
        if error.is_from_response() {
            return (error.into_response(), route);
        }
        let mut response = error_response(super::problem::from_error(&error), id);
        let known = route.as_ref().and_then(|route| self.routes.find(&route.0));
        if let (StatusCode::METHOD_NOT_ALLOWED, Some(known)) = (response.status(), known) {
            response.headers_mut().insert(ALLOW, known.allow.clone());
        }
        (response, route)
    }

    fn record(
        &self,
        method: &Method,
        route: &str,
        response: &Response,
        started: Instant,
        facts: &RequestFacts,
    ) {
        let status = response.status().as_u16();
        let duration = started.elapsed();
        self.metrics.observe(method, route, status, duration);
        let (request_id, duration_ms) = (facts.id().as_str(), duration.as_micros() as f64 / 1e3);
        let trace_id = facts.trace().and_then(|trace| trace.told_id(response.status()));
        match status {
            // Refusing is no failure of this process. Whoever probes comes again every few seconds, and what changed has a
            // line of its own.
            503 if facts.is_told() || is_of_machines(route) => {
                tracing::debug!(request_id, trace_id, %method, route, status, duration_ms, "request");
            }
            503 => tracing::warn!(request_id, trace_id, %method, route, status, duration_ms, "request"),
            500.. => tracing::error!(request_id, trace_id, %method, route, status, duration_ms, "request"),
            _ => tracing::debug!(request_id, trace_id, %method, route, status, duration_ms, "request"),
        }
    }

    /// The template of a route as metrics, logs and spans show it; None when there is no route.
    fn template<'r>(&'r self, route: Option<&'r PathPattern>) -> Option<&'r Arc<str>> {
        let pattern = &route?.0;
        match self.routes.find(pattern) {
            Some(route) => Some(&route.template),
            None => Some(pattern).filter(|pattern| !pattern.is_empty()),
        }
    }
}
