use super::*;
use crate::chaos::history::Excuse;

/// One chat of `count` messages, each posted after the one before was accepted, and each answered once.
fn fine(count: u32) -> History {
    let said = (0..count).map(|number| Said {
        contact: 0,
        number,
        began: u64::from(number) * 2,
        accepted: Some(u64::from(number) * 2 + 1),
    });
    let n = i64::from(count);
    History {
        said: said.collect(),
        replies: (0..count).map(|number| reply(number, 1_000 * u64::from(number))).collect(),
        strange: Vec::new(),
        excuses: Vec::new(),
        policy: Policy::Repeat,
        may_die: false,
        ledger: Some(Ledger { accepted: n, answered: n, queued: n, sent: n, ..Ledger::default() }),
    }
}

fn reply(number: u32, at: u64) -> Reply {
    Reply { contact: 0, number, id: Some(format!("id {number}")), at, lost: false }
}

fn violations(history: &History) -> Vec<Violation> {
    judge(history).violations
}

const TWICE: Violation = Violation::Twice { contact: 0, number: 1 };

#[test]
fn a_run_without_a_fault_is_fine() {
    let account = judge(&fine(4));
    assert_eq!((account.accepted, account.answered, account.violations.len()), (4, 4, 0));
    assert!(account.repeated.is_empty() && account.ledger_compared);
}

#[test]
fn a_lost_message_is_seen_with_and_without_the_routers_account() {
    let mut history = fine(4);
    history.replies.remove(2);
    let lost = Violation::Lost { contact: 0, number: 2 };
    assert!(violations(&history).contains(&lost), "the router believes that it has sent it");
    history.ledger = None;
    assert_eq!(violations(&history), [lost]);
    // A router that knows nothing of it does not explain it either.
    history.ledger = Some(Ledger { accepted: 3, answered: 3, queued: 3, sent: 3, ..Ledger::default() });
    assert_eq!(judge(&history).lost, 1);
}

#[test]
fn what_the_router_says_is_waiting_is_not_lost_and_what_is_dead_only_where_that_may_be() {
    let mut history = fine(4);
    history.replies.pop();
    let ledger = Ledger { accepted: 4, answered: 4, queued: 4, sent: 3, ..Ledger::default() };
    history.ledger = Some(Ledger { outbox_in_flight: 1, ..ledger });
    let account = judge(&history);
    assert_eq!((account.waiting, account.violations.len()), (1, 0));
    history.ledger = Some(Ledger { outbox_dead: 1, ..ledger });
    assert_eq!(judge(&history).lost, 1);
    history.may_die = true;
    let account = judge(&history);
    assert_eq!((account.dead, account.lost, account.violations.len()), (1, 0, 0));
}

#[test]
fn a_message_that_was_never_taken_is_seen() {
    let mut history = fine(2);
    history.said[1].accepted = None;
    assert!(violations(&history).contains(&Violation::Refused { contact: 0, number: 1 }));
}

#[test]
fn swapped_answers_are_seen_unless_the_messages_were_said_at_once() {
    let mut history = fine(4);
    history.replies.swap(1, 2);
    assert_eq!(violations(&history), [Violation::Reordered { contact: 0, number: 1, before: 2 }]);
    history.said[2].began = history.said[1].began;
    assert_eq!(violations(&history), []);
}

#[test]
fn a_copy_that_comes_after_a_later_message_is_out_of_order() {
    let mut history = fine(3);
    history.replies[1].lost = true;
    history.replies.push(reply(1, 9_000));
    assert_eq!(violations(&history), [Violation::Reordered { contact: 0, number: 1, before: 2 }]);
}

#[test]
fn a_second_answer_needs_a_reason() {
    let mut history = fine(3);
    history.replies.insert(2, reply(1, 1_500));
    assert_eq!(violations(&history), [TWICE]);
    // The reason has to be there for the copy that the router did not know of, not for the one that it then made.
    history.replies[2].lost = true;
    assert_eq!(violations(&history), [TWICE]);
    history.replies[1].lost = true;
    let account = judge(&history);
    assert_eq!((account.repeated[&Cause::LostAnswer], account.violations.len()), (1, 0));
    history.policy = Policy::NeverRepeat;
    assert_eq!(violations(&history), [TWICE]);
}

#[test]
fn a_kill_explains_only_what_was_under_way() {
    let mut history = fine(3);
    history.replies.insert(2, reply(1, 1_900));
    for (killed_at, fine) in [(1_000, true), (1_500, true), (800, true), (600, false), (1_901, false)] {
        history.excuses = vec![Excuse { cause: Cause::Killed, from: killed_at, to: killed_at }];
        assert_eq!(violations(&history).is_empty(), fine, "killed at {killed_at}");
    }
    // Long after the send nothing of it is under way any more.
    history.replies[2].at = 9_000;
    history.replies[3].at = 9_500;
    history.excuses = vec![Excuse { cause: Cause::Killed, from: 5_000, to: 5_000 }];
    assert_eq!(violations(&history), [TWICE]);
}

#[test]
fn one_kill_explains_one_copy() {
    let mut history = fine(3);
    history.replies.insert(2, reply(1, 1_600));
    history.replies.insert(3, reply(1, 1_900));
    history.excuses = vec![Excuse { cause: Cause::Killed, from: 1_100, to: 1_100 }];
    assert_eq!(violations(&history), [TWICE]);
    history.excuses.push(Excuse { cause: Cause::Killed, from: 1_700, to: 1_700 });
    assert_eq!(judge(&history).repeated[&Cause::Killed], 2);
}

#[test]
fn a_router_that_was_stopped_may_have_been_about_to_send() {
    let mut history = fine(3);
    history.replies.insert(2, reply(1, 1_900));
    for (from, to, fine) in [
        // Stopped while the first copy was under way.
        (1_050, 9_000, true),
        // It goes on, and sends what it was about to.
        (500, 1_850, true),
        (500, 1_500, false),
        (3_000, 9_000, false),
    ] {
        history.excuses = vec![Excuse { cause: Cause::Paused, from, to }];
        assert_eq!(violations(&history).is_empty(), fine, "stopped from {from} to {to}");
    }
}

#[test]
fn two_different_replies_to_one_message_are_never_fine() {
    let mut history = fine(3);
    history.replies[1].lost = true;
    let other = Reply { id: Some("another".to_owned()), ..reply(1, 1_500) };
    history.replies.insert(2, other);
    history.ledger = None;
    assert_eq!(violations(&history), [TWICE]);
    history.replies[2].id = None;
    history.replies[1].id = None;
    assert_eq!(violations(&history), [TWICE]);
}

#[test]
fn what_nobody_asked_for_is_seen() {
    let mut history = fine(2);
    history.replies.push(reply(7, 5_000));
    history.strange.push("hello".to_owned());
    let strange = violations(&history);
    assert_eq!(strange.iter().filter(|one| matches!(one, Violation::Strange { .. })).count(), 2);
}

#[test]
fn a_routers_account_that_does_not_add_up_is_seen() {
    let right = fine(4).ledger.unwrap();
    for wrong in [
        Ledger { accepted: 5, ..right },
        Ledger { answered: 3, ..right },
        Ledger { sent: 3, ..right },
        Ledger { sent: 5, queued: 5, ..right },
        Ledger { queued: 5, ..right },
        Ledger { inbox_dead: 1, ..right },
        Ledger { outbox_in_flight: 1, ..right },
    ] {
        let history = History { ledger: Some(wrong), ..fine(4) };
        assert!(violations(&history).iter().any(|one| matches!(one, Violation::Ledger { .. })), "{wrong:?}");
    }
}
