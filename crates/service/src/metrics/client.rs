//! Durations of HTTP requests that are made.

use std::time::Duration;

use poem::http::Method;
use prometheus::{HistogramOpts, HistogramVec};

use super::{HTTP_CALL_BUCKETS, catalogue::Catalogue, http::method_label};

/// `http_client_request_duration_seconds`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClientMetrics {
    durations: HistogramVec,
}

impl HttpClientMetrics {
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let options = HistogramOpts::new(
            "http_client_request_duration_seconds",
            "Time until the answer was read or given up. The status is empty when no answer came, the error type when all went well",
        )
        .buckets(HTTP_CALL_BUCKETS.to_vec());
        let labels = ["http_request_method", "server_address", "http_response_status_code", "error_type"];
        Self { durations: catalogue.add(HistogramVec::new(options, &labels)) }
    }

    /// Records one request to `server`, the host name alone. `status` is None when no answer came, `error_type` (of a
    /// fixed list) when nothing went wrong; their labels are then empty.
    pub fn observe(
        &self,
        method: &Method,
        server: &str,
        status: Option<u16>,
        error_type: Option<&'static str>,
        duration: Duration,
    ) {
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        let labels = [method_label(method), server, &status, error_type.unwrap_or_default()];
        self.durations.with_label_values(&labels).observe(duration.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_an_answer_has_an_empty_status() {
        let metrics = HttpClientMetrics::new(&Catalogue::default());
        metrics.observe(&Method::POST, "localhost", None, Some("timeout"), Duration::from_secs(1));
        metrics.observe(&Method::POST, "localhost", Some(200), None, Duration::from_secs(1));
        let count = |status: &str, error: &str| {
            metrics.durations.with_label_values(&["POST", "localhost", status, error]).get_sample_count()
        };
        assert_eq!((count("", "timeout"), count("200", "")), (1, 1));
    }
}
