//! Works through the durable queues: inbox → backend → outbox → Graph, in order within a conversation, in parallel
//! across conversations.
//!
//! Whoever stores work is handed the lease on its conversation in the same commit, so the usual way of a message is
//! three group commits and no polling. The claimers only pick up what is left: deferred work, and what a restart
//! left behind.

mod ambiguity;
mod api_calls;
mod bounds;
mod breaker;
mod breakers;
mod claimer;
mod debounce;
mod delivery;
mod dispatch;
mod follow;
mod foreign;
mod lane;
mod leases;
mod pace;
mod pool;
mod read_marks;
mod receipts;
mod refusals;
mod spans;
mod step;
mod store_words;
mod streak;
mod upkeep;
mod waits;
mod watchdog;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use service::{
    health::CheckHandle,
    shutdown::Shutdown,
    telemetry::{Callee, Tracer},
};
use whatsapp::client::Client;

pub use self::{
    bounds::Bounds,
    breaker::BreakerState,
    foreign::ForeignView,
    pace::{BreakerView, ChannelLimits, KindUse, StoppedView},
    receipts::{ChannelHealth, Receiving},
    upkeep::Retention,
};
use self::{
    breakers::Breakers, foreign::ForeignNumbers, leases::LeaseBook, pace::Pace, pool::Pool,
    receipts::Receipts, spans::Spans, waits::ToldWaits,
};
use crate::{
    backend::BackendClient,
    clock::Clock,
    failpoints::{Failpoint, Failpoints},
    intake::{ForeignItems, Intake},
    metrics::RouterMetrics,
    pacing::Line,
    retry::RetryPolicy,
    routing::{Ambiguity, LiveTable},
    store::{Accepted, Claims, Delivery, Queue, Store, StoreError},
};

/// Between two looks at a store that refused a write.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// The way into an engine that runs.
#[derive(Debug, Clone)]
pub struct EngineIntake(pub Arc<Engine>);

#[async_trait]
impl Intake for EngineIntake {
    /// Stores a webhook and starts on it. Runs to its end even if the caller goes away: a commit whose lease
    /// nobody took up would leave the conversation waiting.
    async fn accept(&self, delivery: Delivery) -> Result<Accepted, StoreError> {
        let engine = self.0.clone();
        tokio::spawn(async move { engine.accept_now(delivery).await })
            .await
            .map_err(|_| StoreError::Closed)?
    }

    fn refused(&self, channels: &[Arc<str>]) {
        self.0.receipts.refused(channels, self.0.clock.now());
    }

    fn rests(&self) -> Option<&'static str> {
        self.0.why_held(Queue::Inbox)
    }

    fn foreign(&self, items: &ForeignItems) {
        self.0.foreign.seen(items, self.0.clock.now());
    }
}

/// How the engine works, whatever the routes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSettings {
    /// Conversations whose messages are with a backend at once, at most.
    pub dispatch_concurrency: u32,
    /// Conversations whose messages are being sent at once, at most.
    pub delivery_concurrency: u32,
    /// How sends are repeated.
    pub send_retry: RetryPolicy,
    /// How long to wait for a status that tells whether an ambiguous send went out.
    pub uncertain_wait: Duration,
    /// What is done with a send in doubt that no route speaks for.
    pub ambiguous: Ambiguity,
    pub bounds: Bounds,
    pub retention: Retention,
    /// A channel without a message for longer is called silent; `None`: no channel is.
    pub silent_after: Option<Duration>,
    /// A channel of which webhooks are refused for so long, and none is stored, does not receive.
    pub refused_after: Duration,
}

/// How long a send that a vanished process may have made rests, so that a status can tell.
pub fn rest_in_doubt(uncertain_wait: Duration, ambiguous: Ambiguity) -> Duration {
    ambiguity::wait(uncertain_wait, 0, ambiguous)
}

/// What the engine needs from outside.
#[derive(Debug)]
pub struct EngineParts {
    pub store: Arc<dyn Store>,
    pub table: LiveTable,
    pub backend: BackendClient,
    pub graph: Client,
    pub metrics: RouterMetrics,
    /// Told whether the store takes writes.
    pub store_check: CheckHandle,
    pub shutdown: Shutdown,
    pub settings: EngineSettings,
    pub clock: Clock,
    pub failpoints: Failpoints,
    pub tracer: Tracer,
}

#[derive(Debug)]
pub struct Engine {
    store: Arc<dyn Store>,
    table: LiveTable,
    backend: BackendClient,
    graph: Client,
    graph_callee: Callee,
    metrics: RouterMetrics,
    store_check: CheckHandle,
    shutdown: Shutdown,
    settings: EngineSettings,
    clock: Clock,
    failpoints: Failpoints,
    spans: Spans,
    inbox: Pool,
    outbox: Pool,
    pace: Pace,
    breakers: Breakers,
    read_marks: read_marks::Marks,
    hurries: follow::Hurries,
    /// Of work whose configuration is gone.
    unconfigured: Mutex<Line>,
    leases: LeaseBook,
    receipts: Receipts,
    told_waits: ToldWaits,
    foreign: ForeignNumbers,
}

