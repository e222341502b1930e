//! What an operator sees of the limits: a picture of one moment.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    KIND,
    channel::{ChannelPace, index},
    wall,
};
use crate::{
    engine::breaker::{Breaker, BreakerState},
    pacing::{Pair, WINDOW},
    store::{Micros, PaceKind},
};

/// The limits of one channel, as this router sees them.
#[derive(Debug, Clone)]
pub struct ChannelLimits {
    pub channel: Arc<str>,
    pub phone_number_id: String,
    /// As Meta writes it in webhooks; `None` until one came.
    pub display_phone_number: Option<Arc<str>>,
    pub kinds: Vec<KindUse>,
    pub pair: Pair,
    /// Half of the throughput until then, because Graph said that sends were too many.
    pub slowed_until: Option<Micros>,
    /// Nothing is sent until then, because Graph asked for a pause.
    pub held_until: Option<Micros>,
    pub stopped: Option<StoppedView>,
    pub breaker: BreakerView,
}

/// One limit by the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindUse {
    pub kind: PaceKind,
    /// Of the number, over all routers.
    pub limit: u32,
    pub window: Duration,
    /// By this router in the window until now.
    pub used: u32,
    /// Of this router's share.
    pub remaining: u32,
    /// What of the limit is this router's.
    pub share: u32,
    /// Messages that wait for room here; those that wait in the queue are not among them.
    pub waiting: usize,
}

/// Graph refuses everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedView {
    pub since: Micros,
    pub probe_at: Micros,
    /// A bounded label.
    pub reason: String,
    pub error: String,
}

/// The state of one circuit breaker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerView {
    /// `backend` or `channel`.
    pub kind: &'static str,
    /// Of the backend or the channel.
    pub name: Arc<str>,
    pub state: BreakerState,
    /// Since when it is not closed.
    pub since: Option<Micros>,
    /// When the next call may find out.
    pub probe_at: Option<Micros>,
}

impl BreakerView {
    pub(in crate::engine) fn of(kind: &'static str, name: &Arc<str>, breaker: &Breaker) -> Self {
        let now = Instant::now();
        Self {
            kind,
            name: name.clone(),
            state: breaker.state(),
            since: breaker.open_since().map(|at| wall(at, now)),
            probe_at: breaker.closed_until(now).map(|at| wall(at, now)),
        }
    }
}

impl ChannelPace {
    pub(super) fn view(&self) -> ChannelLimits {
        let now = Instant::now();
        let mut state = self.lock();
        self.refresh(&mut state, now);
        let slowed_until = state.slowed_until.filter(|until| *until > now);
        let kinds = PaceKind::ALL.map(|kind| {
            let limit = state.limits.of(kind, state.announced, slowed_until.is_some());
            let window = &mut state.windows[index(kind)];
            KindUse {
                kind,
                limit,
                window: WINDOW,
                used: window.used(now),
                remaining: window.remaining(now),
                share: window.limit(),
                waiting: self.waiting(kind),
            }
        });
        ChannelLimits {
            channel: self.name.clone(),
            phone_number_id: self.phone_number_id.clone(),
            display_phone_number: state.display_number.clone(),
            kinds: kinds.into(),
            pair: state.limits.pair,
            slowed_until: slowed_until.map(|until| wall(until, now)),
            held_until: state.gate.held_until(now).map(|until| wall(until, now)),
            stopped: state.gate.stopped().map(|stop| StoppedView {
                since: stop.since,
                probe_at: wall(stop.probe_at, now),
                reason: stop.reason.clone(),
                error: stop.error.clone(),
            }),
            breaker: BreakerView::of(KIND, &self.name, &state.breaker),
        }
    }
}
