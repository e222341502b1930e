//! What keeps messages from flowing, in words for whoever is woken up by it.

use super::monitoring::{HealthStatus, QueueHealth, ReasonItem};
use crate::{
    config::{
        compiled::{Compiled, Status},
        objects::{ConditionType, Reason},
        snapshot::Kind,
    },
    engine::{BreakerState, BreakerView, ChannelHealth},
    routing::Table,
    working,
};

/// What waits for longer means that something does not keep up, or does not work.
pub(super) const OLD_SECONDS: i64 = 60;

/// Everything that is asked.
#[derive(Debug, Default)]
pub(super) struct Known<'a> {
    /// Why the store takes nothing.
    pub store_fails: Option<String>,
    pub inbox: Option<&'a QueueHealth>,
    pub outbox: Option<&'a QueueHealth>,
    pub dead_letters: Option<i64>,
    pub breakers: &'a [BreakerView],
    pub channels: &'a [ChannelHealth],
    /// Routes whose messages wait, each with the reason.
    pub held: Vec<(String, String)>,
    /// Channels that no route names.
    pub without_route: Vec<String>,
}

/// The worst first, but for the order of what belongs together.
pub(super) fn reasons(known: &Known<'_>) -> Vec<ReasonItem> {
    let mut reasons = Vec::new();
    let mut reason = |code: &str, detail: String| reasons.push(ReasonItem { code: code.to_owned(), detail });
    if let Some(why) = &known.store_fails {
        reason("store_failing", why.clone());
    }
    for (route, why) in &known.held {
        reason("route_held", format!("the route {route} can't be used and its messages wait: {why}"));
    }
    if known.inbox.is_some_and(QueueHealth::holds_any) {
        for channel in &known.without_route {
            reason("no_route", format!("no route names the channel {channel}: its messages wait for one"));
        }
    }
    let is_open = |kind| known.breakers.iter().any(|it| it.kind == kind && it.state != BreakerState::Closed);
    let is_stopped = known.channels.iter().any(|channel| channel.stopped.is_some());
    for (codes, queue, is_hampered) in [
        (["inbox_old", "inbox_waiting"], known.inbox, is_open("backend")),
        (["outbox_old", "outbox_waiting"], known.outbox, is_open("channel") || is_stopped),
    ] {
        match queue.and_then(|queue| queue.backlog(is_hampered)) {
            Some(Backlog::NobodyIsFree(ready)) => reason(
                codes[0],
                format!("{ready} messages could be worked on and the oldest waits for over {OLD_SECONDS} s"),
            ),
            Some(Backlog::Waits(waiting)) => reason(
                codes[1],
                format!(
                    "{waiting} messages wait for a retry, a limit or what the other reasons name, the oldest for over \
                     {OLD_SECONDS} s: whatsapp_router_retries_total by reason and the log say for what"
                ),
            ),
            None => {}
        }
    }
    if let Some(count @ 1..) = known.dead_letters {
        reason("dead_letters", format!("{count} dead letters wait for somebody: GET /api/v1/dead-letters"));
    }
    for breaker in known.breakers.iter().filter(|breaker| breaker.state != BreakerState::Closed) {
        let detail =
            format!("the {} {} does not answer; it is asked now and then", breaker.kind, breaker.name);
        reason("breaker_open", detail);
    }
    for channel in known.channels {
        for condition in working::conditions(channel) {
            if condition.status == Status::False {
                let code = match (condition.kind, condition.reason) {
                    ("Sending", _) => "channel_stopped",
                    (_, working::SIGNATURE_REFUSED) => "webhooks_refused",
                    _ => "channel_silent",
                };
                reason(code, format!("{}: {}", channel.channel, condition.message));
            }
        }
    }
    reasons
}

pub(super) fn status(reasons: &[ReasonItem]) -> HealthStatus {
    match reasons {
        [] => HealthStatus::Ok,
        reasons if reasons.iter().any(|reason| reason.code == "store_failing") => HealthStatus::Down,
        _ => HealthStatus::Degraded,
    }
}

/// Why the oldest message of a queue is old.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Backlog {
    /// So many could be worked on.
    NobodyIsFree(i64),
    /// So many wait for something to work, or for a time.
    Waits(i64),
}

impl QueueHealth {
    fn holds_any(&self) -> bool {
        self.oldest_age_seconds.is_some()
    }

    /// `is_hampered`: something that its messages go to does not work, and what is due counts as ready all the same.
    fn backlog(&self, is_hampered: bool) -> Option<Backlog> {
        self.oldest_age_seconds.filter(|age| *age > OLD_SECONDS)?;
        match (self.ready, self.ready + self.delayed) {
            (_, ..=0) => None,
            (1.., _) if !is_hampered => Some(Backlog::NobodyIsFree(self.ready)),
            (_, waiting) => Some(Backlog::Waits(waiting)),
        }
    }
}

/// The routes that keep their messages, each with what is wrong with it.
pub(super) fn held(compiled: &Compiled) -> Vec<(String, String)> {
    let routes = compiled.reports.iter().filter(|report| report.id.kind == Kind::Route);
    let held =
        routes.filter(|report| report.condition(ConditionType::Programmed).reason == Reason::MessagesWait);
    held.map(|report| {
        let wrong = report.conditions.iter().find(|condition| condition.status != Status::True);
        (report.id.name.clone(), wrong.map(|condition| condition.message.clone()).unwrap_or_default())
    })
    .collect()
}

