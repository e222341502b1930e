//! Holds the Lease, or waits for it: at most one router at a time writes conditions. Writes are the same whoever makes
//! them, so that the moment in which two believe to hold it does no harm.

use std::time::Duration;

use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::{Api, Client, api::PostParams};
use service::shutdown::Shutdown;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    election::{Candidate, Step},
    trouble::Trouble,
};

#[derive(Debug, Clone)]
pub struct LeaseTimes {
    /// How long the Lease outlives its holder.
    pub lasts: Duration,
    /// Between two renewals.
    pub renew: Duration,
    /// A holder that could not renew for this long does not write any more, well before another takes over.
    pub give_up: Duration,
    /// Between two looks of one who waits.
    pub look: Duration,
    /// For any answer.
    pub answer: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self {
            lasts: Duration::from_secs(15),
            renew: Duration::from_secs(5),
            give_up: Duration::from_secs(10),
            look: Duration::from_secs(2),
            answer: Duration::from_secs(4),
        }
    }
}

/// Which Lease, and under which name it is held.
#[derive(Debug, Clone)]
pub struct LeaseName {
    pub namespace: String,
    pub name: String,
    /// Other than any other process's, a former one of the same pod too.
    pub holder: String,
}

/// Runs until the shutdown begins, and gives the Lease away then. `leading` is true while this process may write.
pub async fn campaign(
    client: Client,
    lease: LeaseName,
    times: LeaseTimes,
    leading: watch::Sender<bool>,
    shutdown: Shutdown,
) {
    let mut campaign = Campaign {
        api: Api::namespaced(client, &lease.namespace),
        candidate: Candidate::new(lease.holder.clone(), times.lasts),
        lease,
        times,
        leading,
        renewed: None,
        said: None,
    };
    tokio::select! {
        never = campaign.run() => match never {},
        () = shutdown.draining() => {}
    }
    campaign.end().await;
}

enum Never {}

struct Campaign {
    api: Api<Lease>,
    lease: LeaseName,
    candidate: Candidate,
    times: LeaseTimes,
    leading: watch::Sender<bool>,
    /// When the Lease was ours for certain.
    renewed: Option<Instant>,
    /// What the log said last of what is wrong.
    said: Option<String>,
}

impl Campaign {
    async fn run(&mut self) -> Never {
        loop {
            let begun = Instant::now();
            let pause = match timeout(self.times.answer, self.attempt()).await {
                Ok(Ok(None)) => {
                    self.renewed = Some(begun);
                    self.lead(true);
                    self.say(None);
                    self.times.renew
                }
                Ok(Ok(Some(wait))) => {
                    self.renewed = None;
                    self.lead(false);
                    self.say(None);
                    wait.min(self.times.look)
                }
                Ok(Err(trouble)) => self.failed(Some(trouble)),
                Err(_) => self.failed(None),
            };
            sleep(pause.mul_f64(rand::random_range(0.9..=1.0))).await;
        }
    }

    /// Nothing when the Lease is ours now, else how long it is somebody else's at least.
    async fn attempt(&mut self) -> Result<Option<Duration>, Trouble> {
        let found = self.api.get_opt(&self.lease.name).await.map_err(|error| self.trouble(&error, "get"))?;
        let spec = found.as_ref().map(|found| found.spec.clone().unwrap_or_default());
        let step = self.candidate.look(spec.as_ref(), Instant::now());
        let mut wanted = found.unwrap_or_default();
        wanted.metadata.name = Some(self.lease.name.clone());
        wanted.spec = Some(self.candidate.spec(step, spec.as_ref(), Timestamp::now()));
        let (verb, written) = match step {
            Step::Wait(left) => return Ok(Some(left)),
            Step::Create => ("create", self.api.create(&PostParams::default(), &wanted).await),
            // The resource version is that of what was read: who was faster wins.
            Step::Take | Step::Renew => {
                ("update", self.api.replace(&self.lease.name, &PostParams::default(), &wanted).await)
            }
        };
        match written {
            Ok(_) => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Some(self.times.look)),
            Err(error) => Err(self.trouble(&error, verb)),
        }
    }

    fn failed(&mut self, trouble: Option<Trouble>) -> Duration {
        if self.renewed.is_none_or(|renewed| renewed.elapsed() + self.times.look > self.times.give_up) {
            self.lead(false);
        }
        let why = trouble.unwrap_or(Trouble::Silent(self.times.answer)).to_string();
        self.say(Some(why));
        self.times.look
    }

    fn lead(&self, leads: bool) {
        let changed = self.leading.send_if_modified(|leading| std::mem::replace(leading, leads) != leads);
        match (changed, leads) {
            (true, true) => tracing::info!(lease = %self.lease.name, "this router writes the conditions now"),
            (true, false) => {
                tracing::info!(lease = %self.lease.name, "this router does not write the conditions any more");
            }
            (false, _) => {}
        }
    }

    fn say(&mut self, why: Option<String>) {
        if why != self.said {
            if let Some(why) = &why {
                tracing::warn!(lease = %self.lease.name, reason = %why, "the Lease can't be looked at or held");
            }
            self.said = why;
        }
    }

    /// Whoever waits need not wait until it has run out.
    async fn end(&mut self) {
        let was_leading = self.leading.send_replace(false);
        if !was_leading {
            return;
        }
        let release = async {
            let mut lease = self.api.get(&self.lease.name).await?;
            let Some(spec) = lease.spec.take().filter(|spec| self.candidate.is_ours(spec)) else {
                return Ok(());
            };
            lease.spec = Some(Candidate::released(&spec, Timestamp::now()));
            self.api.replace(&self.lease.name, &PostParams::default(), &lease).await.map(|_| ())
        };
        match timeout(self.times.answer, release).await {
            Ok(Ok(())) => tracing::info!(lease = %self.lease.name, "gave the Lease away"),
            _ => {
                tracing::warn!(lease = %self.lease.name, "the Lease could not be given away, it runs out by itself");
            }
        }
    }

    fn trouble(&self, error: &kube::Error, verb: &'static str) -> Trouble {
        Trouble::of_other(error, verb, "leases.coordination.k8s.io", &self.lease.namespace)
    }
}
