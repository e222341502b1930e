//! Lets a message through to Graph when the limits allow it, or says what becomes of it instead.

use std::time::{Duration, Instant};

use whatsapp::{
    client::{SendError, Sent},
    error::ErrorClass,
};

use super::{BreakerView, ChannelLimits, ChannelPace, Permit, channel::Refused};
use crate::{
    engine::{
        Engine,
        lane::Lane,
        step::{Step, age},
    },
    pacing::kind_of,
    routing::Channel,
    store::{Attempt, Item, Micros, Outcome, PaceKind, Queue, Refusal},
};

/// Why a reply waits that is not tried, because its channel can't send now.
pub(in crate::engine) const CHANNEL_WAITS: &str = "channel_waits";
/// Why a message waits whose backend is not called.
const BACKEND_UNAVAILABLE: &str = "backend_unavailable";
/// Why a message waits whose replies would find no room.
pub(in crate::engine) const OUTBOX_FULL: &str = "outbox_full";

/// A pair that has room so soon is waited for in place.
const SHORT_WAIT: Duration = Duration::from_secs(1);

impl Engine {
    /// Waits for room to send this item, or says what is to become of it instead.
    pub(in crate::engine) async fn admit(
        &self,
        lane: &Lane,
        channel: &Channel,
        item: &Item,
    ) -> Result<Permit, Step> {
        let pace = self.pace.channel(channel);
        if let Some(until) = pace.closed_until(Instant::now()) {
            return Err(self.cannot_send(item, &pace, until));
        }
        self.wait_for_pair(lane, channel, item).await?;
        let now = self.clock.now();
        let age =
            item.standing.last_inbound_at.map(|at| Duration::from_micros((now - at).max(0).unsigned_abs()));
        let kind = kind_of(age);
        let waited = |full: PaceKind| self.metrics.pace.waited(&channel.name, full.as_str());
        let asked_at = Instant::now();
        let admitted =
            pace.admit(kind, self.room_to_wait(channel, kind), self.shutdown.stopped(), waited).await;
        let permit = admitted.map_err(|refused| match refused {
            Refused::Stopping => Step::Release { because: None },
            Refused::Closed { until } => self.cannot_send(item, &pace, until),
            Refused::Crowded { wait } => {
                self.metrics.pace.waited(&channel.name, kind.as_str());
                Step::Defer { refusal: untouched("channel_busy"), wait }
            }
        })?;
        let took = asked_at.elapsed();
        if took > Duration::from_millis(1) {
            self.metrics.pace.wait_took(took);
        }
        Ok(permit)
    }

    async fn wait_for_pair(&self, lane: &Lane, channel: &Channel, item: &Item) -> Result<(), Step> {
        let free_at = self.pace.pairs.free_at(lane.lease.conversation, item.standing.pair_free_at);
        let Some(wait) = channel.limits.pair.wait(free_at, self.clock.now()) else { return Ok(()) };
        self.metrics.pace.waited(&channel.name, "pair");
        self.metrics.pace.wait_took(wait);
        if wait > SHORT_WAIT {
            return Err(Step::Defer { refusal: untouched("pair_waits"), wait });
        }
        tokio::select! {
            biased;
            () = self.shutdown.stopped() => Err(Step::Release { because: None }),
            () = tokio::time::sleep(wait) => Ok(()),
        }
    }

    /// Lanes that may hold on to their place in the pool while they wait: no channel takes it all from the others,
    /// and what business begins takes none from the replies.
    fn room_to_wait(&self, channel: &Channel, kind: PaceKind) -> usize {
        let channels = self.table.load().channels().count().max(1);
        let mut room = self.settings.delivery_concurrency as usize / channels;
        if channels > 1 {
            room = room.min(channel.limits.throughput as usize);
        }
        if kind == PaceKind::BusinessInitiated {
            room /= 2;
        }
        room.max(1)
    }

    /// What came of a send that was admitted.
    pub(in crate::engine) fn settle(
        &self,
        lane: &Lane,
        channel: &Channel,
        item: &Item,
        permit: Permit,
        answer: &Result<Sent, SendError>,
    ) {
        let may_be_out = match answer {
            Ok(_) => true,
            Err(error) => error.class() == ErrorClass::Ambiguous,
        };
        if may_be_out {
            let conversation = lane.lease.conversation;
            let before = self.pace.pairs.free_at(conversation, item.standing.pair_free_at);
            self.pace.pairs.sent(channel.limits.pair, conversation, before, self.clock.now());
        }
        let pace = permit.channel.clone();
        let effects = permit.answered(&channel.number, answer);
        if self.pace.report(&pace, effects, answer.as_ref().err()) {
            self.outbox.bell.notify_one();
            self.hurry(Queue::Outbox, &channel.name);
        }
    }

    /// What the store should keep of the pair of this lane.
    pub(in crate::engine) fn pair_free_at(&self, lane: &Lane) -> Option<Micros> {
        if lane.lease.queue == Queue::Inbox {
            return None;
        }
        let pair = self.table.load().channel(&lane.channel)?.limits.pair;
        self.pace.pairs.worth_keeping(pair, lane.lease.conversation, self.clock.now())
    }

