//! What being watched costs, as one number that can be trusted on a noisy machine: two loads run side by side, one watched
//! and one not, and take turns of a fraction of a second. Whatever else the machine does meets both.

mod family;
mod report;

use std::{io, path::Path, process::Stdio, time::Duration};

use rustix::process::Signal;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use self::{family::Family, report::Figures};
pub use report::{Comparison, Round};

/// Long enough that a change of turns costs nothing, short against all that makes a machine slow for a while.
const TURN: Duration = Duration::from_millis(200);
/// Until both loads have started their processes. Both run, so that neither is ahead.
const START: Duration = Duration::from_secs(2);
/// Beyond the load itself: starts, the last replies, the end of all processes.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompareOptions {
    /// The share of the messages whose traces are sent. None: nothing is watched on either side, which shows how exact
    /// the comparison is.
    pub traces: Option<f64>,
    pub rounds: u32,
    /// Of each round; half of it for each side.
    pub duration: Duration,
    pub contacts: u32,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("--rounds must be at least 1, and --seconds at least 5")]
    TooShort,
    #[error("processes can't be looked up: {0}; comparing needs Linux with /proc")]
    Processes(io::Error),
    #[error("could not {what}: {source}")]
    Io { what: &'static str, source: io::Error },
    #[error("a load did not end in time")]
    Endless,
    #[error("a load failed; run it alone to see why: {0}")]
    Failed(String),
    #[error("the report of a load could not be read: {0}")]
    Report(#[from] serde_json::Error),
}

/// Runs all rounds; `told` hears of each when it is over.
pub async fn run(options: CompareOptions, mut told: impl FnMut(&Round)) -> Result<Comparison, CompareError> {
    if options.rounds == 0 || options.duration < Duration::from_secs(5) {
        return Err(CompareError::TooShort);
    }
    let folder =
        tempfile::tempdir().map_err(|source| CompareError::Io { what: "make a temporary folder", source })?;
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        // Whoever starts first may have an advantage.
        let plain_first = number % 2 == 0;
        let round = round(options, folder.path(), plain_first).await?;
        told(&round);
        rounds.push(round);
    }
    Ok(Comparison::new(options.traces, options.duration, rounds))
}

async fn round(options: CompareOptions, folder: &Path, plain_first: bool) -> Result<Round, CompareError> {
    let [plain, watched] = [folder.join("plain.json"), folder.join("watched.json")];
    let mut sides = [(&plain, None), (&watched, options.traces)];
    if !plain_first {
        sides.reverse();
    }
    let [one, other] = sides.map(|(file, traces)| start(options, file, traces));
    let mut loads = [one?, other?];
    let end = Instant::now() + options.duration;
    sleep(START).await;
    // Dropping them lets all of their processes go on, however this ends.
    let families = [Family::of(&loads[0])?, Family::of(&loads[1])?];
    let mut turn = 0;
    while Instant::now() < end {
        families[1 - turn].signal(Signal::STOP);
        families[turn].signal(Signal::CONT);
        sleep(TURN).await;
        turn = 1 - turn;
    }
    drop(families);
    for load in &mut loads {
        finished(load).await?;
    }
    Ok(Round { plain: Figures::read(&plain)?, watched: Figures::read(&watched)? })
}

/// This program again, as `sandbox load`.
fn start(options: CompareOptions, report: &Path, traces: Option<f64>) -> Result<Load, CompareError> {
    let io = |what| move |source| CompareError::Io { what, source };
    let program = std::env::current_exe().map_err(io("find the own program"))?;
    let mut arguments = vec![
        "load".to_owned(),
        "--no-statuses".to_owned(),
        format!("--seconds={}", options.duration.as_secs()),
        format!("--contacts={}", options.contacts),
    ];
    arguments.extend(traces.map(|share| format!("--traces={share}")));
    let command = format!("sandbox {}", arguments.join(" "));
    let mut process = Command::new(program);
    process.args(&arguments).arg("--json").arg(report);
    process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    Ok(Load { process: process.spawn().map_err(io("start a load"))?, command })
}

struct Load {
    process: Child,
    command: String,
}

async fn finished(load: &mut Load) -> Result<(), CompareError> {
    let ended = tokio::time::timeout(PATIENCE, load.process.wait()).await;
    let status = ended
        .map_err(|_| CompareError::Endless)?
        .map_err(|source| CompareError::Io { what: "wait for a load", source })?;
    if status.success() { Ok(()) } else { Err(CompareError::Failed(load.command.clone())) }
}
