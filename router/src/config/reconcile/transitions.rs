//! Says in the log what became different for an object, once: an object that stays as it is is not worth a line.

use crate::config::{
    compiled::{Compiled, Condition, ObjectReport, Status},
    objects::Reason,
    source::SourceKind,
};

/// What is worth a line.
#[derive(Debug, Clone, Copy, PartialEq)]
enum News<'a> {
    /// Something is wrong with an object, or wrong in another way than before.
    Trouble(&'a ObjectReport, &'a Condition),
    /// Nothing is wrong with it any more, or it is new.
    Good(&'a ObjectReport),
    Gone(&'a ObjectReport),
    Problem(&'a str),
}

fn news<'a>(before: Option<&'a Compiled>, now: &'a Compiled) -> Vec<News<'a>> {
    let mut news = Vec::new();
    for report in &now.reports {
        let old = before.and_then(|before| before.report(&report.id));
        let is_same = |condition: &&Condition| old.is_some_and(|old| old.conditions.contains(condition));
        let wrong = || report.conditions.iter().filter(|condition| is_wrong(condition));
        news.extend(wrong().filter(|it| !is_same(it)).map(|condition| News::Trouble(report, condition)));
        let was_good = old.is_some_and(|old| !old.conditions.iter().any(is_wrong));
        if wrong().next().is_none() && !was_good {
            news.push(News::Good(report));
        }
    }
    let gone = before.into_iter().flat_map(|before| &before.reports);
    news.extend(gone.filter(|old| now.report(&old.id).is_none()).map(News::Gone));
    let known = |problem: &String| before.is_some_and(|before| before.problems.contains(problem));
    news.extend(now.problems.iter().filter(|problem| !known(problem)).map(|problem| News::Problem(problem)));
    news
}

/// A rule that never gets a message is no error, but surely not meant.
fn is_wrong(condition: &Condition) -> bool {
    condition.status == Status::False || condition.reason == Reason::Shadowed
}

/// A line at a level, which tracing wants to know when it is compiled.
macro_rules! trouble {
    ($level:ident, $report:ident, $condition:ident) => {
        tracing::$level!(
            object = %$report.id,
            origin = %$report.origin,
            condition = $condition.kind.as_str(),
            status = $condition.status.as_str(),
            reason = $condition.reason.as_str(),
            "{}: {}",
            $report.id,
            $condition.message
        )
    };
}

pub(super) fn log(source: SourceKind, before: Option<&Compiled>, now: &Compiled) {
    for news in news(before, now) {
        match news {
            // Messages wait until somebody mends it.
            News::Trouble(report, condition) if condition.reason == Reason::MessagesWait => {
                trouble!(error, report, condition);
            }
            News::Trouble(report, condition) => trouble!(warn, report, condition),
            News::Good(report) => {
                tracing::info!(object = %report.id, origin = %report.origin, "{} is in use", report.id);
            }
            News::Gone(report) => {
                tracing::info!(object = %report.id, origin = %report.origin, "{} was removed", report.id);
            }
            News::Problem(problem) => tracing::warn!(%source, "{problem}"),
        }
    }
    if before.is_none_or(|before| before.generation != now.generation) {
        tracing::info!(
            %source,
            generation = now.generation,
            checksum = %now.checksum,
            channels = now.channels.len(),
            routes = now.routes.len(),
            "configuration in use"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        objects::ConditionType,
        snapshot::{Kind, ObjectId},
    };

    fn report(name: &str, accepted: Status, reason: Reason) -> ObjectReport {
        let condition = |kind, status, reason| Condition { kind, status, reason, message: String::new() };
        ObjectReport {
            id: ObjectId { kind: Kind::Route, name: name.to_owned() },
            origin: "a.yaml".to_owned(),
            generation: None,
            spec: None,
            conditions: [
                condition(ConditionType::Accepted, accepted, reason),
                condition(ConditionType::ResolvedRefs, Status::True, Reason::ResolvedRefs),
                condition(ConditionType::Programmed, Status::True, Reason::Programmed),
            ],
        }
    }

    fn compiled(reports: Vec<ObjectReport>, problems: &[&str]) -> Compiled {
        let problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
        Compiled { reports, problems, generation: 1, ..Compiled::default() }
    }

    #[test]
    fn only_what_became_different_is_said() {
        let good = || report("a", Status::True, Reason::Accepted);
        let bad = || report("a", Status::False, Reason::Invalid);
        let first = compiled(vec![good()], &["x"]);
        assert_eq!(news(None, &first), [News::Good(&first.reports[0]), News::Problem("x")]);
        assert_eq!(news(Some(&first), &first), []);
        let second = compiled(vec![bad()], &["x"]);
        let report = &second.reports[0];
        assert_eq!(news(Some(&first), &second), [News::Trouble(report, &report.conditions[0])]);
        assert_eq!(news(Some(&second), &second), []);
        assert_eq!(news(Some(&second), &first), [News::Good(&first.reports[0])]);
        let empty = compiled(Vec::new(), &[]);
        assert_eq!(news(Some(&first), &empty), [News::Gone(&first.reports[0])]);
    }

    #[test]
    fn a_rule_without_messages_is_worth_a_line() {
        let shadowed = compiled(vec![report("a", Status::True, Reason::Shadowed)], &[]);
        assert!(matches!(news(None, &shadowed)[..], [News::Trouble(..)]));
    }
}
