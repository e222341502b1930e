//! Asks the limits before every send, and tells them what came of it.

pub(super) mod admission;
mod channel;
mod gate;
mod keeper;
mod pairs;
mod permit;
mod quality;
mod verdict;
mod view;

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub use self::view::{BreakerView, ChannelLimits, KindUse, StoppedView};
use self::{
    channel::ChannelPace,
    pairs::Pairs,
    permit::{Effects, StopNews},
};
pub(super) use self::{keeper::run, permit::Permit};
use super::breaker::Change;
use crate::{
    clock::millis,
    metrics::PaceMetrics,
    routing::{Channel, Table},
    store::{ChannelNews, Delivery, Micros, now as wall_clock},
};
use tokio::sync::{Notify, mpsc};
use whatsapp::client::SendError;

const KIND: &str = "channel";

/// The limits of all channels.
#[derive(Debug)]
pub(super) struct Pace {
    channels: RwLock<HashMap<Arc<str>, Arc<ChannelPace>>>,
    pairs: Pairs,
    /// Some channel may be closed: else nobody needs to look.
    troubled: AtomicBool,
    /// Others share the database, and with it the limits.
    is_shared: bool,
    hungry: Arc<Notify>,
    news: mpsc::UnboundedSender<News>,
    metrics: PaceMetrics,
}

/// What the other routers have to know.
pub(super) type News = (Arc<str>, ChannelNews);

impl Pace {
    pub(super) fn new(
        table: &Table,
        is_shared: bool,
        metrics: PaceMetrics,
    ) -> (Self, mpsc::UnboundedReceiver<News>) {
        let (news, receiver) = mpsc::unbounded_channel();
        let pace = Self {
            channels: RwLock::default(),
            pairs: Pairs::default(),
            troubled: AtomicBool::new(false),
            is_shared,
            hungry: Arc::default(),
            news,
            metrics,
        };
        let _ = pace.follow(table);
        (pace, receiver)
    }

