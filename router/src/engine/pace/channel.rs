//! One channel's limits, gate and breaker under one lock, and the line of those who wait for room.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;
use whatsapp::client::{Number, SendError, Sent};

use super::{
    gate::Gate,
    permit::{Effects, Permit, StopNews},
    verdict::{Verdict, judge},
};
use crate::{
    engine::breaker::Breaker,
    pacing::{Fastest, Limits, Line, Share, SlidingWindow},
    routing::Channel,
    store::{PaceKind, now as wall_clock},
};

/// How long sends go at half the rate after Graph said that they were too many.
const SLOWED: Duration = Duration::from_secs(60);
/// A net under the notifications: nothing depends on it.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Who is turned away from a channel that is closed comes back at this rate once it may be open.
const COMING_BACK: u32 = 500;

/// See the module.
#[derive(Debug)]
pub(in crate::engine) struct ChannelPace {
    pub(super) name: Arc<str>,
    pub(super) phone_number_id: String,
    state: Mutex<State>,
    /// By kind: turns at the window, in order of arrival.
    lines: [Waiting; PaceKind::ALL.len()],
    /// Rung when room may have come sooner than the clock says.
    changed: Notify,
    /// Rung when this router's share is what it waits for.
    hungry: Arc<Notify>,
    /// Asked for and not yet looked at.
    demand: [AtomicU32; PaceKind::ALL.len()],
}

#[derive(Debug, Default)]
struct Waiting {
    turn: tokio::sync::Mutex<()>,
    count: AtomicUsize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    /// What sends are made as from now on.
    number: Number,
    pub(super) windows: [SlidingWindow; PaceKind::ALL.len()],
    /// `None` where nobody shares the limits.
    pub(super) shares: Option<[Share; PaceKind::ALL.len()]>,
    pub(super) announced: Option<u32>,
    pub(super) slowed_until: Option<Instant>,
    pub(super) gate: Gate,
    pub(super) breaker: Breaker,
    pub(super) display_number: Option<Arc<str>>,
    /// Counts changes of what other routers have to know.
    pub(super) news: u64,
    asked: [SlidingWindow; PaceKind::ALL.len()],
    fastest: Fastest,
    crowd: Line,
    closed_crowd: Line,
}

/// Why nothing is sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Refused {
    /// The channel is stopped, pauses, or its breaker is open: nothing goes through before `until`.
    Closed { until: Instant },
    /// Too many wait already.
    Crowded { wait: Duration },
    /// The process ends.
    Stopping,
}

enum Entered {
    Go(Permit),
    Closed { until: Instant },
    Full { kind: PaceKind, at: Instant },
}

impl ChannelPace {
    pub(super) fn new(channel: &Channel, is_shared: bool, hungry: Arc<Notify>) -> Self {
        let now = Instant::now();
        let limits = channel.limits;
        Self {
            name: channel.name.clone(),
            phone_number_id: channel.number.phone_number_id().to_owned(),
            state: Mutex::new(State {
                limits,
                number: channel.number.clone(),
                windows: PaceKind::ALL.map(|kind| SlidingWindow::new(limits.of(kind, None, false))),
                shares: is_shared.then(Default::default),
                announced: None,
                slowed_until: None,
                gate: Gate::default(),
                breaker: Breaker::default(),
                display_number: None,
                news: 0,
                asked: PaceKind::ALL.map(|_| SlidingWindow::new(u32::MAX)),
                fastest: Fastest::new(now),
                crowd: Line::default(),
                closed_crowd: Line::default(),
            }),
            lines: Default::default(),
            changed: Notify::new(),
            hungry,
            demand: Default::default(),
        }
    }

