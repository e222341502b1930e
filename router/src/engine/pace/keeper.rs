//! Keeps the channels' limits in step with the store: tells what was learned here, learns what others were told, and
//! asks for shares. One task, so that news are written in the order in which they came up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::MissedTickBehavior};

use super::{
    News,
    channel::{ChannelPace, State, index},
    wall_clock,
};
use crate::{
    engine::Engine,
    store::{ChannelState, Micros, PaceAsk, PaceKind, SHARES_HOLD, StoreError},
};

const INTERVAL: Duration = Duration::from_secs(1);
/// Between two asks for shares, however much is wanted.
const LEAST_INTERVAL: Duration = Duration::from_millis(200);
/// A router that learned of a stop from another one probes so much later at least.
const OTHERS_PROBE_FIRST: Duration = Duration::from_secs(3);

/// Runs until the process stops.
pub(in crate::engine) async fn run(engine: Arc<Engine>, mut news: mpsc::UnboundedReceiver<News>) {
    let shared_for = engine.store.lease_time().map(|lease| lease.min(SHARES_HOLD));
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_at = None::<Instant>;
    let mut has_read = false;
    loop {
        let next_ask = asked_at.map_or_else(Instant::now, |at| at + LEAST_INTERVAL);
        let wanted = async {
            engine.pace.hungry.notified().await;
            tokio::time::sleep_until(next_ask.into()).await;
        };
        tokio::select! {
            biased;
            () = engine.shutdown.stopped() => {
                if shared_for.is_some() {
                    give_back(&engine).await;
                }
                return;
            }
            Some((channel, news)) = news.recv() => {
                if let Err(error) = engine.store.note_channel(&channel, news).await {
                    tracing::warn!(channel = &*channel, %error, "the state of a channel can't be kept");
                }
                continue;
            }
            _ = ticks.tick() => {
                // What nobody else writes need not be read twice.
                if !has_read || shared_for.is_some() {
                    has_read = learn(&engine, !has_read).await.is_ok();
                }
            }
            () = wanted, if shared_for.is_some() => {}
        }
        if let Some(holds) = shared_for {
            asked_at = Some(Instant::now());
            share(&engine, holds).await;
        }
    }
}

/// Others, and this router's next run, need not wait until the shares end by themselves.
async fn give_back(engine: &Engine) {
    let nothing = |channel: &Arc<ChannelPace>, kind| PaceAsk {
        channel: channel.name.clone(),
        kind,
        limit: 0,
        demand: 0,
    };
    let channels = engine.pace.all();
    let asks = channels.iter().flat_map(|channel| PaceKind::ALL.map(|kind| nothing(channel, kind))).collect();
    if let Err(error) = engine.store.share_pace(asks).await {
        tracing::debug!(%error, "shares of the limits can't be given back; they end by themselves");
    }
}

async fn share(engine: &Engine, holds: Duration) {
    let channels = engine.pace.all();
    let asks: Vec<PaceAsk> =
        channels.iter().flat_map(|channel| PaceKind::ALL.map(|kind| ask(channel, kind))).collect();
    let asked_at = Instant::now();
    let granted = match engine.store.share_pace(asks).await {
        Ok(granted) => granted,
        Err(error) => {
            tracing::debug!(%error, "shares of the limits can't be asked for; the last ones hold for a while");
            return;
        }
    };
    let now = Instant::now();
    for (channel, granted) in channels.iter().zip(granted.chunks(PaceKind::ALL.len())) {
        let mut state = channel.lock();
        let Some(shares) = state.shares.as_mut() else { continue };
        for (kind, granted) in PaceKind::ALL.into_iter().zip(granted) {
            shares[index(kind)].grant(*granted, asked_at, now, holds);
        }
        drop(state);
        channel.wake();
    }
}

fn ask(channel: &ChannelPace, kind: PaceKind) -> PaceAsk {
    let state = channel.lock();
    let slowed = state.slowed_until.is_some_and(|until| until > Instant::now());
    let limit = state.limits.of(kind, state.announced, slowed);
    drop(state);
    PaceAsk { channel: channel.name.clone(), kind, limit, demand: channel.take_demand(kind) }
}

/// Takes over what the store knows. What was learned here while it was asked is newer, and stays.
async fn learn(engine: &Arc<Engine>, at_start: bool) -> Result<(), StoreError> {
    let before: Vec<_> = engine
        .pace
        .all()
        .into_iter()
        .map(|channel| {
            let news = channel.lock().news;
            (news, channel)
        })
        .collect();
    let states = engine.store.channel_states().await?;
    for (news, channel) in before {
        let known = states.iter().find(|state| state.channel == channel.name);
        let mut state = channel.lock();
        if state.news != news {
            continue;
        }
        let was_stopped = state.gate.stopped().is_some();
        let moment = Moment { at_start, wall: wall_clock(), now: Instant::now(), jitter: rand::random() };
        take_over(&mut state, known, moment);
        let stopped = state.gate.stopped().map(|stop| (stop.reason.clone(), stop.error.clone()));
        drop(state);
        let is_stopped = stopped.is_some();
        if is_stopped == was_stopped {
            continue;
        }
        engine.pace.metrics.stopped.with_label_values(&[&*channel.name]).set(i64::from(is_stopped));
        if let Some((reason, error)) = stopped {
            engine.pace.troubled.store(true, std::sync::atomic::Ordering::SeqCst);
            tracing::error!(
                channel = &*channel.name,
                reason,
                error,
                at_start,
                "Meta refuses all sends of this channel, as another run found"
            );
        } else {
            tracing::info!(channel = &*channel.name, "the channel sends again, as another router found");
            engine.outbox.bell.notify_one();
        }
        channel.wake();
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Moment {
    /// This process has not sent anything yet.
    at_start: bool,
    wall: Micros,
    now: Instant,
    /// In `0.0..1.0`.
    jitter: f64,
}

fn take_over(state: &mut State, known: Option<&ChannelState>, moment: Moment) {
    let Moment { at_start, wall, now, jitter } = moment;
    let instant = |at: Micros| now + Duration::from_micros((at - wall).max(0).unsigned_abs());
    let known = known.cloned().unwrap_or_default();
    state.announced = known.throughput.or(state.announced);
    if let Some(until) = known.slowed_until.filter(|until| *until > wall) {
        state.slowed_until = state.slowed_until.max(Some(instant(until)));
    }
    let Some(stopped) = known.stopped else {
        state.gate.open();
        return;
    };
    let ours = state.gate.stopped().map(|stop| stop.probe_at);
    let probe_at = if at_start {
        // Whoever starts it again may well have mended it.
        now
    } else {
        // Whoever wrote it probes first, and what comes of that is known here before.
        instant(stopped.probe_at) + OTHERS_PROBE_FIRST + OTHERS_PROBE_FIRST.mul_f64(jitter)
    };
    // What was written here comes back as it was.
    let is_news = ours.is_none_or(|ours| probe_at > ours + OTHERS_PROBE_FIRST * 3);
    if is_news && !state.gate.is_probing() {
        state.gate.stop(stopped.since, probe_at, &stopped.reason, &stopped.error);
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
