//! The verdict on a run, from what was sent and received alone. Pure, so that forged histories can show that every fault is seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::history::{Cause, History, Ledger, Policy, Reply, Said};

/// From Graph's taking a message to the router's commit, at most, on a machine whose disk is busy. Milliseconds.
const UNDER_WAY: u64 = 3_000;
/// What was on the wire when the router died may be taken a little later. Milliseconds.
const ON_THE_WIRE: u64 = 300;

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Violation {
    /// Answered 200 and never answered, though nothing says that it waits or was given up.
    Lost { contact: u32, number: u32 },
    /// Never answered 200, however often it was posted.
    Refused { contact: u32, number: u32 },
    /// Answered after `before`, which was said later.
    Reordered { contact: u32, number: u32, before: u32 },
    /// Answered again although the router could know that it was answered, or must not repeat.
    Twice { contact: u32, number: u32 },
    /// Graph took what nobody had asked for.
    Strange { what: String },
    /// The router's own account contradicts what was seen from outside.
    Ledger { what: String },
}

impl Violation {
    pub(crate) fn contact(&self) -> Option<u32> {
        match self {
            Self::Lost { contact, .. }
            | Self::Refused { contact, .. }
            | Self::Reordered { contact, .. }
            | Self::Twice { contact, .. } => Some(*contact),
            Self::Strange { .. } | Self::Ledger { .. } => None,
        }
    }

    /// Which message of this chat it is about.
    pub(crate) fn number_in(&self, chat: u32) -> Option<u32> {
        match self {
            Self::Lost { contact, number }
            | Self::Refused { contact, number }
            | Self::Reordered { contact, number, .. }
            | Self::Twice { contact, number } => (*contact == chat).then_some(*number),
            Self::Strange { .. } | Self::Ledger { .. } => None,
        }
    }
}

/// The counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Messages that were answered 200.
    pub accepted: usize,
    /// Of those, how many Graph took a reply to.
    pub answered: usize,
    /// Accepted and not answered, and the router's account says so: dead letters.
    pub dead: usize,
    /// Likewise: still in a queue.
    pub waiting: usize,
    /// Copies beyond the first that are permitted, by the reason why the router could not know.
    pub repeated: BTreeMap<Cause, usize>,
    pub lost: usize,
    pub reordered: usize,
    pub twice: usize,
    /// Whether the router's own account was compared.
    pub ledger_compared: bool,
    pub violations: Vec<Violation>,
}

/// Compares what was said with what was answered.
pub fn judge(history: &History) -> Account {
    let mut account = Account::default();
    let said: HashMap<(u32, u32), &Said> =
        history.said.iter().map(|said| ((said.contact, said.number), said)).collect();
    let mut copies: BTreeMap<(u32, u32), Vec<&Reply>> = BTreeMap::new();
    let mut chats: BTreeMap<u32, Vec<(&Reply, &Said)>> = BTreeMap::new();
    for reply in &history.replies {
        match said.get(&(reply.contact, reply.number)) {
            Some(said) => {
                copies.entry((reply.contact, reply.number)).or_default().push(reply);
                chats.entry(reply.contact).or_default().push((reply, said));
            }
            None => {
                let what = format!("a reply to message {} of chat {}", reply.number, reply.contact);
                account.violations.push(Violation::Strange { what });
            }
        }
    }
    account.violations.extend(history.strange.iter().map(|what| Violation::Strange { what: what.clone() }));
    order(&chats, &mut account);
    repetitions(history, &copies, &mut account);
    completeness(history, &copies, &mut account);
    account
}

/// Of two messages of a chat the first has to be answered first if it was accepted before the second was posted at all.
fn order(chats: &BTreeMap<u32, Vec<(&Reply, &Said)>>, account: &mut Account) {
    for replies in chats.values() {
        let mut seen = BTreeSet::new();
        for (at, (_, late)) in replies.iter().enumerate() {
            // One is enough to know of.
            let overtaken = replies[..at].iter().find(|(_, early)| {
                early.number != late.number && late.accepted.is_some_and(|accepted| accepted < early.began)
            });
            if let Some((_, early)) = overtaken
                && seen.insert(late.number)
            {
                account.reordered += 1;
                account.violations.push(Violation::Reordered {
                    contact: late.contact,
                    number: late.number,
                    before: early.number,
                });
            }
        }
    }
}

/// Each copy but the last needs a reason why the router could not know of it.
fn repetitions(history: &History, copies: &BTreeMap<(u32, u32), Vec<&Reply>>, account: &mut Account) {
    for (&(contact, number), copies) in copies {
        let one_id = copies[0].id.is_some() && copies.iter().all(|copy| copy.id == copies[0].id);
        for (index, copy) in copies[..copies.len() - 1].iter().enumerate() {
            let cause = excuse(history, copy, copies[index + 1]);
            match cause {
                Some(cause) if one_id && history.policy == Policy::Repeat => {
                    *account.repeated.entry(cause).or_default() += 1;
                }
                _ => {
                    account.twice += 1;
                    account.violations.push(Violation::Twice { contact, number });
                }
            }
        }
    }
}

