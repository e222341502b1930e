//! The load that Meta says to be ready for: many times as many statuses as messages, several in each webhook, and the
//! median answer within 250 ms. Statuses are of messages that the router really sent.

mod report;
mod sender;
mod sent;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};

pub use self::report::PeakReport;
use self::{
    sender::{MessageSender, Samples, StatusSender},
    sent::{Sent, Watch},
};
use super::{
    LoadError, Mode,
    execute::{self, Cluster, Processes},
    generator::Target,
    plan::Plan,
    tally::Tally,
};

const FINEST: Duration = Duration::from_micros(250);

/// How much. Ten times `per_webhook` and the rates of Meta's page are 30,000 statuses and 3,000 messages a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeakOptions {
    /// [`Mode::Durable`] or [`Mode::Postgres`].
    pub mode: Mode,
    /// A second.
    pub message_webhooks: u32,
    /// A second.
    pub status_webhooks: u32,
    pub per_webhook: u32,
    pub duration: Duration,
    pub contacts: u32,
    /// For each of the two kinds.
    pub connections: u32,
}

/// Starts a private stack, runs the load and reports.
pub async fn run(options: &PeakOptions) -> Result<PeakReport, LoadError> {
    for (value, name) in [
        (options.message_webhooks, "--message-webhooks"),
        (options.status_webhooks, "--status-webhooks"),
        (options.per_webhook, "--per-webhook"),
        (options.contacts, "--contacts"),
        (options.connections, "--connections"),
    ] {
        if value == 0 {
            return Err(LoadError::Zero(name));
        }
    }
    let rate = options.message_webhooks * options.per_webhook;
    let plan = Plan::new(options.contacts, options.connections, rate);
    let messages = u64::from(rate) * (options.duration.as_secs() + 1);
    let capacity = usize::try_from(messages).unwrap_or(usize::MAX);

    let cluster = Cluster::for_mode(options.mode)?;
    let stack = cluster.builder(execute::builder(options.mode, 0)?)?.start().await?;
    let tally = Arc::new(Tally::new(plan, capacity));
    // Half as many again as the rate asks for: under this load replies are seconds behind, and no status may be lacking.
    let each = options.status_webhooks.div_ceil(options.message_webhooks);
    let sent = Arc::new(Sent::new(each + each / 2));
    let watch = Watch { tally: Arc::clone(&tally), sent: Arc::clone(&sent) };
    stack.simulator().observe(Arc::new(watch));
    let before = Processes::look(&stack);
    let target = Arc::new(Target::new(execute::address(stack.router_url()), stack.simulator().options()));
    let samples = send(options, plan, &target, &tally, &sent).await;
    execute::wait_for_replies(&tally).await;
    let after = Processes::look(&stack);
    let report = PeakReport::new(options, samples, &tally.result(), after.router - before.router);
    stack.shutdown().await?;
    Ok(report)
}

async fn send(
    options: &PeakOptions,
    plan: Plan,
    target: &Arc<Target>,
    tally: &Arc<Tally>,
    sent: &Arc<Sent>,
) -> [Samples; 2] {
    let begin = Instant::now();
    let statuses = Arc::new(Semaphore::new(0));
    let per_webhook = u64::from(options.per_webhook);
    let pacemaker = {
        let (statuses, rate, duration) =
            (Arc::clone(&statuses), u64::from(options.status_webhooks), options.duration);
        thread::spawn(move || release(&statuses, rate, begin, duration))
    };
    let both: Arc<[Mutex<Samples>; 2]> = Arc::default();
    let mut senders = JoinSet::new();
    for connection in 0..plan.connections {
        let sender = MessageSender::new(Arc::clone(target), Arc::clone(tally), plan, connection, per_webhook);
        let (both, duration) = (Arc::clone(&both), options.duration);
        senders.spawn(async move {
            let samples = sender.work(begin, duration).await;
            lock(&both[0]).add(samples);
        });
    }
    let due = Arc::new(StatusSchedule {
        released: Arc::clone(&statuses),
        taken: AtomicU64::new(0),
        rate: options.status_webhooks,
        begin,
    });
    for _ in 0..options.connections {
        let sender = StatusSender::new(Arc::clone(target), Arc::clone(sent), options.per_webhook as usize);
        let (both, due) = (Arc::clone(&both), Arc::clone(&due));
        senders.spawn(async move {
            let samples = sender.work(&due).await;
            lock(&both[1]).add(samples);
        });
    }
    while senders.join_next().await.is_some() {}
    // It ends by itself after the duration.
    let _ = pacemaker.join();
    [std::mem::take(&mut lock(&both[0])), std::mem::take(&mut lock(&both[1]))]
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When which status webhook is due. Whoever is free takes the next one.
pub(super) struct StatusSchedule {
    released: Arc<Semaphore>,
    taken: AtomicU64,
    rate: u32,
    begin: Instant,
}

/// Timers of the runtime are a millisecond coarse.
fn release(due: &Semaphore, rate: u64, begin: Instant, duration: Duration) {
    let mut released = 0;
    loop {
        let now = begin.elapsed();
        let wanted = now.min(duration).as_micros() as u64 * rate / 1_000_000;
        due.add_permits((wanted - released) as usize);
        released = wanted;
        if now >= duration {
            due.close();
            return;
        }
        thread::sleep(FINEST);
    }
}

impl StatusSchedule {
    /// Waits for the next webhook that is due; `None` when there will be none. When it was due: those that are due are
    /// taken in their order, so the oldest that nobody has taken.
    async fn next(&self) -> Option<Instant> {
        self.released.acquire().await.ok()?.forget();
        let taken = self.taken.fetch_add(1, Relaxed);
        Some(self.begin + Duration::from_micros((taken + 1) * 1_000_000 / u64::from(self.rate)))
    }
}
