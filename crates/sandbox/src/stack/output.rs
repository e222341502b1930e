//! Where the words of child processes go. Their last lines are kept in any case, for error messages.

use std::{
    collections::VecDeque,
    fs::OpenOptions,
    io::{IsTerminal, Write},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

const LINES_KEPT: usize = 2_000;
const LAST_WORDS: usize = 20;

/// What happens to the output of the processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Output {
    /// Kept in memory only; see `Stack::router_output`.
    #[default]
    Captured,
    /// To standard error, each line with its process's name in front.
    Terminal,
    /// Into `router.log` and `server.log` in this folder.
    Files(PathBuf),
}

#[derive(Debug, Clone)]
pub(super) struct Lines {
    lines: Arc<Mutex<VecDeque<String>>>,
    most: usize,
}

impl Lines {
    /// The last ones, for error messages and for a look.
    pub(super) fn last_ones() -> Self {
        Self { lines: Arc::default(), most: LINES_KEPT }
    }

    /// All of them, for a search.
    pub(super) fn every_one() -> Self {
        Self { lines: Arc::default(), most: usize::MAX }
    }

    fn push(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == self.most {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(super) fn all(&self) -> String {
        self.last(self.most)
    }

    pub(super) fn last_words(&self) -> String {
        self.last(LAST_WORDS)
    }

    fn last(&self, count: usize) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = lines.len().saturating_sub(count);
        // Those before the last `count`.
        lines.iter().skip(skipped).fold(String::new(), |all, line| all + line + "\n")
    }
}

/// Reads a stream of a child to its end.
pub(super) async fn pump(stream: impl AsyncRead + Unpin, name: &'static str, output: Output, lines: Lines) {
    let mut file = match &output {
        Output::Files(folder) => {
            OpenOptions::new().create(true).append(true).open(folder.join(format!("{name}.log"))).ok()
        }
        Output::Captured | Output::Terminal => None,
    };
    let prefix = prefix(name, std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let mut stream = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = stream.next_segment().await {
        let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
        // Whoever reads the terminal or the disk may be gone; the child must go on.
        if output == Output::Terminal {
            let _ = writeln!(std::io::stderr().lock(), "{prefix}{line}");
        }
        if let Some(file) = &mut file {
            let _ = writeln!(file, "{line}");
        }
        lines.push(line);
    }
}

fn prefix(name: &str, colour: bool) -> String {
    let code = if name == "router" { 36 } else { 35 };
    if colour { format!("\u{1b}[{code}m{name:>7}\u{1b}[0m | ") } else { format!("{name:>7} | ") }
}
