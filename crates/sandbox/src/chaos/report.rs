//! The table that a run ends with, and the files that it leaves.

use std::{collections::BTreeMap, fmt::Write, io, path::Path};

use serde::Serialize;

use super::{Store, check::Account, history::Cause};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Passed,
    Failed,
    /// It could not be tried here, and why.
    NotRun(String),
    /// It could not be finished, and why.
    Broken(String),
}

/// One case on one store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub case: &'static str,
    pub store: Store,
    /// What is particular to this run, such as the kind of disk.
    pub note: String,
    /// Kills and other faults.
    pub faults: usize,
    /// Webhooks answered with something else than 200.
    pub refusals: usize,
    pub seconds: f64,
    pub seed: u64,
    pub verdict: Verdict,
    pub account: Account,
}

impl Row {
    pub(super) fn without_account(case: &'static str, store: Store, seed: u64, verdict: Verdict) -> Self {
        Self {
            case,
            store,
            note: String::new(),
            faults: 0,
            refusals: 0,
            seconds: 0.0,
            seed,
            verdict,
            account: Account::default(),
        }
    }
}

/// All rows of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub seed: u64,
    pub rounds: usize,
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether nothing failed; what could not be tried does not count.
    pub fn is_fine(&self) -> bool {
        self.rows.iter().all(|row| matches!(row.verdict, Verdict::Passed | Verdict::NotRun(_)))
    }

    /// As Markdown, for terminals and for docs/RELIABILITY.md.
    pub fn table(&self) -> String {
        let mut lines = vec![HEADS.map(str::to_owned)];
        lines.extend(self.rows.iter().map(cells));
        lines.push(total(&self.rows));
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
        });
        let mut table = String::new();
        for (index, line) in lines.iter().enumerate() {
            for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
                let numeric = (2..COLUMNS - 1).contains(&column);
                // Writing to a string does not fail.
                let _ = if numeric {
                    write!(table, "| {cell:>width$} ")
                } else {
                    write!(table, "| {cell:<width$} ")
                };
            }
            table.push_str("|\n");
            if index == 0 {
                for (column, width) in widths.into_iter().enumerate() {
                    let numeric = (2..COLUMNS - 1).contains(&column);
                    let (dashes, end) = if numeric { (width - 1, "-:") } else { (width, "-") };
                    let _ = write!(table, "| {}{} ", "-".repeat(dashes - 1), end);
                }
                table.push_str("|\n");
            }
        }
        table
    }

    /// Writes `report.json` and `report.md`.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("report.json"), serde_json::to_vec_pretty(self)?)?;
        let notes = NOTES.join("\n");
        let text = format!("{}\nSeed {}, rounds {}.\n\n{notes}\n", self.table(), self.seed, self.rounds);
        std::fs::write(folder.join("report.md"), text)
    }
}

const COLUMNS: usize = 12;
const HEADS: [&str; COLUMNS] = [
    "case",
    "store",
    "messages",
    "faults",
    "answered",
    "refused",
    "repeated",
    "lost",
    "reordered",
    "twice",
    "seconds",
    "verdict",
];
const NOTES: [&str; 3] = [
    "messages: answered 200. faults: kills, pauses, cuts. refused: webhooks that got another answer, and were sent again.",
    "repeated: sent again as the policy says, because the simulator lost the answer (l), the router was killed (k) or stopped",
    "(p), or its database was away (d) while the send was under way.",
];

fn cells(row: &Row) -> [String; COLUMNS] {
    let account = &row.account;
    let verdict = match &row.verdict {
        Verdict::Passed if account.dead + account.waiting > 0 => {
            format!("passed, {} dead, {} waiting", account.dead, account.waiting)
        }
        Verdict::Passed => "passed".to_owned(),
        Verdict::Failed => "FAILED".to_owned(),
        Verdict::NotRun(why) => format!("not run: {why}"),
        Verdict::Broken(why) => format!("BROKEN: {}", why.lines().next().unwrap_or_default()),
    };
    let unproved =
        if row.verdict == Verdict::Passed && !account.ledger_compared { ", no ledger" } else { "" };
    let note = row.note.trim();
    let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
    [
        row.case.to_owned(),
        row.store.to_string(),
        account.accepted.to_string(),
        row.faults.to_string(),
        account.answered.to_string(),
        row.refusals.to_string(),
        repeated(&account.repeated),
        account.lost.to_string(),
        account.reordered.to_string(),
        account.twice.to_string(),
        format!("{:.1}", row.seconds),
        format!("{verdict}{unproved}{note}"),
    ]
}

fn repeated(by_cause: &BTreeMap<Cause, usize>) -> String {
    let all: usize = by_cause.values().sum();
    let letters = by_cause.iter().map(|(cause, count)| {
        let letter = match cause {
            Cause::LostAnswer => 'l',
            Cause::Killed => 'k',
            Cause::Paused => 'p',
            Cause::DatabaseAway => 'd',
        };
        format!(" {count}{letter}")
    });
    format!("{all}{}", letters.collect::<String>())
}

fn total(rows: &[Row]) -> [String; COLUMNS] {
    let sum = |count: fn(&Row) -> usize| rows.iter().map(count).sum::<usize>().to_string();
    let mut by_cause: BTreeMap<Cause, usize> = BTreeMap::new();
    for (cause, count) in rows.iter().flat_map(|row| &row.account.repeated) {
        *by_cause.entry(*cause).or_default() += count;
    }
    let failed =
        rows.iter().filter(|row| matches!(row.verdict, Verdict::Failed | Verdict::Broken(_))).count();
    [
        "all".to_owned(),
        String::new(),
        sum(|row| row.account.accepted),
        sum(|row| row.faults),
        sum(|row| row.account.answered),
        sum(|row| row.refusals),
        repeated(&by_cause),
        sum(|row| row.account.lost),
        sum(|row| row.account.reordered),
        sum(|row| row.account.twice),
        format!("{:.1}", rows.iter().map(|row| row.seconds).fold(0.0, |all, one| all + one)),
        if failed == 0 { "passed".to_owned() } else { format!("{failed} FAILED") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_good_as_its_worst_row() {
        let row = |verdict| Row::without_account("kill", Store::Sqlite, 1, verdict);
        let report = |rows| Report { seed: 1, rounds: 1, rows };
        assert!(report(vec![row(Verdict::Passed), row(Verdict::NotRun("no disk".to_owned()))]).is_fine());
        let bad = report(vec![row(Verdict::Passed), row(Verdict::Broken("no start\nmore".to_owned()))]);
        assert!(!bad.is_fine() && !report(vec![row(Verdict::Failed)]).is_fine());
        let table = bad.table();
        assert!(table.contains("BROKEN: no start ") && table.contains("1 FAILED"), "{table}");
        let widths: Vec<usize> = table.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{table}");
    }
}