    /// From now on it is configured so; what was counted stays. True when another credential may have mended what had
    /// stopped it: the next send finds out.
    pub(super) fn configure(&self, channel: &Channel) -> bool {
        let mut state = self.lock();
        state.limits = channel.limits;
        let is_other = state.number != channel.number;
        if is_other {
            state.number = channel.number.clone();
        }
        let rechecks = is_other && state.gate.recheck(Instant::now());
        drop(state);
        self.wake();
        rechecks
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, behind at most `most` others; `waited` is told what for. The channel's state is asked again
    /// with every turn, so that nobody waits for a channel that has closed meanwhile.
    pub(super) async fn admit(
        self: &Arc<Self>,
        kind: PaceKind,
        most: usize,
        stopping: impl Future<Output = ()>,
        waited: impl FnOnce(PaceKind),
    ) -> Result<Permit, Refused> {
        self.count_demand(PaceKind::Throughput, 1);
        self.count_demand(kind, 1);
        let line = &self.lines[index(kind)];
        let full = if line.count.load(Ordering::Relaxed) == 0 {
            match self.enter(kind) {
                Entered::Go(permit) => return Ok(permit),
                Entered::Closed { until } => return Err(Refused::Closed { until }),
                Entered::Full { kind, .. } => kind,
            }
        } else {
            kind
        };
        if line.count.fetch_add(1, Ordering::Relaxed) >= most {
            line.count.fetch_sub(1, Ordering::Relaxed);
            let mut state = self.lock();
            let rate = state.windows[index(full)].limit();
            return Err(Refused::Crowded { wait: state.crowd.join(Instant::now(), most, rate) });
        }
        let _counted = Counted(&line.count);
        waited(full);
        let in_turn = async {
            let _turn = line.turn.lock().await;
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                match self.enter(kind) {
                    Entered::Go(permit) => return Ok(permit),
                    Entered::Closed { until } => return Err(Refused::Closed { until }),
                    Entered::Full { at, .. } => tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(at.into()) => {}
                    },
                }
            }
        };
        tokio::select! {
            biased;
            () = stopping => Err(Refused::Stopping),
            permit = in_turn => permit,
        }
    }

    fn enter(self: &Arc<Self>, kind: PaceKind) -> Entered {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(until) = state.closed_until(now) {
            return Entered::Closed { until };
        }
        let grows_at = self.refresh(&mut state, now);
        for kind in [PaceKind::Throughput, kind] {
            let window = &mut state.windows[index(kind)];
            if !window.has_room(now) {
                let at = window.free_at(now).into_iter().chain(grows_at).min();
                return Entered::Full { kind, at: at.unwrap_or(now + LOOK_AGAIN).min(now + LOOK_AGAIN) };
            }
        }
        let ticket = match state.breaker.enter(now) {
            Ok(ticket) => ticket,
            Err(until) => return Entered::Closed { until },
        };
        let is_probe = state.gate.enter();
        for kind in [PaceKind::Throughput, kind] {
            state.windows[index(kind)].begin();
        }
        Entered::Go(Permit { channel: self.clone(), kind, started: now, ticket, is_probe, answered: false })
    }

    /// Brings the windows' limits up to date; says when a share grows by itself.
    pub(super) fn refresh(&self, state: &mut State, now: Instant) -> Option<Instant> {
        let slowed = state.slowed_until.is_some_and(|until| until > now);
        let mut grows_at = None;
        let mut is_short = false;
        for kind in PaceKind::ALL {
            let whole = state.limits.of(kind, state.announced, slowed);
            let share = state.shares.as_ref().map(|shares| &shares[index(kind)]);
            let limit = share.map_or(whole, |share| share.get(now).min(whole));
            let window = &mut state.windows[index(kind)];
            window.set_limit(limit);
            is_short |= limit < whole && !window.has_room(now);
            grows_at = grows_at.into_iter().chain(share.and_then(Share::grows_at)).min();
        }
        if is_short {
            self.hungry.notify_one();
        }
        grows_at.filter(|at| *at > now)
    }

    /// Messages that came in: they use the throughput up and never wait. True when the number itself is not known.
    pub(super) fn received(&self, count: u32) -> bool {
        self.count_demand(PaceKind::Throughput, count);
        let now = Instant::now();
        let mut state = self.lock();
        state.windows[index(PaceKind::Throughput)].record(now, count, now);
        state.display_number.is_none()
    }

    /// Until when a lane that can't be sent should rest, so that not all come back at once.
    pub(super) fn come_back_at(&self, until: Instant) -> Instant {
        let now = Instant::now();
        let later = self.lock().closed_crowd.join(now, 0, COMING_BACK);
        until.max(now) + later
    }

    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.lock().closed_until(now)
    }

    /// Lets everybody who waits look again.
    pub(super) fn wake(&self) {
        if self.lines.iter().any(|line| line.count.load(Ordering::Relaxed) > 0) {
            self.changed.notify_waiters();
        }
    }

    pub(super) fn waiting(&self, kind: PaceKind) -> usize {
        match kind {
            PaceKind::Throughput => self.lines.iter().map(|line| line.count.load(Ordering::Relaxed)).sum(),
            _ => self.lines[index(kind)].count.load(Ordering::Relaxed),
        }
    }

    fn count_demand(&self, kind: PaceKind, count: u32) {
        self.demand[index(kind)].fetch_add(count, Ordering::Relaxed);
    }

    /// What this router would send in a second: what was asked for in the last one, and what still waits.
    pub(super) fn take_demand(&self, kind: PaceKind) -> u32 {
        let now = Instant::now();
        let asked = self.demand[index(kind)].swap(0, Ordering::Relaxed);
        let mut state = self.lock();
        let lately = &mut state.asked[index(kind)];
        lately.record(now, asked, now);
        lately.used(now).saturating_add(u32::try_from(self.waiting(kind)).unwrap_or(u32::MAX))
    }

    pub(super) fn leave(
        &self,
        permit: &Permit,
        answer: Option<(&Number, &Result<Sent, SendError>)>,
    ) -> Effects {
        let now = Instant::now();
        let mut effects = Effects::default();
        let mut state = self.lock();
        let mut verdict = judge(answer.map(|(_, answer)| answer), state.limits.stopped_wait);
        if answer.is_some_and(|(number, _)| *number != state.number) {
            // What Meta said of a credential that is replaced says nothing of the new one.
            verdict.stop = None;
        }
        if verdict.was_answered {
            state.fastest.observe(now - permit.started, now);
        }
        let at = now.checked_sub(state.fastest.get()).map_or(permit.started, |at| at.max(permit.started));
        for kind in [PaceKind::Throughput, permit.kind] {
            let window = &mut state.windows[index(kind)];
            if verdict.was_written { window.end(at, now) } else { window.undo() }
        }
        effects.breaker = state.breaker.leave(permit.ticket, verdict.seen, now, rand::random());
        state.apply(&verdict, permit.is_probe, now, &mut effects);
        drop(state);
        self.wake();
        effects
    }
}

