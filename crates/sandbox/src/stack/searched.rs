//! All that the services of a stack told of themselves: every line of log, every span, and their metrics as they were at
//! each end of a process. Kept so that it can be searched.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Stack, child::Service, output::Lines, search::Forbidden};
use crate::collector::Collector;

/// How often the services hand their spans over. What is younger at the end of a test is waited for.
const EXPORT_EVERY: Duration = Duration::from_millis(25);
/// For the metrics of a process that runs: it answers at once, unless the machine is very busy.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Searched {
    collector: Collector,
    metrics: Metrics,
}

/// Answers of `/metrics`, shared with whoever is about to end a process.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics(Arc<Mutex<String>>);

impl Searched {
    pub(super) fn start() -> io::Result<Self> {
        Ok(Self { collector: Collector::keeping()?, metrics: Metrics::default() })
    }

    /// Variables of both services.
    pub(super) fn env(&self) -> Vec<(&'static str, String)> {
        let delay = ("OTEL_BSP_SCHEDULE_DELAY", EXPORT_EVERY.as_millis().to_string());
        self.collector.env().into_iter().chain([delay]).collect()
    }

    fn spans(&self) -> String {
        String::from_utf8_lossy(&self.collector.kept()).into_owned()
    }
}

impl Metrics {
    /// Asks for them once more. Blocks.
    pub(super) fn ask(&self, address: SocketAddr, patience: Duration) -> io::Result<()> {
        let text = get(address, "/metrics", patience)?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push_str(&text);
        Ok(())
    }

    fn all(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Stack {
    /// What is found of people and credentials in all that the services told, one line each. Empty without
    /// [`search_output`](super::StackBuilder::search_output).
    pub(super) fn leaks(&mut self) -> Vec<String> {
        let Some(searched) = &self.searched else { return Vec::new() };
        let mut found = Vec::new();
        let services = || self.routers.iter().chain(&self.server);
        for service in services().filter(|service| service.pid().is_some()) {
            if let Err(error) = service.ask_metrics(PATIENCE) {
                found.push(format!("the {}'s metrics can't be searched: {error}", service.name()));
            }
        }
        if services().any(|service| service.pid().is_some()) {
            std::thread::sleep(EXPORT_EVERY * 2);
        }
        let forbidden = Forbidden::of(&self.simulator);
        for service in services() {
            found.extend(
                forbidden.found_in(&format!("a log line of the {}", service.name()), &service.output()),
            );
        }
        found.extend(forbidden.found_in("a metric", &searched.metrics.all()));
        found.extend(forbidden.found_in("a span", &searched.spans()));
        found
    }

    /// Searches something else that the services told, such as spans that went to a collector of the test's own.
    pub fn leaks_in(&self, place: &str, text: &str) -> Vec<String> {
        Forbidden::of(&self.simulator).found_in(place, text)
    }

    /// How much of it there is: bytes of spans and of metrics, so that a test can see that something was searched.
    pub fn searched(&self) -> (usize, usize) {
        let searched = self.searched.as_ref();
        searched.map_or((0, 0), |searched| (searched.collector.kept().len(), searched.metrics.all().len()))
    }
}

impl Service {
    /// From its start on, all that it tells is kept.
    pub(super) fn searched_by(&mut self, searched: Option<&Searched>) {
        if let Some(searched) = searched {
            self.lines = Lines::every_one();
            self.metrics = Some(searched.metrics.clone());
        }
    }

    /// Keeps what its metrics are now, if anybody will search them. Blocks.
    pub(super) fn ask_metrics(&self, patience: Duration) -> io::Result<()> {
        let Some(metrics) = &self.metrics else { return Ok(()) };
        let of_variable = |name: &str| self.env.get(name).and_then(|value| value.parse().ok());
        let listens = if self.name == "server" { "SERVER_LISTEN" } else { "ROUTER_LISTEN" };
        match of_variable("ADMIN_LISTEN").or_else(|| of_variable(listens)) {
            Some(address) => metrics.ask(address, patience),
            None => Err(io::Error::other("its address is not known")),
        }
    }
}

fn get(address: SocketAddr, path: &str, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") && !body.is_empty() => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("{path} answered {answer:.200}"))),
    }
}
