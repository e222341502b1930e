//! Holds the faults in force. Asked on every request, so that having none costs one atomic load.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Faults, GraphErrorFault, dose};

#[derive(Debug, Default)]
pub(crate) struct FaultBoard {
    any: AtomicBool,
    faults: Mutex<Faults>,
}

/// What a Graph call meets before its message is taken.
#[derive(Debug, PartialEq)]
pub(crate) enum GraphFate {
    Fine,
    Refused(GraphErrorFault),
    /// Taken, but it will fail later.
    Doomed(GraphErrorFault),
}

/// What a call of the backend meets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BackendFate {
    Fine,
    Reset,
    Error { status: u16, retry_after: Option<u64> },
    Garbage,
    Late(Duration),
    Silent,
}

/// What becomes of one webhook.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct WebhookFate {
    pub(crate) duplicate: bool,
    pub(crate) rebatch: bool,
    pub(crate) delay: Duration,
}

impl FaultBoard {
    pub(crate) fn get(&self) -> Faults {
        self.lock().clone()
    }

    pub(crate) fn set(&self, faults: Faults) {
        self.any.store(faults != Faults::default(), Ordering::Relaxed);
        *self.lock() = faults;
    }

    pub(crate) fn is_quiet(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    pub(crate) fn graph_latency(&self) -> Duration {
        if self.is_quiet() { Duration::ZERO } else { Duration::from_millis(self.lock().graph.latency_ms) }
    }

    /// The connection breaks before anything was looked at.
    pub(crate) fn graph_reset(&self) -> bool {
        !self.is_quiet() && dose::dose_strikes(&mut self.lock().graph.resets, rand::random())
    }

    /// `to` is compared by digits, or as it is when it is a user id.
    pub(crate) fn graph_fate(&self, to: &str) -> GraphFate {
        if self.is_quiet() {
            return GraphFate::Fine;
        }
        let mut faults = self.lock();
        for error in &mut faults.graph.errors {
            if error.to.as_ref().is_none_or(|only| only.trim_start_matches('+') == to)
                && dose::strikes(&mut error.count, error.rate, rand::random())
            {
                let fault = error.clone();
                return if fault.as_status { GraphFate::Doomed(fault) } else { GraphFate::Refused(fault) };
            }
        }
        GraphFate::Fine
    }

    pub(crate) fn answer_is_lost(&self) -> bool {
        !self.is_quiet() && dose::dose_strikes(&mut self.lock().graph.lost_answers, rand::random())
    }

    pub(crate) fn webhook_fate(&self) -> WebhookFate {
        if self.is_quiet() {
            return WebhookFate::default();
        }
        let mut faults = self.lock();
        WebhookFate {
            duplicate: dose::dose_strikes(&mut faults.webhooks.duplicate, rand::random()),
            rebatch: dose::dose_strikes(&mut faults.webhooks.rebatch, rand::random()),
            delay: Duration::from_millis(faults.webhooks.delay_ms),
        }
    }

    pub(crate) fn reorder_window(&self) -> usize {
        if self.is_quiet() { 0 } else { self.lock().webhooks.reorder }
    }

    pub(crate) fn statuses_before_messages(&self) -> bool {
        !self.is_quiet() && self.lock().webhooks.statuses_before_messages
    }

    pub(crate) fn omit_callback_data(&self) -> bool {
        !self.is_quiet() && self.lock().webhooks.omit_callback_data
    }

    pub(crate) fn status_is_dropped(&self) -> bool {
        if self.is_quiet() {
            return false;
        }
        let mut faults = self.lock();
        faults.webhooks.no_statuses || dose::dose_strikes(&mut faults.webhooks.drop_statuses, rand::random())
    }

    pub(crate) fn backend_fate(&self) -> (Duration, BackendFate) {
        if self.is_quiet() {
            return (Duration::ZERO, BackendFate::Fine);
        }
        let mut faults = self.lock();
        let backend = &mut faults.backend;
        let latency = Duration::from_millis(backend.latency_ms);
        if dose::dose_strikes(&mut backend.resets, rand::random()) {
            return (latency, BackendFate::Reset);
        }
        for error in &mut backend.errors {
            if dose::strikes(&mut error.count, error.rate, rand::random()) {
                let fate = BackendFate::Error { status: error.status, retry_after: error.retry_after };
                return (latency, fate);
            }
        }
        if dose::dose_strikes(&mut backend.garbage, rand::random()) {
            return (latency, BackendFate::Garbage);
        }
        if let Some(late) = &mut backend.late
            && dose::strikes(&mut late.count, late.rate, rand::random())
        {
            return (latency, BackendFate::Late(Duration::from_millis(late.ms)));
        }
        if dose::dose_strikes(&mut backend.silent, rand::random()) {
            return (latency, BackendFate::Silent);
        }
        (latency, BackendFate::Fine)
    }

    // A panic while the lock was held cannot leave the document half-written in a way that matters.
    fn lock(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(json: &str) -> FaultBoard {
        let board = FaultBoard::default();
        board.set(serde_json::from_str(json).unwrap());
        board
    }

    #[test]
    fn errors_can_be_meant_for_one_recipient() {
        let board = board(r#"{"graph":{"errors":[{"code":131056,"to":"+12025550143","count":1}]}}"#);
        assert_eq!(board.graph_fate("447700900461"), GraphFate::Fine);
        assert!(matches!(board.graph_fate("12025550143"), GraphFate::Refused(fault) if fault.code == 131056));
        assert_eq!(board.graph_fate("12025550143"), GraphFate::Fine);
        assert_eq!(board.get().graph.errors[0].count, Some(0));
    }

    #[test]
    fn a_cleared_board_is_quiet() {
        let board = board(r#"{"graph":{"lost_answers":1}}"#);
        assert!(!board.is_quiet());
        assert!(board.answer_is_lost());
        assert!(!board.answer_is_lost());
        board.set(Faults::default());
        assert!(board.is_quiet());
    }
}
