//! Durations and number of HTTP requests that are served. The route is always the template, never the path.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use poem::http::Method;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge};

use super::{HTTP_DURATION_BUCKETS, catalogue::Catalogue};

/// The label for a request that no route took.
pub const UNMATCHED: &str = "unmatched";

/// `http_server_request_duration_seconds` and `http_server_active_requests`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpServerMetrics {
    durations: HistogramVec,
    active: IntGauge,
    /// The handles that were used before. Looking one up costs a read lock and one hash instead of an owned key of
    /// three labels. Bounded, because routes are templates and there are few methods and statuses.
    handles: Arc<RwLock<HashMap<Box<str>, Vec<Handle>>>>,
}

#[derive(Debug)]
struct Handle {
    method: &'static str,
    status: u16,
    duration: Histogram,
}

impl HttpServerMetrics {
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let options = HistogramOpts::new(
            "http_server_request_duration_seconds",
            "Time from the head of a request to the head of its answer",
        )
        .buckets(HTTP_DURATION_BUCKETS.to_vec());
        let labels = ["http_request_method", "http_route", "http_response_status_code"];
        let active = IntGauge::new("http_server_active_requests", "Requests that are being answered");
        Self {
            durations: catalogue.add(HistogramVec::new(options, &labels)),
            active: catalogue.add(active),
            handles: Arc::default(),
        }
    }

    /// Counts a request as active until the guard is dropped, which a client that goes away does as well.
    pub fn start(&self) -> ActiveRequest<'_> {
        self.active.inc();
        ActiveRequest { active: &self.active }
    }

    /// Records one answered request. `route` is a template such as `/messages/:id`, or [`UNMATCHED`].
    pub fn observe(&self, method: &Method, route: &str, status: u16, duration: Duration) {
        let method = method_label(method);
        let seconds = duration.as_secs_f64();
        let known = self.handles.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = known.get(route).and_then(|handles| find(handles, method, status)) {
            handle.duration.observe(seconds);
            return;
        }
        drop(known);
        let duration = self.durations.with_label_values(&[method, route, &status.to_string()]);
        duration.observe(seconds);
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        let handles = handles.entry(route.into()).or_default();
        if find(handles, method, status).is_none() {
            handles.push(Handle { method, status, duration });
        }
    }
}

fn find<'h>(handles: &'h [Handle], method: &str, status: u16) -> Option<&'h Handle> {
    handles.iter().find(|handle| handle.status == status && handle.method == method)
}

/// A request that is being answered.
#[derive(Debug)]
pub struct ActiveRequest<'m> {
    active: &'m IntGauge,
}

impl Drop for ActiveRequest<'_> {
    fn drop(&mut self) {
        self.active.dec();
    }
}

/// The method as a label of bounded variety (OpenTelemetry: `_OTHER` for what is not a known method).
pub(crate) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cached_and_the_first_observation_end_up_in_the_same_series() {
        let catalogue = Catalogue::default();
        let metrics = HttpServerMetrics::new(&catalogue);
        for _ in 0..3 {
            metrics.observe(&Method::POST, "/process", 200, Duration::from_millis(1));
        }
        metrics.observe(&Method::POST, "/process", 400, Duration::from_millis(1));
        metrics.observe(&Method::from_bytes(b"BREW").unwrap(), UNMATCHED, 404, Duration::ZERO);
        let count = |method: &str, route: &str, status: &str| {
            metrics.durations.with_label_values(&[method, route, status]).get_sample_count()
        };
        assert_eq!(count("POST", "/process", "200"), 3);
        assert_eq!(count("POST", "/process", "400"), 1);
        assert_eq!(count("_OTHER", UNMATCHED, "404"), 1);
    }

    #[test]
    fn a_request_is_active_as_long_as_its_guard_lives() {
        let metrics = HttpServerMetrics::new(&Catalogue::default());
        let guard = metrics.start();
        assert_eq!(metrics.active.get(), 1);
        drop(guard);
        assert_eq!(metrics.active.get(), 0);
    }
}
