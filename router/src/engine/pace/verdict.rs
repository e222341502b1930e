//! What an answer of Graph says of the channel as a whole, beside what it says of the message.

use std::time::Duration;

use whatsapp::{
    client::{SendError, Sent},
    error::ErrorClass,
};

use crate::engine::breaker::Seen;

/// Meta: up to a minute of maintenance during a throughput upgrade (throughput, error 131057).
const MAINTENANCE: Duration = Duration::from_secs(60);
/// When Meta names no time for its limits on calls of the app.
const APP_LIMIT: Duration = Duration::from_secs(60);
const THROUGHPUT: Duration = Duration::from_secs(1);
/// Whoever mends a stopped channel does not want to wait for what an answer said before.
const LONGEST_STOP: Duration = Duration::from_secs(60);

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) seen: Seen,
    pub(super) sent: bool,
    /// Something of the request went out, so that Graph may have counted it.
    pub(super) was_written: bool,
    pub(super) was_answered: bool,
    pub(super) stop: Option<Stopping>,
    /// Nothing should be sent for so long.
    pub(super) pause: Option<Duration>,
    /// There were too many sends in a second.
    pub(super) too_fast: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopping {
    pub(super) wait: Duration,
    pub(super) reason: &'static str,
    pub(super) error: String,
}

/// `answer`: `None` when the call came to no end.
pub(super) fn judge(answer: Option<&Result<Sent, SendError>>, stopped_wait: Duration) -> Verdict {
    let mut verdict = Verdict {
        seen: Seen::Alive,
        sent: false,
        was_written: true,
        was_answered: true,
        stop: None,
        pause: None,
        too_fast: false,
    };
    let error = match answer {
        Some(Ok(_)) => return Verdict { sent: true, ..verdict },
        None => return Verdict { seen: Seen::Nothing, was_answered: false, ..verdict },
        Some(Err(error)) => error,
    };
    verdict.was_answered = error.http_status().is_some();
    let asked = |default| Some(error.retry_after().unwrap_or(default));
    match error.class() {
        ErrorClass::Replay if !verdict.was_answered => {
            verdict.seen = Seen::Outage;
            verdict.was_written = false;
        }
        ErrorClass::Ambiguous if error.http_status().is_none_or(|status| status >= 500) => {
            verdict.seen = Seen::Outage;
        }
        ErrorClass::WaitNumber => {
            verdict.pause = asked(THROUGHPUT);
            verdict.too_fast = true;
        }
        ErrorClass::WaitApp => verdict.pause = asked(APP_LIMIT),
        ErrorClass::WaitMaintenance => verdict.pause = asked(MAINTENANCE),
        ErrorClass::StopChannel => {
            let wait = error.retry_after().unwrap_or(stopped_wait).min(LONGEST_STOP.max(stopped_wait));
            verdict.stop = Some(Stopping { wait, reason: error.reason(), error: error.to_string() });
        }
        ErrorClass::Replay | ErrorClass::Ambiguous | ErrorClass::WaitPair | ErrorClass::Final => {}
    }
    verdict
}

#[cfg(test)]
mod tests {
    use whatsapp::error::GraphError;

    use super::*;

    fn rejected(code: i64, http_status: u16, seconds: Option<u64>) -> Result<Sent, SendError> {
        let error = GraphError::from_json(&format!(r#"{{"code":{code}}}"#)).unwrap();
        let retry_after = seconds.map(Duration::from_secs);
        Err(SendError::Rejected { http_status, error: Box::new(error), retry_after })
    }

    #[test]
    fn what_each_answer_says_of_the_channel() {
        let seconds = |number| Some(Duration::from_secs(number));
        let foreign = |http_status| Err(SendError::Foreign { http_status, retry_after: None });
        // answer, outage, pause, stop
        for (answer, seen, pause, stop) in [
            (rejected(131_026, 400, None), Seen::Alive, None, None),
            (rejected(131_056, 400, None), Seen::Alive, None, None),
            (rejected(130_429, 400, None), Seen::Alive, seconds(1), None),
            (rejected(130_429, 429, Some(7)), Seen::Alive, seconds(7), None),
            (rejected(4, 400, None), Seen::Alive, seconds(60), None),
            (rejected(131_057, 500, None), Seen::Alive, seconds(60), None),
            (rejected(190, 401, None), Seen::Alive, None, seconds(30)),
            (rejected(190, 401, Some(600)), Seen::Alive, None, seconds(60)),
            (rejected(131_000, 500, None), Seen::Outage, None, None),
            (rejected(131_000, 400, None), Seen::Alive, None, None),
            (foreign(502), Seen::Outage, None, None),
            (foreign(404), Seen::Alive, None, seconds(30)),
            (Err(SendError::NotSent(String::new())), Seen::Outage, None, None),
            (Err(SendError::Ambiguous(String::new())), Seen::Outage, None, None),
        ] {
            let verdict = judge(Some(&answer), Duration::from_secs(30));
            let stopping = verdict.stop.as_ref().map(|stop| stop.wait);
            assert_eq!((verdict.seen, verdict.pause, stopping), (seen, pause, stop), "{answer:?}");
            assert_eq!(verdict.was_written, !matches!(answer, Err(SendError::NotSent(_))));
            assert!(!verdict.sent);
        }
        assert_eq!(judge(None, Duration::from_secs(30)).seen, Seen::Nothing);
    }
}
