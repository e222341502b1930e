//! Waits for `/readyz`, or for the process to give up.

use std::time::{Duration, Instant};

use tokio::process::Child;

use super::{StackError, output::Lines};

const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(5);

pub(super) async fn wait(
    name: &'static str,
    url: &str,
    child: &mut Child,
    lines: &Lines,
) -> Result<(), StackError> {
    let io = |what: &str, source| StackError::Io { what: format!("{what} the {name}"), source };
    let client = crate::simulator::http_client().map_err(|error| io("ask", std::io::Error::other(error)))?;
    let address = format!("{url}/readyz");
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().map_err(|source| io("look after", source))? {
            // The pumps may still be reading its last words.
            tokio::time::sleep(PAUSE * 10).await;
            return Err(StackError::Exited { name, status, output: lines.last_words() });
        }
        if client.get(&address).send().await.is_ok_and(|answer| answer.status() == 200) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(StackError::NotReady { name, seconds: PATIENCE.as_secs(), output: lines.last_words() })
}
