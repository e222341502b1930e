//! Draws the trace of one message: the real programs answer it, and what they tell a collector becomes a picture for
//! docs/TRACES.md. Run `cargo build --workspace --bins` first, then
//! `cargo run -p router --example draw_trace -- docs/images/trace.svg`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "it is run by hand, and shares the collector of the tests"
)]

#[path = "../tests/it/collector.rs"]
mod collector;

/// What the collector of the tests takes from their harness.
mod harness {
    pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
}

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use collector::{Collector, Seen};
use sandbox::{
    simulator::Faults,
    stack::{Output, Stack},
};
use serde_json::json;

/// Spans that end the trace of one message: after these nothing comes.
const WHOLE: [(&str, usize); 6] = [
    ("POST /webhook", 1),
    ("process default", 1),
    ("POST /process", 2),
    ("send default", 1),
    ("POST /{version}/{phone_number_id}/messages", 1),
    ("finish", 2),
];

const ROW: u32 = 26;
const LEFT: u32 = 380;
const WIDTH: u32 = 560;
const RIGHT: u32 = 90;
const TOP: u32 = 74;

#[tokio::main]
async fn main() {
    let path = std::env::args().nth(1).unwrap_or_else(|| "docs/images/trace.svg".to_owned());
    let collector = Collector::start().await;
    let mut builder = Stack::builder().output(Output::Captured);
    for (name, value) in collector.env("grpc") {
        builder = builder.router_env(name, value.clone()).server_env(name, value);
    }
    let stack = builder.start().await.unwrap();
    // Graph is far away; on this machine it would answer at once.
    let far: Faults = serde_json::from_value(json!({"graph": {"latency_ms": 40}})).unwrap();
    stack.simulator().set_faults(far);
    // The first messages find everything cold.
    let mut last = Vec::new();
    for turn in 0..5 {
        stack.simulator().say("12025550143", "hello").unwrap();
        stack.simulator().wait_for_messages(turn + 1, harness::PATIENCE).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        last = newest(&collector.all());
    }
    std::fs::write(&path, draw(&last)).unwrap();
    println!("{path}: {} spans", last.len());
    stack.shutdown().await.unwrap();
}

/// The spans of the newest trace that is whole.
fn newest(all: &[Seen]) -> Vec<Seen> {
    let count = |spans: &[Seen], name: &str| spans.iter().filter(|span| span.name() == name).count();
    let whole = collector::by_trace(all)
        .into_values()
        .filter(|spans| WHOLE.iter().all(|(name, times)| count(spans, name) == *times));
    whole.max_by_key(|spans| began(spans)).expect("a whole trace came")
}

fn began(spans: &[Seen]) -> u64 {
    spans.iter().map(|span| span.span.start_time_unix_nano).min().unwrap_or_default()
}

/// The tree, as rows from above: depth and span.
fn rows(spans: &[Seen]) -> Vec<(u32, &Seen)> {
    let mut children: BTreeMap<&[u8], Vec<&Seen>> = BTreeMap::new();
    for span in spans {
        children.entry(&span.span.parent_span_id).or_default().push(span);
    }
    for of_one in children.values_mut() {
        of_one.sort_by_key(|span| span.span.start_time_unix_nano);
    }
    let mut rows = Vec::new();
    let mut open: Vec<(u32, &Seen)> =
        children.get(&[][..]).into_iter().flatten().rev().map(|span| (0, *span)).collect();
    while let Some((depth, span)) = open.pop() {
        rows.push((depth, span));
        let below = children.get(&*span.span.span_id).into_iter().flatten();
        open.extend(below.rev().map(|child| (depth + 1, *child)));
    }
    rows
}

fn draw(spans: &[Seen]) -> String {
    let rows = rows(spans);
    let start = began(spans);
    let end = spans.iter().map(|span| span.span.end_time_unix_nano).max().unwrap_or(start);
    let length = (end - start).max(1) as f64;
    let x = |at: u64| f64::from(LEFT) + at.saturating_sub(start) as f64 / length * f64::from(WIDTH);
    let height = TOP + ROW * rows.len() as u32 + 16;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {height}\" width=\"{0}\" height=\"{height}\" \
         font-family=\"ui-sans-serif, system-ui, sans-serif\" font-size=\"13\">\n\
         <title>One message, from its webhook to Graph</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\" stroke=\"#d0d7de\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"15\" font-weight=\"600\" fill=\"#1f2328\">One message, from its webhook to Graph: {1}</text>\n",
        LEFT + WIDTH + RIGHT,
        millis(end - start),
    );
    for (place, (name, colour)) in SERVICES.iter().enumerate() {
        let at = LEFT + WIDTH + RIGHT - 300 + 145 * place as u32;
        let _ = writeln!(
            svg,
            "<rect x=\"{at}\" y=\"18\" width=\"11\" height=\"11\" rx=\"2\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"28\" fill=\"#59636e\">{name}</text>",
            at + 17
        );
    }
    for tick in 0..=4 {
        let at = f64::from(LEFT) + f64::from(WIDTH) * f64::from(tick) / 4.0;
        let time = millis(((end - start) as f64 * f64::from(tick) / 4.0) as u64);
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{0}\" x2=\"{at:.1}\" y2=\"{1}\" stroke=\"#e6eaef\"/>\
             <text x=\"{at:.1}\" y=\"{2}\" text-anchor=\"middle\" font-size=\"11\" fill=\"#59636e\">{time}</text>",
            TOP - 12,
            height - 12,
            TOP - 18
        );
    }
    for (row, (depth, span)) in rows.iter().enumerate() {
        let y = TOP + ROW * row as u32;
        let (from, to) = (x(span.span.start_time_unix_nano), x(span.span.end_time_unix_nano));
        let colour =
            SERVICES.iter().find(|(name, _)| *name == span.service).map_or("#888888", |(_, colour)| colour);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"#1f2328\">{}</text>\
             <rect x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"14\" rx=\"2\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{}\" font-size=\"11\" fill=\"#59636e\">{}</text>",
            16 + depth * 18,
            y + 13,
            escaped(span.name()),
            y + 2,
            (to - from).max(2.0),
            to.max(from + 2.0) + 6.0,
            y + 13,
            millis(span.span.end_time_unix_nano - span.span.start_time_unix_nano),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

const SERVICES: [(&str, &str); 2] = [("whatsapp-router", "#2f7d6d"), ("whatsapp-server", "#c2703d")];

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn millis(nanos: u64) -> String {
    format!("{:.1} ms", nanos as f64 / 1e6)
}
