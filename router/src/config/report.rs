//! The conditions of every object as text, for a terminal: what `kubectl describe` would show, without a cluster.

use std::fmt::Write as _;

use super::{
    compiled::{Compiled, ObjectReport, Status},
    objects::Reason,
};

/// Object by object, then what is no object, then how many there are.
pub fn render(compiled: &Compiled) -> String {
    let mut text = String::new();
    for report in &compiled.reports {
        // Writing to a String can't fail; the same below.
        let _ = writeln!(text, "{}  ({})", report.id, report.origin);
        conditions(&mut text, report);
        text.push('\n');
    }
    if !compiled.problems.is_empty() {
        text.push_str("Not read\n");
        for problem in &compiled.problems {
            let _ = writeln!(text, "  {problem}");
        }
        text.push('\n');
    }
    let bad = compiled.reports.iter().filter(|report| !report.is_good()).count();
    let warned = compiled
        .reports
        .iter()
        .filter(|report| report.is_good() && report.conditions.iter().any(|it| it.reason == Reason::Shadowed))
        .count();
    let _ = write!(text, "{}", counted(compiled.reports.len(), "object", "objects"));
    if bad > 0 {
        let _ = write!(text, ", {bad} with a problem");
    }
    if warned > 0 {
        let _ = write!(text, ", {warned} with a warning");
    }
    if !compiled.problems.is_empty() {
        let _ =
            write!(text, ", {} that could not be read", counted(compiled.problems.len(), "thing", "things"));
    }
    text.push('\n');
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn conditions(text: &mut String, report: &ObjectReport) {
    let widest = |of: fn(&super::compiled::Condition) -> usize| {
        report.conditions.iter().map(of).max().unwrap_or_default()
    };
    let kinds = widest(|it| it.kind.as_str().len());
    let reasons = widest(|it| it.reason.as_str().len());
    for condition in &report.conditions {
        let (kind, status, reason) =
            (condition.kind.as_str(), condition.status.as_str(), condition.reason.as_str());
        let _ = write!(text, "  {kind:kinds$}  {status:7}  {reason:reasons$}");
        if condition.status == Status::True && condition.reason != Reason::Shadowed {
            text.push('\n');
            continue;
        }
        // One problem a line, all of them below each other.
        let indent = 2 + kinds + 2 + 7 + 2 + reasons + 2;
        for (number, line) in condition.message.split("; ").enumerate() {
            let lead = if number == 0 { 2 } else { indent };
            let _ = writeln!(text, "{:lead$}{line}", "");
        }
    }
    // Lines without a message end in the blanks of their columns.
    *text = text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        compiled::Condition,
        objects::ConditionType,
        snapshot::{Kind, ObjectId},
    };

    #[test]
    fn columns_are_aligned_and_every_problem_has_a_line() {
        let condition = |kind, status, reason, message: &str| Condition {
            kind,
            status,
            reason,
            message: message.to_owned(),
        };
        let report = ObjectReport {
            id: ObjectId { kind: Kind::Route, name: "orders".to_owned() },
            origin: "routes.yaml, document 1".to_owned(),
            generation: None,
            spec: None,
            conditions: [
                condition(
                    ConditionType::Accepted,
                    Status::False,
                    Reason::Invalid,
                    "a: is wrong; b: is missing",
                ),
                condition(ConditionType::ResolvedRefs, Status::Unknown, Reason::Invalid, "not looked at"),
                condition(ConditionType::Programmed, Status::True, Reason::Programmed, "not shown"),
            ],
        };
        let problems = vec!["x.yaml: is not YAML".to_owned()];
        let compiled = Compiled { reports: vec![report], problems, ..Compiled::default() };
        assert_eq!(
            render(&compiled),
            "\
Route/orders  (routes.yaml, document 1)
  Accepted      False    Invalid     a: is wrong
                                     b: is missing
  ResolvedRefs  Unknown  Invalid     not looked at
  Programmed    True     Programmed

Not read
  x.yaml: is not YAML

1 object, 1 with a problem, 1 thing that could not be read
"
        );
    }
}
