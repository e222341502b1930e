//! Spans that have ended and wait to be sent, one behind the other as they will be: what it took to build one is freed by
//! the thread that took it, which is much cheaper than on another one, and nobody is woken for a span.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::{Span, encode, settings::Batching};

/// Between two looks at a batch that is not full yet.
const TICK: Duration = Duration::from_millis(50);
/// Emptied batches that are kept, so that their room need not be found again.
const SPARE: usize = 2;

/// Encoded spans that go together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Behind the room for what a request has in front of them.
    pub(super) list: Vec<u8>,
    pub(super) spans: usize,
}

/// In the order in which it came.
#[derive(Debug)]
pub(super) enum Next {
    Batch(Batch),
    /// Everything before it was taken out.
    Flush(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) struct Pending {
    state: Mutex<State>,
    /// Rings when there is something again, and when somebody waits for all of it.
    bell: Notify,
    batching: Batching,
    /// What is left free in front of each list.
    room: usize,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Next>,
    open: Batch,
    /// When the first span of the open batch came.
    since: Option<Instant>,
    /// Of all batches.
    spans: usize,
    closed: bool,
    spare: Vec<Vec<u8>>,
}

impl Pending {
    pub(super) fn new(batching: Batching, room: usize) -> Self {
        Self { state: Mutex::default(), bell: Notify::new(), batching, room }
    }

    /// False when too many wait: it is left out. Never waits for more than another span being copied.
    pub(super) fn add(&self, span: Span) -> bool {
        span.encoded(|fields| self.add_encoded(fields))
    }

    fn add_encoded(&self, fields: &[u8]) -> bool {
        let mut state = self.state();
        if state.spans >= self.batching.queue {
            return false;
        }
        let is_first = state.open.spans == 0;
        if is_first {
            state.since = Some(Instant::now());
            state.open.list = state.spare.pop().unwrap_or_default();
            state.open.list.resize(self.room, 0);
        }
        encode::span(&mut state.open.list, fields);
        state.open.spans += 1;
        state.spans += 1;
        if state.open.spans >= self.batching.batch {
            state.close_batch();
        }
        drop(state);
        if is_first {
            self.bell.notify_one();
        }
        true
    }

    /// Answered when all that is here now was sent or given up.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, flushed) = oneshot::channel();
        let mut state = self.state();
        state.close_batch();
        state.ready.push_back(Next::Flush(done));
        drop(state);
        self.bell.notify_one();
        flushed
    }

    /// No more will come.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.close_batch();
        state.closed = true;
        drop(state);
        self.bell.notify_one();
    }

    /// The memory of a batch that was sent, unless somebody still looks at it.
    pub(super) fn give_back(&self, request: Bytes) {
        let Ok(mut emptied) = request.try_into_mut() else { return };
        emptied.clear();
        let mut state = self.state();
        if state.spare.len() < SPARE {
            state.spare.push(emptied.into());
        }
    }

    /// Waits for a batch that is full or has waited long enough. None: it is closed, and there is nothing left.
    pub(super) async fn next(&self) -> Option<Next> {
        loop {
            let left = {
                let mut state = self.state();
                let waited = state.since.map(|since| since.elapsed());
                if waited.is_some_and(|waited| waited >= self.batching.delay) {
                    state.close_batch();
                }
                if let Some(next) = state.ready.pop_front() {
                    if let Next::Batch(batch) = &next {
                        state.spans -= batch.spans;
                    }
                    return Some(next);
                }
                if state.closed {
                    return None;
                }
                waited.map(|waited| self.batching.delay.saturating_sub(waited))
            };
            match left {
                Some(left) => tokio::time::sleep(left.min(TICK)).await,
                None => self.bell.notified().await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn close_batch(&mut self) {
        self.since = None;
        if self.open.spans > 0 {
            self.ready.push_back(Next::Batch(std::mem::take(&mut self.open)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{SystemTime, UNIX_EPOCH},
    };

    use super::*;
    use crate::telemetry::{Kind, SpanContext, SpanId, TraceId};

    fn span() -> Span {
        let context = SpanContext { trace: TraceId::random(), span: SpanId::random(), sampled: true };
        Span::new(context, Kind::Internal, ["x"], SystemTime::now()).until(UNIX_EPOCH)
    }

    fn pending(delay: Duration) -> Arc<Pending> {
        Arc::new(Pending::new(Batching { delay, queue: 5, batch: 2 }, 10))
    }

    async fn spans(pending: &Pending) -> usize {
        match pending.next().await {
            Some(Next::Batch(batch)) => {
                assert!(batch.list[..10] == [0; 10] && batch.list.len() > 10 + 40 * batch.spans);
                pending.give_back(Bytes::from(batch.list));
                batch.spans
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn full_batches_come_at_once_and_too_many_spans_are_refused() {
        let pending = pending(Duration::from_secs(600));
        let taken = (0..7).filter(|_| pending.add(span())).count();
        assert_eq!(taken, 5);
        assert_eq!((spans(&pending).await, spans(&pending).await), (2, 2));
        assert!(pending.add(span()), "there is room again");
        assert_eq!(spans(&pending).await, 2, "the fifth and the new one");
    }

    #[tokio::test]
    async fn a_batch_that_is_not_full_comes_after_its_delay() {
        let pending = pending(Duration::from_millis(30));
        let waiting = Arc::clone(&pending);
        let waiting = tokio::spawn(async move { spans(&waiting).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        pending.add(span());
        assert_eq!(waiting.await.unwrap(), 1);
        assert!(began.elapsed() >= Duration::from_millis(30));
    }

    #[tokio::test]
    async fn a_flush_comes_after_what_was_there_and_the_end_after_everything() {
        let pending = pending(Duration::from_secs(600));
        for _ in 0..3 {
            pending.add(span());
        }
        let flushed = pending.flush();
        pending.add(span());
        pending.close();
        assert_eq!((spans(&pending).await, spans(&pending).await), (2, 1));
        match pending.next().await {
            Some(Next::Flush(done)) => done.send(()).unwrap(),
            other => panic!("{other:?}"),
        }
        flushed.await.unwrap();
        assert_eq!(spans(&pending).await, 1);
        assert!(pending.next().await.is_none());
    }
}