/// The channels that no route names, by name.
pub(super) fn without_route(table: &Table) -> Vec<String> {
    let without = table.channels().filter(|channel| table.entries(&channel.name).is_empty());
    let mut names: Vec<_> = without.map(|channel| channel.name.to_string()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Receiving, StoppedView};

    fn queue(ready: i64, delayed: i64, age: i64) -> QueueHealth {
        let oldest_age_seconds = (ready + delayed > 0).then_some(age);
        QueueHealth { ready, in_progress: 0, delayed, oldest_age_seconds }
    }

    fn breaker(kind: &'static str, state: BreakerState) -> BreakerView {
        BreakerView { kind, name: "shop".into(), state, since: None, probe_at: None }
    }

    fn channel(is_stopped: bool, receiving: Receiving) -> ChannelHealth {
        let stopped =
            StoppedView { since: 0, probe_at: 0, reason: "token_invalid".into(), error: String::new() };
        ChannelHealth { channel: "a".into(), stopped: is_stopped.then_some(stopped), receiving }
    }

    fn told(known: &Known<'_>) -> (HealthStatus, Vec<String>) {
        let reasons = reasons(known);
        (status(&reasons), reasons.into_iter().map(|reason| reason.code).collect())
    }

    #[test]
    fn old_messages_are_told_with_what_they_wait_for() {
        use BreakerState::{Closed, HalfOpen, Open};
        let (none, stopped) = ([channel(false, Receiving::Yes)], [channel(true, Receiving::Yes)]);
        for (inbox, outbox, breakers, channels, codes) in [
            (queue(0, 0, 0), queue(0, 0, 0), breaker("backend", Closed), &none, &[][..]),
            (queue(5, 5, 60), queue(5, 5, 60), breaker("backend", Closed), &none, &[]),
            (queue(5, 0, 61), queue(0, 0, 0), breaker("backend", Closed), &none, &["inbox_old"]),
            (
                queue(0, 5, 61),
                queue(0, 1, 90),
                breaker("backend", Closed),
                &none,
                &["inbox_waiting", "outbox_waiting"],
            ),
            (
                queue(5, 5, 61),
                queue(5, 5, 61),
                breaker("backend", Closed),
                &none,
                &["inbox_old", "outbox_old"],
            ),
            // What is due can't be worked on, whatever the queue says.
            (
                queue(5, 0, 61),
                queue(5, 0, 61),
                breaker("backend", Open),
                &none,
                &["inbox_waiting", "outbox_old", "breaker_open"],
            ),
            (
                queue(5, 0, 61),
                queue(5, 0, 61),
                breaker("channel", HalfOpen),
                &none,
                &["inbox_old", "outbox_waiting", "breaker_open"],
            ),
            (
                queue(5, 0, 61),
                queue(5, 0, 61),
                breaker("backend", Closed),
                &stopped,
                &["inbox_old", "outbox_waiting", "channel_stopped"],
            ),
        ] {
            let breakers = [breakers];
            let known = Known {
                inbox: Some(&inbox),
                outbox: Some(&outbox),
                breakers: &breakers,
                channels,
                ..Known::default()
            };
            let status = if codes.is_empty() { HealthStatus::Ok } else { HealthStatus::Degraded };
            assert_eq!(
                told(&known),
                (status, codes.iter().map(|code| (*code).to_owned()).collect()),
                "{known:?}"
            );
        }
    }

    #[test]
    fn what_is_worked_on_is_not_told_however_old_it_is() {
        let inbox = QueueHealth { ready: 0, in_progress: 1, delayed: 0, oldest_age_seconds: Some(100) };
        assert_eq!(told(&Known { inbox: Some(&inbox), ..Known::default() }).0, HealthStatus::Ok);
    }

    #[test]
    fn each_reason_has_its_code() {
        let some = queue(0, 1, 1);
        let held = vec![("orders".to_owned(), "the secret is not there".to_owned())];
        let without_route = vec!["a".to_owned()];
        let silent = [channel(false, Receiving::Silent { since: 0 })];
        let refused = [channel(false, Receiving::Refused { since: 0 })];
        for (known, code) in [
            (Known { held: held.clone(), ..Known::default() }, Some("route_held")),
            (Known { dead_letters: Some(1), ..Known::default() }, Some("dead_letters")),
            (Known { dead_letters: Some(0), ..Known::default() }, None),
            (
                Known { inbox: Some(&some), without_route: without_route.clone(), ..Known::default() },
                Some("no_route"),
            ),
            // It may only send.
            (Known { without_route, ..Known::default() }, None),
            (Known { channels: &silent, ..Known::default() }, Some("channel_silent")),
            (Known { channels: &refused, ..Known::default() }, Some("webhooks_refused")),
        ] {
            let status = if code.is_some() { HealthStatus::Degraded } else { HealthStatus::Ok };
            assert_eq!(told(&known), (status, code.into_iter().map(str::to_owned).collect()), "{known:?}");
        }
        let known = Known { store_fails: Some("full".to_owned()), held, ..Known::default() };
        assert_eq!(told(&known).0, HealthStatus::Down);
        let detail = &reasons(&known)[1].detail;
        assert_eq!(detail, "the route orders can't be used and its messages wait: the secret is not there");
    }
}
