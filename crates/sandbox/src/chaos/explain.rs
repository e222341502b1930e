//! What a person who has to find the fault is told: the seed, the chats that it happened in, and where the rest is.

use std::{collections::BTreeSet, path::Path};

use super::{history::History, report::Row};

const CHATS: usize = 3;
const VIOLATIONS: usize = 12;

pub(super) fn print(history: &History, row: &Row, logs: &Path) {
    eprintln!(
        "\n{} on {}: FAILED with seed {}; the routers' logs and the whole history are in {}",
        row.case,
        row.store,
        row.seed,
        logs.display()
    );
    for violation in row.account.violations.iter().take(VIOLATIONS) {
        eprintln!("  {violation:?}");
    }
    let more = row.account.violations.len().saturating_sub(VIOLATIONS);
    if more > 0 {
        eprintln!("  and {more} more");
    }
    if let Some(ledger) = &history.ledger {
        eprintln!("  the router's own account: {ledger:?}");
    }
    let chats: BTreeSet<u32> =
        row.account.violations.iter().filter_map(super::check::Violation::contact).collect();
    for contact in chats.into_iter().take(CHATS) {
        eprintln!("  chat {contact}:");
        let concerned: BTreeSet<u32> =
            row.account.violations.iter().filter_map(|violation| violation.number_in(contact)).collect();
        let near = |number: u32| concerned.iter().any(|other| other.abs_diff(number) <= 3);
        for said in history.said.iter().filter(|said| said.contact == contact && near(said.number)) {
            eprintln!("    said {:>4} at tick {}, accepted at {:?}", said.number, said.began, said.accepted);
        }
        for reply in history.replies.iter().filter(|reply| reply.contact == contact && near(reply.number)) {
            let lost = if reply.lost { ", answer lost" } else { "" };
            let id = reply.id.as_deref().unwrap_or("without an id");
            eprintln!("    answered {:>4} at {}{lost}, {id}", reply.number, reply.at);
        }
    }
    for excuse in &history.excuses {
        eprintln!("    {:?} from {} to {}", excuse.cause, excuse.from, excuse.to);
    }
}
