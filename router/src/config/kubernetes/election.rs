//! Who may write: decided from the Lease as it is and from how long it has been so *here*. The times in a Lease are of
//! other machines' clocks and are never compared with ours; a holder is gone when its Lease has not changed for as long
//! as it lasts (as client-go's leaderelection does it).

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime, jiff::Timestamp,
};
use tokio::time::Instant;

/// No holder may ask for more; a Lease that was edited by hand must not keep all others out for days.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There is no Lease.
    Create,
    /// It is nobody's, or its holder is gone.
    Take,
    /// It is ours.
    Renew,
    /// It is someone else's, for this long at least.
    Wait(Duration),
}

/// One who would hold the Lease.
#[derive(Debug)]
pub(super) struct Candidate {
    name: String,
    lasts: Duration,
    /// What was seen last, and since when it has been like that.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Candidate {
    pub(super) fn new(name: String, lasts: Duration) -> Self {
        Self { name, lasts, seen: None }
    }

    pub(super) fn look(&mut self, lease: Option<&LeaseSpec>, now: Instant) -> Step {
        let Some(lease) = lease else {
            self.seen = None;
            return Step::Create;
        };
        let since = match &self.seen {
            Some((seen, since)) if seen == lease => *since,
            _ => {
                self.seen = Some((lease.clone(), now));
                now
            }
        };
        match lease.holder_identity.as_deref() {
            None | Some("") => Step::Take,
            Some(holder) if holder == self.name => Step::Renew,
            Some(_) => {
                let lasts = lease
                    .lease_duration_seconds
                    .and_then(|seconds| u64::try_from(seconds).ok())
                    .map_or(self.lasts, Duration::from_secs)
                    .min(LONGEST);
                match lasts.checked_sub(now.duration_since(since)) {
                    Some(left) if !left.is_zero() => Step::Wait(left),
                    _ => Step::Take,
                }
            }
        }
    }

    /// What to write for a step that is not [`Step::Wait`].
    pub(super) fn spec(&self, step: Step, before: Option<&LeaseSpec>, now: Timestamp) -> LeaseSpec {
        let before = before.cloned().unwrap_or_default();
        let is_ours = step == Step::Renew;
        let now = MicroTime(now);
        LeaseSpec {
            acquire_time: before.acquire_time.filter(|_| is_ours).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            holder_identity: Some(self.name.clone()),
            lease_duration_seconds: Some(i32::try_from(self.lasts.as_secs()).unwrap_or(i32::MAX).max(1)),
            lease_transitions: match (step, before.lease_transitions) {
                (Step::Create, _) => Some(0),
                (Step::Renew, transitions) => transitions,
                (_, transitions) => Some(transitions.unwrap_or(0).saturating_add(1)),
            },
            ..LeaseSpec::default()
        }
    }

    /// Nobody's, for the next one to take at once.
    pub(super) fn released(before: &LeaseSpec, now: Timestamp) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            renew_time: Some(MicroTime(now)),
            ..before.clone()
        }
    }

    pub(super) fn is_ours(&self, lease: &LeaseSpec) -> bool {
        lease.holder_identity.as_deref() == Some(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    fn held(by: &str, renewed: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.to_owned()),
            renew_time: Some(MicroTime(renewed.parse().unwrap())),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_that_is_nobodys_is_taken_at_once() {
        let mut me = Candidate::new("me".to_owned(), LASTS);
        let now = Instant::now();
        assert_eq!(me.look(None, now), Step::Create);
        assert_eq!(me.look(Some(&LeaseSpec::default()), now), Step::Take);
        let released = Candidate::released(&held("other", "2026-01-01T00:00:00Z"), Timestamp::UNIX_EPOCH);
        assert_eq!(me.look(Some(&released), now), Step::Take);
        assert_eq!(me.look(Some(&held("me", "2026-01-01T00:00:00Z")), now), Step::Renew);
    }

    /// The holder's clock is years ahead or behind: only that its Lease changes counts.
    #[test]
    fn the_clocks_of_others_do_not_matter() {
        for year in [1999, 2026, 2099] {
            let renewed = |second: u64| held("other", &format!("{year}-01-01T00:00:{second:02}Z"));
            let mut me = Candidate::new("me".to_owned(), LASTS);
            let start = Instant::now();
            assert_eq!(me.look(Some(&renewed(0)), start), Step::Wait(LASTS));
            let later = start + Duration::from_secs(14);
            assert_eq!(me.look(Some(&renewed(0)), later), Step::Wait(Duration::from_secs(1)));
            assert_eq!(me.look(Some(&renewed(1)), later), Step::Wait(LASTS), "it was renewed just now");
            let expired = later + LASTS;
            assert_eq!(me.look(Some(&renewed(1)), expired), Step::Take);
        }
    }

    #[test]
    fn nobody_keeps_it_for_days() {
        let mut lease = held("other", "2026-01-01T00:00:00Z");
        for (asked, lasts) in [(1_000_000, 60), (-5, 15), (5, 5)] {
            lease.lease_duration_seconds = Some(asked);
            let mut me = Candidate::new("me".to_owned(), LASTS);
            assert_eq!(me.look(Some(&lease), Instant::now()), Step::Wait(Duration::from_secs(lasts)));
        }
    }

    #[test]
    fn taking_counts_and_renewing_does_not() {
        let me = Candidate::new("me".to_owned(), LASTS);
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let created = me.spec(Step::Create, None, at(1));
        assert_eq!(created.lease_transitions, Some(0));
        let renewed = me.spec(Step::Renew, Some(&created), at(2));
        assert_eq!(renewed.acquire_time, Some(MicroTime(at(1))));
        assert_eq!(renewed.renew_time, Some(MicroTime(at(2))));
        assert_eq!(renewed.lease_transitions, Some(0));
        let taken = Candidate::new("other".to_owned(), LASTS).spec(Step::Take, Some(&renewed), at(3));
        assert_eq!(taken.acquire_time, Some(MicroTime(at(3))));
        assert_eq!(taken.lease_transitions, Some(1));
        assert!(me.is_ours(&renewed) && !me.is_ours(&taken));
    }
}
