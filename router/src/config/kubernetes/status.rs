//! From what became of an object to what its status has to say, and what is news in that. Pure.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::world::LiveObject;
use crate::{
    config::{
        compiled::{self, ObjectReport, Status},
        objects::{ConditionType, ObjectStatus},
    },
    working::{self, Working},
};

/// The API server refuses longer ones.
const MOST_CHARACTERS: usize = 32_768;

/// A change of a condition that people should hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    /// Which condition.
    pub(super) kind: &'static str,
    pub(super) is_good: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What to write, or nothing when the object says it already. The times at which conditions changed are kept.
/// `working` is what the engine knows of a channel.
pub(super) fn due(
    report: &ObjectReport,
    working: &[Working],
    live: &LiveObject,
    now: Timestamp,
) -> Option<ObjectStatus> {
    // Of another version than the cluster has now: the next compile is about to follow.
    if report.generation.is_some_and(|generation| generation != live.generation) {
        return None;
    }
    let before = live.status.as_ref();
    let of_objects = report.conditions.iter().map(Said::of_object);
    let of_engine = working.iter().map(Said::of_engine);
    let conditions: Vec<_> = of_objects.chain(of_engine).map(|said| written(&said, live, now)).collect();
    let same = before.is_some_and(|before| {
        let mut ours = before.conditions.iter().filter(|condition| is_ours(&condition.type_));
        before.observed_generation == Some(live.generation)
            && conditions.iter().all(|condition| before.conditions.contains(condition))
            && ours.all(|condition| conditions.contains(condition))
    });
    (!same).then_some(ObjectStatus { observed_generation: Some(live.generation), conditions })
}

/// What one condition is to say.
struct Said<'s> {
    kind: &'static str,
    status: Status,
    reason: &'static str,
    message: &'s str,
    /// Whoever says that it does not know contradicts nobody: a leader that has just begun its work does.
    yields: bool,
}

impl<'s> Said<'s> {
    fn of_object(condition: &'s compiled::Condition) -> Self {
        Self {
            kind: condition.kind.as_str(),
            status: condition.status,
            reason: condition.reason.as_str(),
            message: &condition.message,
            yields: false,
        }
    }

    fn of_engine(working: &'s Working) -> Self {
        let yields = working.status == Status::Unknown;
        Self {
            kind: working.kind,
            status: working.status,
            reason: working.reason,
            message: &working.message,
            yields,
        }
    }
}

fn is_ours(kind: &str) -> bool {
    let of_objects = ConditionType::ALL.map(ConditionType::as_str);
    of_objects.contains(&kind) || working::REFERENCE.iter().any(|(ours, ..)| *ours == kind)
}

fn written(said: &Said<'_>, live: &LiveObject, now: Timestamp) -> Condition {
    let before = found(live, said.kind);
    if let Some(before) = before
        && said.yields
    {
        return Condition { observed_generation: Some(live.generation), ..before.clone() };
    }
    let status = said.status.as_str();
    let since = before
        .filter(|before| before.status == status)
        .map_or(Time(now), |before| before.last_transition_time.clone());
    Condition {
        type_: said.kind.to_owned(),
        status: status.to_owned(),
        reason: said.reason.to_owned(),
        message: said.message.chars().take(MOST_CHARACTERS).collect(),
        last_transition_time: since,
        observed_generation: Some(live.generation),
    }
}

fn found<'l>(live: &'l LiveObject, kind: &str) -> Option<&'l Condition> {
    live.status.as_ref()?.conditions.iter().find(|condition| condition.type_ == kind)
}