impl State {
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        let breaker = self.breaker.closed_until(now).filter(|until| *until > now);
        self.gate.closed_until(now).max(breaker)
    }

    /// The same, and in the past when a probe is due.
    pub(super) fn trouble_until(&self, now: Instant) -> Option<Instant> {
        self.gate.trouble_until(now).max(self.breaker.closed_until(now))
    }

    fn apply(&mut self, verdict: &Verdict, is_probe: bool, now: Instant, effects: &mut Effects) {
        // A send that began before the stop may succeed after it, and proves nothing.
        if verdict.sent && is_probe {
            effects.opened = self.gate.open().is_some();
        } else if let Some(stop) = &verdict.stop {
            // Where others probe too, one of them has to be the first, so that the others hear of it.
            let later = if self.shares.is_some() { rand::random::<f64>() * 0.1 } else { 0.0 };
            let (wait, error) = (stop.wait.mul_f64(1.0 + later), stop.error.clone());
            let is_new = self.gate.stop(wall_clock(), now + wait, stop.reason, &error);
            effects.stopped = Some(StopNews { is_new, wait, reason: stop.reason, error });
        } else if is_probe {
            self.gate.probe_ended(now);
        }
        if let Some(pause) = verdict.pause {
            effects.held = self.gate.hold(now + pause, now).then_some(pause);
        }
        if verdict.too_fast {
            // Refusals come in bunches: only the first of them is news.
            let is_news = self.slowed_until.is_none_or(|until| until < now + SLOWED / 2);
            self.slowed_until = Some(now + SLOWED);
            effects.slowed = is_news.then_some(SLOWED);
        }
        if effects.opened || effects.stopped.is_some() || effects.slowed.is_some() {
            self.news += 1;
        }
    }
}

struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn index(kind: PaceKind) -> usize {
    match kind {
        PaceKind::Throughput => 0,
        PaceKind::BusinessInitiated => 1,
        PaceKind::UserInitiated => 2,
    }
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
