//! Shows people that their message was read, where the rule wants it. Best effort: a mark that is late or lost harms
//! nobody, so it waits in memory alone, holds nothing up, and gives way to everything else.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use service::telemetry::SpanContext;
use tokio::sync::mpsc;

use super::{Engine, lane::Lane};
use crate::{pacing::SlidingWindow, store::Item};

/// Marks that wait; more are left out.
const WAITING: usize = 4_096;

/// Calls at once, over all channels.
const AT_ONCE: usize = 8;

#[derive(Debug)]
pub(super) struct Mark {
    channel: Arc<str>,
    wamid: Arc<str>,
    /// The span of the message, if it is sampled.
    parent: Option<SpanContext>,
}

pub(super) type Marks = mpsc::Sender<Mark>;

pub(super) fn channel() -> (Marks, mpsc::Receiver<Mark>) {
    mpsc::channel(WAITING)
}

impl Engine {
    /// A message of a person, and with it all before it. May be said several times.
    pub(super) fn mark_read(&self, lane: &Lane, item: &Item, wamid: &str) {
        let parent = item.trace.map(|trace| trace.context(item.id));
        let mark = Mark { channel: lane.channel.clone(), wamid: Arc::from(wamid), parent };
        if self.read_marks.try_send(mark).is_err() {
            self.metrics.flow.read_marks.with_label_values(&["left_out"]).inc();
        }
    }
}

/// What was marked of late: work that is looked at again is not marked again.
#[derive(Debug, Default)]
struct Marked {
    order: VecDeque<Arc<str>>,
    known: HashSet<Arc<str>>,
}

impl Marked {
    fn is_new(&mut self, wamid: &Arc<str>) -> bool {
        if !self.known.insert(wamid.clone()) {
            return false;
        }
        self.order.push_back(wamid.clone());
        if self.order.len() > WAITING
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Runs until the process stops.
pub(super) async fn run(engine: Arc<Engine>, mut marks: mpsc::Receiver<Mark>) {
    let room = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut windows: HashMap<Arc<str>, SlidingWindow> = HashMap::new();
    let mut marked = Marked::default();
    loop {
        let mark = tokio::select! {
            biased;
            () = engine.shutdown.stopped() => return,
            mark = marks.recv() => mark,
        };
        let Some(mark) = mark else { return };
        if !marked.is_new(&mark.wamid) {
            continue;
        }
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let table = engine.table.load();
        let Some(channel) = table.channel(&mark.channel).cloned() else { continue };
        if engine.channel_pause(&channel).is_some() {
            engine.metrics.flow.read_marks.with_label_values(&["left_out"]).inc();
            continue;
        }
        // As many a second as the number may send, beside what it sends.
        windows.retain(|name, _| table.channel(name).is_some());
        let window = windows.entry(mark.channel.clone()).or_insert_with(|| SlidingWindow::new(0));
        window.set_limit(channel.limits.throughput);
        while !window.has_room(Instant::now()) {
            let at =
                window.free_at(Instant::now()).unwrap_or_else(|| Instant::now() + Duration::from_secs(1));
            tokio::time::sleep_until(at.into()).await;
        }
        window.record(Instant::now(), 1, Instant::now());
        let engine = engine.clone();
        tokio::spawn(async move {
            let (started, span) = (Instant::now(), engine.spans.begin_under(mark.parent));
            let result = engine.graph.mark_read(&channel.number, &mark.wamid).await;
            engine.metrics.calls.called_graph(engine.graph_callee.host(), &result, started.elapsed());
            engine.spans.called_graph(span, 0, &engine.graph_callee, &result);
            let outcome = match result {
                Ok(()) => "done",
                Err(error) => {
                    tracing::debug!(channel = &*channel.name, %error, "a message can't be shown as read");
                    "failed"
                }
            };
            engine.metrics.flow.read_marks.with_label_values(&[outcome]).inc();
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_marked_once_and_forgotten_after_many_others() {
        let mut marked = Marked::default();
        let first = Arc::from("wamid.first");
        assert!(marked.is_new(&first) && !marked.is_new(&first));
        for number in 0..=WAITING {
            assert!(marked.is_new(&Arc::from(format!("wamid.{number}"))));
        }
        assert!(marked.is_new(&first));
        assert!(marked.order.len() == marked.known.len() && marked.order.len() <= WAITING);
    }
}
