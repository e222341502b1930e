//! Connections of clients: how many there are, and how many were not wanted.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

use super::catalogue::Catalogue;

/// `http_server_connections`, `http_server_connections_refused_total` and `http_server_connections_cut_off_total`.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct ConnectionMetrics {
    open: IntGauge,
    refused: IntCounter,
    head: IntCounter,
    answer: IntCounter,
}

impl ConnectionMetrics {
    /// Every registry holds one of these.
    pub(super) fn new(catalogue: &Catalogue) -> Self {
        let open = IntGauge::new("http_server_connections", "Open connections");
        let refused = IntCounter::new(
            "http_server_connections_refused_total",
            "Connections that were closed because their client had its share of them",
        );
        let cut_off = Opts::new(
            "http_server_connections_cut_off_total",
            "Connections that were closed because the client sent a head, or took an answer, too slowly",
        );
        let cut_off = catalogue.add(IntCounterVec::new(cut_off, &["reason"]));
        Self {
            open: catalogue.add(open),
            refused: catalogue.add(refused),
            head: cut_off.with_label_values(&["slow_head"]),
            answer: cut_off.with_label_values(&["slow_reader"]),
        }
    }

    pub(crate) fn opened(&self) {
        self.open.inc();
    }

    pub(crate) fn closed(&self) {
        self.open.dec();
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    pub(crate) fn cut_off_head(&self) {
        self.head.inc();
    }

    pub(crate) fn cut_off_answer(&self) {
        self.answer.inc();
    }
}