/// What is wrong with an object since the last status, and what is right again.
pub(super) fn news(report: &ObjectReport, working: &[Working], live: &LiveObject) -> Vec<Notice> {
    let of_objects = [ConditionType::Accepted, ConditionType::ResolvedRefs]
        .map(|kind| Said::of_object(report.condition(kind)));
    let of_engine = working.iter().map(Said::of_engine);
    of_objects
        .into_iter()
        .chain(of_engine)
        .filter_map(|now| {
            let before = found(live, now.kind);
            let was_bad = before.is_some_and(|before| before.status == "False");
            let is_news = match now.status {
                Status::False => !was_bad || before.is_some_and(|before| before.reason != now.reason),
                Status::True => was_bad,
                Status::Unknown => false,
            };
            is_news.then(|| Notice {
                kind: now.kind,
                is_good: now.status == Status::True,
                reason: now.reason,
                message: now.message.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        compiled,
        objects::Reason,
        snapshot::{Kind, ObjectId},
    };

    fn report(accepted: Status, reason: Reason, message: &str) -> ObjectReport {
        let condition = |kind, status, reason, message: &str| compiled::Condition {
            kind,
            status,
            reason,
            message: message.to_owned(),
        };
        ObjectReport {
            id: ObjectId { kind: Kind::Route, name: "orders".to_owned() },
            origin: "namespace shop".to_owned(),
            generation: Some(3),
            spec: None,
            conditions: [
                condition(ConditionType::Accepted, accepted, reason, message),
                condition(ConditionType::ResolvedRefs, Status::True, Reason::ResolvedRefs, ""),
                condition(ConditionType::Programmed, accepted, Reason::Programmed, ""),
            ],
        }
    }

    fn live(status: Option<ObjectStatus>) -> LiveObject {
        LiveObject {
            namespace: "shop".to_owned(),
            uid: "u".to_owned(),
            generation: 3,
            version: "7".to_owned(),
            status,
        }
    }

    fn receiving(status: Status, reason: &'static str) -> [Working; 1] {
        [Working { kind: "Receiving", status, reason, message: "as long as it is so".to_owned() }]
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn it_is_written_once_and_the_times_of_changes_stay() {
        let good = report(Status::True, Reason::Accepted, "");
        let first = due(&good, &[], &live(None), at(10)).unwrap();
        assert_eq!(first.observed_generation, Some(3));
        assert_eq!(first.conditions.len(), 3);
        assert_eq!(due(&good, &[], &live(Some(first.clone())), at(20)), None);

        let bad = report(Status::False, Reason::Invalid, "spec.rules: is missing");
        let second = due(&bad, &[], &live(Some(first)), at(20)).unwrap();
        let times: Vec<_> =
            second.conditions.iter().map(|it| it.last_transition_time.0.as_second()).collect();
        assert_eq!(times, [20, 10, 20], "only what changed has a new time");

        let other_words = report(Status::False, Reason::Invalid, "other words");
        let third = due(&other_words, &[], &live(Some(second)), at(30)).unwrap();
        assert_eq!(third.conditions[0].last_transition_time.0, at(20), "it is as false as before");
    }

    #[test]
    fn conditions_of_others_are_left_alone_and_do_not_matter() {
        let good = report(Status::True, Reason::Accepted, "");
        let mut status = due(&good, &[], &live(None), at(10)).unwrap();
        let mut foreign = status.conditions[0].clone();
        foreign.type_ = "example.com/Reviewed".to_owned();
        status.conditions.insert(0, foreign);
        assert_eq!(due(&good, &[], &live(Some(status)), at(20)), None);
    }

    #[test]
    fn a_report_of_another_generation_is_not_written() {
        let mut old = report(Status::True, Reason::Accepted, "");
        old.generation = Some(2);
        assert_eq!(due(&old, &[], &live(None), at(10)), None);
    }

    #[test]
    fn a_new_generation_is_written_though_nothing_else_changed() {
        let good = report(Status::True, Reason::Accepted, "");
        let mut status = due(&good, &[], &live(None), at(10)).unwrap();
        status.observed_generation = Some(2);
        for condition in &mut status.conditions {
            condition.observed_generation = Some(2);
        }
        let next = due(&good, &[], &live(Some(status)), at(20)).unwrap();
        assert_eq!(next.conditions[0].observed_generation, Some(3));
        assert_eq!(next.conditions[0].last_transition_time.0, at(10));
    }

    #[test]
    fn what_the_engine_knows_of_a_channel_is_written_when_it_changes_and_goes_with_it() {
        let good = report(Status::True, Reason::Accepted, "");
        let fine = receiving(Status::True, "Receiving");
        let first = due(&good, &fine, &live(None), at(10)).unwrap();
        assert_eq!(first.conditions.len(), 4);
        assert_eq!(due(&good, &fine, &live(Some(first.clone())), at(20)), None);
        let unsure = receiving(Status::Unknown, "NothingYet");
        assert_eq!(due(&good, &unsure, &live(Some(first.clone())), at(15)), None, "as a new leader is");
        let new = due(&good, &unsure, &live(None), at(15)).unwrap();
        assert_eq!(new.conditions.last().unwrap().status, "Unknown");
        let silent = receiving(Status::False, "Silent");
        let second = due(&good, &silent, &live(Some(first)), at(20)).unwrap();
        let written = second.conditions.last().unwrap();
        assert_eq!((written.reason.as_str(), written.last_transition_time.0), ("Silent", at(20)));
        let third = due(&good, &[], &live(Some(second)), at(30)).unwrap();
        assert_eq!(third.conditions.len(), 3, "nothing is known of it any more");
    }

    #[test]
    fn only_what_became_wrong_or_right_again_is_news() {
        let good = report(Status::True, Reason::Accepted, "");
        let bad = report(Status::False, Reason::Invalid, "why");
        let conflicted = report(Status::False, Reason::Conflicted, "why");
        let after = |report: &ObjectReport| live(due(report, &[], &live(None), at(10)));
        assert_eq!(news(&good, &[], &live(None)), [], "a new object that is right is no news");
        let notices = news(&bad, &[], &live(None));
        assert_eq!(notices.len(), 1);
        assert!(!notices[0].is_good);
        assert_eq!((notices[0].reason, notices[0].message.as_str()), ("Invalid", "why"));
        assert_eq!(news(&bad, &[], &after(&bad)), []);
        assert_eq!(news(&conflicted, &[], &after(&bad)).len(), 1, "wrong for another reason");
        let again = news(&good, &[], &after(&bad));
        let silent = receiving(Status::False, "Silent");
        let told = news(&good, &silent, &live(None));
        assert_eq!((told.len(), told[0].kind, told[0].reason), (1, "Receiving", "Silent"));
        let silent = live(due(&good, &silent, &live(None), at(10)));
        assert_eq!(news(&good, &receiving(Status::Unknown, "NothingYet"), &silent), []);
        assert!(news(&good, &receiving(Status::True, "Receiving"), &silent)[0].is_good);
        assert!(again[0].is_good && again[0].kind == "Accepted");
    }
}
