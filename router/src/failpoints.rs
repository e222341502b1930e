//! Makes the process kill itself at named steps of a message's way, so that tests can prove that none of them is a
//! bad moment to die. Nothing but a look at an `Option` unless `ROUTER_TEST_FAILPOINTS` is set.

use std::{str::FromStr, sync::Arc};

/// A step at which the process may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failpoint {
    /// A webhook is about to be stored.
    AcceptBeforeCommit,
    /// It is stored, and not answered yet.
    AcceptAfterCommit,
    /// Work of the inbox is leased, and nothing is done yet.
    AfterClaim,
    /// The backend has answered, and nobody but us knows.
    AfterBackendAnswer,
    BeforeGraphCall,
    /// Graph has answered, and nobody but us knows.
    AfterGraphCall,
    /// What became of an item is about to be stored.
    BeforeCompletion,
    AfterCompletion,
}

impl Failpoint {
    pub const ALL: [Self; 8] = [
        Self::AcceptBeforeCommit,
        Self::AcceptAfterCommit,
        Self::AfterClaim,
        Self::AfterBackendAnswer,
        Self::BeforeGraphCall,
        Self::AfterGraphCall,
        Self::BeforeCompletion,
        Self::AfterCompletion,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcceptBeforeCommit => "accept_before_commit",
            Self::AcceptAfterCommit => "accept_after_commit",
            Self::AfterClaim => "after_claim",
            Self::AfterBackendAnswer => "after_backend_answer",
            Self::BeforeGraphCall => "before_graph_call",
            Self::AfterGraphCall => "after_graph_call",
            Self::BeforeCompletion => "before_completion",
            Self::AfterCompletion => "after_completion",
        }
    }
}

/// Which steps end the process, and how often. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failpoints(Option<Arc<[(Failpoint, f64)]>>);

impl Failpoints {
    /// Marks a step; does not return if the dice say so.
    pub fn pass(&self, point: Failpoint) {
        if let Some(armed) = &self.0
            && strikes(armed, point, rand::random())
        {
            kill_this_process();
        }
    }

    pub fn is_armed(&self) -> bool {
        self.0.is_some()
    }
}

/// `drawn` is a number in `0.0..1.0`.
fn strikes(armed: &[(Failpoint, f64)], point: Failpoint, drawn: f64) -> bool {
    armed.iter().any(|(at, probability)| *at == point && drawn < *probability)
}

/// Like `kill -9`: nothing is written, closed or said any more.
fn kill_this_process() -> ! {
    // Should the signal not end us, the next line does.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

impl FromStr for Failpoints {
    type Err = String;

    /// Reads `name=probability`, several with commas between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let armed = text.split(',').map(|part| one(part.trim())).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Some(armed.into())))
    }
}

fn one(text: &str) -> Result<(Failpoint, f64), String> {
    let (name, probability) = text.split_once('=').ok_or("is not written name=probability")?;
    let point = Failpoint::ALL.into_iter().find(|point| point.as_str() == name.trim()).ok_or_else(|| {
        let names: Vec<_> = Failpoint::ALL.iter().map(|point| point.as_str()).collect();
        format!("names a step that there is not; there are {}", names.join(", "))
    })?;
    match probability.trim().parse() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok((point, probability)),
        _ => Err("has a probability that is not from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_probabilities_are_read_and_mistakes_are_told() {
        let armed: Failpoints = "after_claim=0.5, before_graph_call=1".parse().unwrap();
        assert_eq!(
            armed,
            Failpoints(Some(Arc::new([(Failpoint::AfterClaim, 0.5), (Failpoint::BeforeGraphCall, 1.0)])))
        );
        for point in Failpoint::ALL {
            assert!(format!("{}=0", point.as_str()).parse::<Failpoints>().is_ok());
        }
        for wrong in ["", "after_claim", "after_claim=2", "after_claim=x", "nowhere=0.5", "after_claim=0.1,"]
        {
            assert!(wrong.parse::<Failpoints>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_step_is_struck_as_often_as_it_says_and_no_other_one() {
        let armed = [(Failpoint::AfterClaim, 0.25), (Failpoint::AfterCompletion, 0.0)];
        for (point, drawn, strike) in [
            (Failpoint::AfterClaim, 0.0, true),
            (Failpoint::AfterClaim, 0.2, true),
            (Failpoint::AfterClaim, 0.25, false),
            (Failpoint::AfterCompletion, 0.0, false),
            (Failpoint::BeforeGraphCall, 0.0, false),
        ] {
            assert_eq!(strikes(&armed, point, drawn), strike, "{point:?} {drawn}");
        }
        Failpoints::default().pass(Failpoint::AfterClaim);
    }
}
