//! Room for one send, and what its answer changed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use whatsapp::client::{Number, SendError, Sent};

use super::channel::ChannelPace;
use crate::{
    engine::breaker::{Change, Ticket},
    store::PaceKind,
};

/// Room for one send, and its answer's way back. Dropped without an answer, it counts as sent.
#[derive(Debug)]
pub(in crate::engine) struct Permit {
    pub(super) channel: Arc<ChannelPace>,
    pub(super) kind: PaceKind,
    pub(super) started: Instant,
    pub(super) ticket: Ticket,
    pub(super) is_probe: bool,
    pub(super) answered: bool,
}

/// What an answer changed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) breaker: Option<Change>,
    /// It was stopped and sends again.
    pub(super) opened: bool,
    pub(super) stopped: Option<StopNews>,
    /// It pauses now, and did not before.
    pub(super) held: Option<Duration>,
    /// It goes at half the rate now, for so long.
    pub(super) slowed: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct StopNews {
    pub(super) is_new: bool,
    pub(super) wait: Duration,
    pub(super) reason: &'static str,
    pub(super) error: String,
}

impl Permit {
    /// What came of the send, which was made as `number`.
    pub(super) fn answered(mut self, number: &Number, answer: &Result<Sent, SendError>) -> Effects {
        self.answered = true;
        self.channel.leave(&self, Some((number, answer)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.answered {
            self.channel.leave(self, None);
        }
    }
}
