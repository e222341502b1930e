//! A load run as where everything is watched: traces go to a collector, and metrics are scraped. What both cost shows
//! beside a run without them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::task::AbortHandle;

use crate::{collector::Collector, stack::StackBuilder};

/// Prometheus asks every 15 to 60 s as a rule; more often here, so that a short run has some.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);

/// Whoever watches a run: a collector that throws away what it gets, and a Prometheus that does.
#[derive(Debug)]
pub(super) struct Watcher {
    collector: Collector,
    scrapes: Arc<AtomicU64>,
    scraping: Option<AbortHandle>,
}

/// What came in during a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Watched {
    /// Of the messages, as `OTEL_TRACES_SAMPLER_ARG`.
    pub share: f64,
    pub exports: u64,
    pub export_bytes: u64,
    /// Answers of `/metrics`, of both services.
    pub scrapes: u64,
}

impl Watcher {
    pub(super) fn start() -> io::Result<Self> {
        Ok(Self { collector: Collector::counting()?, scrapes: Arc::default(), scraping: None })
    }

    /// Both services send the traces of this share of the messages here.
    pub(super) fn told_to(&self, mut builder: StackBuilder, share: f64) -> StackBuilder {
        let sampling = [
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
            ("OTEL_TRACES_SAMPLER_ARG", share.to_string()),
        ];
        for (name, value) in self.collector.env().into_iter().chain(sampling) {
            builder = builder.router_env(name, value.clone()).server_env(name, value);
        }
        builder
    }

    /// Asks for metrics from now on.
    pub(super) fn scrape(&mut self, services: Vec<String>) {
        let scrapes = Arc::clone(&self.scrapes);
        let task = tokio::spawn(async move {
            let client = reqwest::Client::new();
            loop {
                for service in &services {
                    let answer = client.get(format!("{service}/metrics")).send().await;
                    if let Ok(answer) = answer.and_then(reqwest::Response::error_for_status)
                        && answer.bytes().await.is_ok()
                    {
                        scrapes.fetch_add(1, Ordering::Relaxed);
                    }
                }
                tokio::time::sleep(SCRAPE_EVERY).await;
            }
        });
        self.scraping = Some(task.abort_handle());
    }

    pub(super) fn watched(&self, share: f64) -> Watched {
        Watched {
            share,
            exports: self.collector.exports(),
            export_bytes: self.collector.bytes(),
            scrapes: self.scrapes.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(scraping) = &self.scraping {
            scraping.abort();
        }
    }
}
