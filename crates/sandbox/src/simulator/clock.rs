//! Wall-clock time in the two units that Meta and our records use.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as the records show them.
pub(crate) fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Seconds since 1970, as webhooks carry them.
pub(crate) fn unix_seconds() -> u64 {
    unix_millis() / 1000
}