    /// Channels that are new begin, those that are gone end, and what the others may do is what they are configured
    /// to. Answers those that may be mended.
    pub(super) fn follow(&self, table: &Table) -> Vec<Arc<str>> {
        let is_there = |pace: &ChannelPace| {
            let channel = table.channel(&pace.name);
            channel.is_some_and(|channel| channel.number.phone_number_id() == pace.phone_number_id)
        };
        let mut gone = Vec::new();
        let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|name, pace| {
            let stays = is_there(pace);
            if !stays {
                gone.push(name.clone());
            }
            stays
        });
        drop(channels);
        for name in gone {
            self.metrics.forget_channel(&name);
        }
        let mended = table.channels().filter(|channel| self.channel(channel).configure(channel));
        mended.map(|channel| channel.name.clone()).collect()
    }

    fn channel(&self, channel: &Channel) -> Arc<ChannelPace> {
        let known = self.known(&channel.name);
        known.unwrap_or_else(|| {
            let mut channels = self.channels.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(ChannelPace::new(channel, self.is_shared, self.hungry.clone()));
            self.metrics.stopped.with_label_values(&[&channel.name]).set(0);
            let pace = channels.entry(channel.name.clone()).or_insert_with(new).clone();
            self.metrics.breaker_is(KIND, &channel.name, pace.lock().breaker.state());
            pace
        })
    }

    fn known(&self, channel: &str) -> Option<Arc<ChannelPace>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).get(channel).cloned()
    }

    fn all(&self) -> Vec<Arc<ChannelPace>> {
        self.channels.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// When one of the channels may send again, if none may now; in the past when a probe is due.
    pub(super) fn all_closed_until(&self) -> Option<Instant> {
        if !self.troubled.load(Ordering::Relaxed) {
            return None;
        }
        // Before the look, so that what closes meanwhile is not forgotten.
        self.troubled.store(false, Ordering::SeqCst);
        let now = Instant::now();
        let (mut earliest, mut all) = (None::<Instant>, true);
        for channel in self.channels.read().unwrap_or_else(PoisonError::into_inner).values() {
            match channel.lock().trouble_until(now) {
                Some(until) => earliest = Some(earliest.map_or(until, |other| other.min(until))),
                None => all = false,
            }
        }
        if earliest.is_some() {
            self.troubled.store(true, Ordering::SeqCst);
        }
        earliest.filter(|_| all)
    }

    /// Counts what came in, and learns what Meta said of numbers.
    pub(super) fn received(&self, delivery: &Delivery) {
        for of_one in delivery.messages.chunk_by(|one, next| one.channel == next.channel) {
            let Some(channel) = of_one.first().and_then(|message| self.known(&message.channel)) else {
                continue;
            };
            if channel.received(u32::try_from(of_one.len()).unwrap_or(u32::MAX)) {
                self.learn_number(&channel, &delivery.body);
            }
        }
        for event in delivery.events.iter().filter(|event| event.field == quality::FIELD) {
            if let Some(announced) = quality::read(&event.raw) {
                self.announce(&announced);
            }
        }
    }

    /// Changes of the account name a phone number, never its id.
    fn learn_number(&self, channel: &ChannelPace, body: &[u8]) {
        let Ok(webhook) = whatsapp::webhook::parse(body) else { return };
        let ours = |id: &Option<std::borrow::Cow<'_, str>>| id.as_deref() == Some(&channel.phone_number_id);
        let item = webhook.items.iter().find(|item| ours(&item.phone_number_id));
        let number =
            item.and_then(|item| item.display_phone_number.as_deref()).filter(|text| !text.is_empty());
        channel.lock().display_number = number.map(Arc::from);
    }

    fn announce(&self, announced: &quality::Announced) {
        for channel in self.all() {
            let mut state = channel.lock();
            let is_it =
                state.display_number.as_deref().is_some_and(|own| quality::digits(own) == announced.number);
            if !is_it || state.announced == Some(announced.throughput) {
                continue;
            }
            state.announced = Some(announced.throughput);
            state.news += 1;
            drop(state);
            tracing::info!(
                channel = &*channel.name,
                messages_per_second = announced.throughput,
                "Meta has raised what this number may send"
            );
            channel.wake();
            self.tell(&channel, ChannelNews::Throughput(announced.throughput));
        }
    }

    fn tell(&self, channel: &ChannelPace, news: ChannelNews) {
        // Nobody reads any more when the process ends.
        let _ = self.news.send((channel.name.clone(), news));
    }

    /// Logs and passes on what an answer changed, with the error that it was; true when lanes that wait can go on.
    fn report(&self, channel: &ChannelPace, effects: Effects, last: Option<&SendError>) -> bool {
        let name = &*channel.name;
        let Effects { breaker, opened, stopped, held, slowed } = effects;
        if stopped.is_some()
            || held.is_some()
            || matches!(breaker, Some(Change::Opened { .. } | Change::Reopened { .. }))
        {
            self.troubled.store(true, Ordering::SeqCst);
        }
        if let Some(change) = breaker {
            self.metrics.breaker_turned(KIND, name, channel.lock().breaker.state());
            match change {
                Change::Opened { wait } => tracing::error!(
                    channel = name,
                    reason = last.map(SendError::reason),
                    error = last.map(tracing::field::display),
                    probe_in_ms = millis(wait),
                    "the Graph API fails again and again: nothing is sent until a single send succeeds; messages wait in their order"
                ),
                Change::Reopened { .. } => {}
                Change::Closed { after } => {
                    tracing::info!(channel = name, after_ms = millis(after), "the Graph API answers again");
                }
            }
        }
        if opened {
            self.metrics.stopped.with_label_values(&[name]).set(0);
            tracing::info!(channel = name, "the channel sends again");
            self.tell(channel, ChannelNews::Sends);
        }
        if let Some(StopNews { is_new, wait, reason, error }) = stopped {
            if is_new {
                self.metrics.stopped.with_label_values(&[name]).set(1);
                tracing::error!(
                    channel = name, reason, error = %error, probe_in_ms = millis(wait),
                    "Meta refuses all sends of this channel; its queue is kept and tried again until it is mended"
                );
            }
            let probe_at = wall_clock().saturating_add(micros(wait));
            self.tell(channel, ChannelNews::Stopped { probe_at, reason: reason.to_owned(), error });
        }
        if let Some(pause) = held {
            tracing::warn!(
                channel = name,
                wait_ms = millis(pause),
                "Meta limits this channel, its sends wait"
            );
        }
        if let Some(slowed) = slowed {
            tracing::warn!(
                channel = name,
                seconds = slowed.as_secs(),
                "Meta says that sends are too many: the channel goes at half the rate for a while"
            );
            self.tell(channel, ChannelNews::Slowed { until: wall_clock().saturating_add(micros(slowed)) });
        }
        opened || matches!(breaker, Some(Change::Closed { .. }))
    }
}

/// A moment of the clock that only goes forward, by the clock on the wall.
pub(super) fn wall(at: Instant, now: Instant) -> Micros {
    let wall = wall_clock();
    match at.checked_duration_since(now) {
        Some(ahead) => wall.saturating_add(micros(ahead)),
        None => wall.saturating_sub(micros(now - at)),
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

#[cfg(test)]
#[path = "pace_tests.rs"]
mod tests;