impl Engine {
    /// Starts working on what the store already holds.
    pub fn start(parts: EngineParts) -> Arc<Self> {
        let EngineParts { store, table, backend, graph, metrics, store_check, shutdown, settings, .. } =
            parts;
        let (clock, failpoints) = (parts.clock, parts.failpoints);
        let spans = Spans::new(parts.tracer, store.system());
        let (pace, news) = Pace::new(&table.load(), store.lease_time().is_some(), metrics.pace.clone());
        let (read_marks, marks) = read_marks::channel();
        let (hurries, hurry) = tokio::sync::mpsc::unbounded_channel();
        let engine = Arc::new(Self {
            leases: LeaseBook::new(store.lease_time()),
            receipts: Receipts::default(),
            told_waits: ToldWaits::default(),
            foreign: ForeignNumbers::default(),
            inbox: Pool::new(Queue::Inbox, settings.dispatch_concurrency),
            outbox: Pool::new(Queue::Outbox, settings.delivery_concurrency),
            pace,
            breakers: Breakers::new(&table.load(), metrics.pace.clone()),
            unconfigured: Mutex::default(),
            read_marks,
            hurries,
            store,
            table,
            backend,
            graph_callee: Callee::below(graph.base_url(), spans::GRAPH_TEMPLATE),
            graph,
            metrics,
            store_check,
            shutdown,
            settings,
            clock,
            failpoints,
            spans,
        });
        tokio::spawn(claimer::run(engine.clone(), Queue::Inbox));
        tokio::spawn(claimer::run(engine.clone(), Queue::Outbox));
        tokio::spawn(pace::run(engine.clone(), news));
        tokio::spawn(follow::run(engine.clone(), hurry));
        tokio::spawn(read_marks::run(engine.clone(), marks));
        tokio::spawn(leases::keep(engine.clone()));
        tokio::spawn(leases::listen(engine.clone()));
        tokio::spawn(upkeep::run(engine.clone()));
        tokio::spawn(watchdog::run(engine.clone()));
        tokio::spawn(receipts::run(engine.clone()));
        tokio::spawn(engine.clone().watch_store());
        engine
    }

    async fn accept_now(self: &Arc<Self>, mut delivery: Delivery) -> Result<Accepted, StoreError> {
        if !delivery.messages.is_empty() && self.settings.bounds.inbox_is_full(self.store.depth()) {
            self.metrics.flow.refused_full.inc();
            return Err(StoreError::Full);
        }
        self.pace.received(&delivery);
        let rests = self.is_stopping() || self.is_held(Queue::Inbox);
        let mut slots = if rests { None } else { self.inbox.try_take(delivery.messages.len()) };
        let room = slots.as_ref().map_or(0, pool::Slots::count);
        self.failpoints.pass(Failpoint::AcceptBeforeCommit);
        let asked_at = Instant::now();
        let commit = self.spans.begin_under(delivery.trace);
        let messages = delivery.messages.len();
        let brought = receipts::Brought::by(&mut delivery);
        let accepted = self.store.accept(delivery, room).await;
        self.spans.committed(commit, "accept", Some(messages), accepted.is_err());
        let mut accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                self.store_failed(&error);
                return Err(error);
            }
        };
        self.failpoints.pass(Failpoint::AcceptAfterCommit);
        self.store_check.ok();
        self.receipts.stored(&brought, self.clock.now());
        for claim in accepted.claims.drain(..) {
            if let Some(slot) = slots.as_mut().and_then(pool::Slots::take_one) {
                self.start_lane_since(claim, slot, Some(asked_at));
            }
        }
        if accepted.left_work {
            self.inbox.bell.notify_one();
        }
        Ok(accepted)
    }

    /// After [`Shutdown::stop`]: waits until nothing is being worked on.
    pub async fn idle(&self) {
        self.inbox.idle().await;
        self.outbox.idle().await;
    }

    /// Readiness follows what the store says, so that webhooks go to a router that can keep them.
    fn store_failed(&self, error: &StoreError) {
        if let Some(why) = store_words::why(error) {
            // The words of the database are for the log; health is answered to everybody.
            self.store_check.failing_for(why, &error.to_string());
        }
    }

    /// A router that is not ready gets no webhooks, so somebody else has to notice that writes are taken again.
    async fn watch_store(self: Arc<Self>) {
        while !self.is_stopping() {
            tokio::time::sleep(PROBE_INTERVAL).await;
            if self.store_check.is_failing() && self.store.probe().await.is_ok() {
                self.store_check.ok();
                self.inbox.bell.notify_one();
                self.outbox.bell.notify_one();
            }
        }
    }

    fn is_stopping(&self) -> bool {
        self.shutdown.is_stopped()
    }

    fn pool(&self, queue: Queue) -> &Pool {
        match queue {
            Queue::Inbox => &self.inbox,
            Queue::Outbox => &self.outbox,
        }
    }

    async fn claim(&self, queue: Queue, limit: usize) -> Result<Claims, StoreError> {
        self.store.claim(queue, limit).await
    }
}
