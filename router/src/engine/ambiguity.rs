//! What to do with a message of which nobody knows whether it was sent: pure rules.

use std::time::Duration;

use crate::{
    routing::Ambiguity,
    store::{Doubt, Item},
};

/// Between two sends of the same message.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Where a message is never sent twice, this many times the usual wait is left for the status that tells: what Meta
/// could not hand over it repeats after seconds to a minute.
const PATIENCE: u32 = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A status webhook told that Graph has it.
    WasSent,
    /// With what is to be recorded about it.
    Send(Option<Doubt>),
    /// It may have been sent, and must not be sent twice.
    GiveUp,
}

pub(super) fn next(item: &Item, ambiguity: Ambiguity) -> Next {
    match (item.already_sent, item.uncertain, ambiguity) {
        (true, ..) => Next::WasSent,
        (false, false, _) => Next::Send(None),
        (false, true, Ambiguity::Repeat) => Next::Send(Some(Doubt::Repeated)),
        (false, true, Ambiguity::NeverRepeat) => Next::GiveUp,
    }
}

/// How long to wait for a status that tells, after `before` sends in doubt. `base` is `SEND_UNCERTAIN_WAIT`.
pub(super) fn wait(base: Duration, before: u32, ambiguity: Ambiguity) -> Duration {
    match ambiguity {
        Ambiguity::Repeat => base.saturating_mul(1 << before.min(16)).min(LONGEST_WAIT),
        Ambiguity::NeverRepeat => base.saturating_mul(PATIENCE).min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MessageId, Standing};

    fn item(uncertain: bool, already_sent: bool) -> Item {
        let id = MessageId::generate();
        Item {
            seq: 1,
            id,
            correlation: id,
            payload: "{}".into(),
            attempts: 0,
            counted: 0,
            created_at: 0,
            inbound: None,
            uncertain,
            already_sent,
            route: None,
            standing: Standing::default(),
            trace: None,
        }
    }

    #[test]
    fn a_status_settles_it_and_else_policy_does() {
        use Ambiguity::{NeverRepeat, Repeat};
        for (uncertain, already_sent, policy, expected) in [
            (false, false, Repeat, Next::Send(None)),
            (false, false, NeverRepeat, Next::Send(None)),
            (true, false, Repeat, Next::Send(Some(Doubt::Repeated))),
            (true, false, NeverRepeat, Next::GiveUp),
            (true, true, Repeat, Next::WasSent),
            (true, true, NeverRepeat, Next::WasSent),
            (false, true, NeverRepeat, Next::WasSent),
        ] {
            assert_eq!(next(&item(uncertain, already_sent), policy), expected);
        }
    }

    #[test]
    fn the_wait_grows_and_has_an_end() {
        let seconds = |before, policy| wait(Duration::from_secs(5), before, policy).as_secs();
        assert_eq!([0, 1, 2, 6, 7, 99].map(|n| seconds(n, Ambiguity::Repeat)), [5, 10, 20, 320, 600, 600]);
        assert_eq!([0, 3].map(|n| seconds(n, Ambiguity::NeverRepeat)), [60, 60]);
    }
}
