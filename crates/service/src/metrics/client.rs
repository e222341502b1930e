//! Durations of HTTP requests that are made.

use std::time::Duration;

use poem::http::Method;
use prometheus::{Histogram, HistogramOpts, HistogramVec};

use super::{HTTP_DURATION_BUCKETS, catalogue::Catalogue, http::method_label};

/// `http_client_request_duration_seconds`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClientMetrics {
    durations: HistogramVec,
}

impl HttpClientMetrics {
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let options = HistogramOpts::new(
            "http_client_request_duration_seconds",
            "Time until the answer was read or given up",
        )
        .buckets(HTTP_DURATION_BUCKETS.to_vec());
        let labels = ["http_request_method", "server_address", "http_response_status_code"];
        Self { durations: catalogue.add(HistogramVec::new(options, &labels)) }
    }

    /// Records one request to `server`, the host name alone. `status` is None when no answer came; its label is
    /// then empty.
    pub fn observe(&self, method: &Method, server: &str, status: Option<u16>, duration: Duration) {
        self.handle(method, server, status).observe(duration.as_secs_f64());
    }

    /// A handle to keep where the same request is made often.
    pub fn handle(&self, method: &Method, server: &str, status: Option<u16>) -> Histogram {
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        self.durations.with_label_values(&[method_label(method), server, &status])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_answer_has_an_empty_status() {
        let metrics = HttpClientMetrics::new(&Catalogue::default());
        metrics.observe(&Method::POST, "localhost", None, Duration::from_secs(1));
        metrics.observe(&Method::POST, "localhost", Some(200), Duration::from_secs(1));
        let count = |status: &str| {
            metrics.durations.with_label_values(&["POST", "localhost", status]).get_sample_count()
        };
        assert_eq!((count(""), count("200")), (1, 1));
    }
}