/// Why the router could not know of `copy` when it sent `next`, the following one to the same chat. Sends of a chat are made
/// one after the other, so a kill excuses at most one of them, and only when it lies between the two.
fn excuse(history: &History, copy: &Reply, next: &Reply) -> Option<Cause> {
    if copy.lost {
        return Some(Cause::LostAnswer);
    }
    let under_way = (copy.at.saturating_sub(ON_THE_WIRE), next.at.min(copy.at + UNDER_WAY));
    let meets = |from: u64, to: u64| from <= under_way.1 && to >= under_way.0;
    history
        .excuses
        .iter()
        .find(|excuse| match excuse.cause {
            // A router that was stopped just before it wrote does so when it goes on: then it is the later copy.
            Cause::Paused => {
                meets(excuse.from, excuse.from)
                    || (excuse.to..=excuse.to + ON_THE_WIRE).contains(&next.at) && excuse.from <= copy.at
            }
            _ => meets(excuse.from, excuse.to),
        })
        .map(|excuse| excuse.cause)
}

/// Whatever was accepted is answered, or the router's account says what else became of it.
fn completeness(history: &History, copies: &BTreeMap<(u32, u32), Vec<&Reply>>, account: &mut Account) {
    let mut missing = Vec::new();
    for said in &history.said {
        let at = (said.contact, said.number);
        match (said.accepted, copies.contains_key(&at)) {
            (None, _) => {
                account.violations.push(Violation::Refused { contact: at.0, number: at.1 });
            }
            (Some(_), true) => {
                account.accepted += 1;
                account.answered += 1;
            }
            (Some(_), false) => {
                account.accepted += 1;
                missing.push(at);
            }
        }
    }
    let taken: BTreeSet<&String> = history.replies.iter().filter_map(|reply| reply.id.as_ref()).collect();
    let explained = match &history.ledger {
        Some(ledger) => {
            account.ledger_compared = true;
            compare(history, ledger, account, missing.len(), taken.len())
        }
        None => false,
    };
    if !explained {
        account.lost = missing.len();
        account
            .violations
            .extend(missing.into_iter().map(|(contact, number)| Violation::Lost { contact, number }));
    }
}

/// Answers whether the router's account explains what is missing.
fn compare(history: &History, ledger: &Ledger, account: &mut Account, missing: usize, taken: usize) -> bool {
    let (missing, taken) = (missing as i64, taken as i64);
    let mut wrong = Vec::new();
    let mut equal = |what: &str, ours: i64, theirs: i64| {
        if ours != theirs {
            wrong.push(format!("{what}: {ours} seen from outside, {theirs} by the router"));
        }
    };
    equal("accepted", account.accepted as i64, ledger.accepted);
    let inbox = ledger.answered + ledger.not_to_be_answered + ledger.inbox_in_flight + ledger.inbox_dead;
    equal("answered, not to be answered, in flight and dead against accepted", ledger.accepted, inbox);
    let outbox = ledger.sent + ledger.outbox_in_flight + ledger.outbox_dead + ledger.discarded;
    equal("sent, in flight, dead and discarded against queued", ledger.queued, outbox);
    let unfinished = ledger.outbox_in_flight + ledger.outbox_dead + ledger.discarded;
    // A send in doubt may be taken, and be in flight or dead by the router's account.
    if taken < ledger.sent || taken > ledger.sent + unfinished {
        equal("sent", taken, ledger.sent);
    }
    // Those that ended before there was a reply are missing for sure, those after it perhaps.
    let surely = ledger.not_to_be_answered + ledger.inbox_in_flight + ledger.inbox_dead;
    let explained = (surely..=surely + unfinished).contains(&missing)
        && (history.may_die || ledger.not_to_be_answered + ledger.inbox_dead + ledger.outbox_dead == 0)
        && ledger.discarded == 0;
    if !history.may_die && ledger.inbox_dead + ledger.outbox_dead > 0 {
        wrong.push(format!(
            "{} dead letters that the case gives no reason for",
            ledger.inbox_dead + ledger.outbox_dead
        ));
    }
    if explained {
        account.dead = (ledger.inbox_dead + ledger.outbox_dead).try_into().unwrap_or(0);
        account.waiting = (ledger.inbox_in_flight + ledger.outbox_in_flight).try_into().unwrap_or(0);
    }
    account.violations.extend(wrong.into_iter().map(|what| Violation::Ledger { what }));
    explained
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