    /// For an item that found out that its channel is stopped: not its own fault, so it waits with the others, as long
    /// as policy lets any message wait.
    pub(in crate::engine) fn stopped(&self, channel: &Channel, item: &Item, refusal: Refusal) -> Step {
        let pace = self.pace.channel(channel);
        let until = pace.closed_until(Instant::now()).unwrap_or_else(Instant::now);
        match self.cannot_send(item, &pace, until) {
            Step::Done(_) => Step::Done(Outcome::Dead(refusal)),
            step => step,
        }
    }

    /// Whether nothing keeps the lane's channel from sending, not even a probe that is due.
    pub(in crate::engine) fn sends_again(&self, lane: &Lane) -> bool {
        let table = self.table.load();
        let channel = table.channel(&lane.channel);
        channel
            .is_some_and(|channel| self.pace.channel(channel).lock().trouble_until(Instant::now()).is_none())
    }

    /// How long the channel pauses from now.
    pub(in crate::engine) fn channel_pause(&self, channel: &Channel) -> Option<Duration> {
        let now = Instant::now();
        self.pace.channel(channel).closed_until(now).map(|until| until - now)
    }

    fn cannot_send(&self, item: &Item, pace: &ChannelPace, until: Instant) -> Step {
        self.turned_away(item, Queue::Outbox, pace.come_back_at(until), self.settings.send_retry.max_age)
    }

    /// An item that can't even be tried before `until`: it keeps its place, unless it is too old to be tried at all.
    pub(in crate::engine) fn turned_away(
        &self,
        item: &Item,
        queue: Queue,
        until: Instant,
        max_age: Duration,
    ) -> Step {
        let (reason, error) = match queue {
            Queue::Inbox => (BACKEND_UNAVAILABLE, "its backend fails again and again and is not called now"),
            Queue::Outbox => (CHANNEL_WAITS, "its channel can't send now"),
        };
        let wait = until.saturating_duration_since(Instant::now());
        if age(item, self.clock.now()).saturating_add(wait) > max_age {
            let error = "it could not be tried before it was too old (max_age_reached)".to_owned();
            return Step::Done(Outcome::Dead(Refusal { error, ..untouched(reason) }));
        }
        let refusal = Refusal { error: error.to_owned(), ..untouched(reason) };
        // With the whole queue held back it stays where it is, and goes on the moment that the hold ends.
        if self.held_until(queue).is_some() {
            Step::Release { because: Some(refusal) }
        } else {
            Step::Defer { refusal, wait }
        }
    }

    /// Until when no lane of this queue can go on; in the past when one of them should find out.
    pub(in crate::engine) fn held_until(&self, queue: Queue) -> Option<Instant> {
        match queue {
            Queue::Inbox if self.settings.bounds.outbox_is_full(self.store.depth()) => {
                // Looked at again then: it is not known when there is room.
                Some(Instant::now() + Duration::from_secs(1))
            }
            Queue::Inbox => self.breakers.all_closed_until(),
            Queue::Outbox => self.pace.all_closed_until(),
        }
    }

    /// New work should not be begun at once: it is stored, and waits with the rest.
    pub(in crate::engine) fn is_held(&self, queue: Queue) -> bool {
        self.held_until(queue).is_some_and(|until| until > Instant::now())
    }

    /// The same in a word.
    pub(in crate::engine) fn why_held(&self, queue: Queue) -> Option<&'static str> {
        if !self.is_held(queue) {
            return None;
        }
        Some(match queue {
            Queue::Inbox if self.settings.bounds.outbox_is_full(self.store.depth()) => OUTBOX_FULL,
            Queue::Inbox => BACKEND_UNAVAILABLE,
            Queue::Outbox => CHANNEL_WAITS,
        })
    }

    /// Something was changed that may have mended a stopped channel: the next send finds out.
    pub fn recheck(&self, channel: &str) {
        if self.pace.known(channel).is_some_and(|pace| pace.lock().gate.recheck(Instant::now())) {
            self.outbox.bell.notify_one();
        }
    }

    /// Every channel's limits at this moment, in the order of their names.
    pub fn limits_view(&self) -> Vec<ChannelLimits> {
        let mut views: Vec<_> = self.pace.all().iter().map(|channel| channel.view()).collect();
        views.sort_by(|a, b| a.channel.cmp(&b.channel));
        views
    }

    /// Every circuit breaker at this moment: of backends, then of channels.
    pub fn breakers_view(&self) -> Vec<BreakerView> {
        let mut views = self.breakers.views();
        views.extend(self.limits_view().into_iter().map(|channel| channel.breaker));
        views
    }
}

fn untouched(reason: &'static str) -> Refusal {
    Refusal { reason, error: reason.to_owned(), attempt: Attempt::None, uncertain: false, doubt: None }
}
