//! Why the store takes nothing, in words that may be told to everybody. Those of the database may name its address, its
//! user or a path.

use crate::store::StoreError;

/// What the words of a database mean, in the order in which they are looked for.
const MEANINGS: [(&[&str], &str); 5] = [
    (&["disk is full", "no space left", "disk full"], "the database has no room left: make room on its disk"),
    (&["read-only", "readonly"], "the database is read-only: no writes are taken"),
    (&["is locked", "is busy"], "the database is locked by another program"),
    (
        &["password", "authentication", "permission denied", "does not exist"],
        "the database refuses this user",
    ),
    (
        &[
            "connect",
            "timed out",
            "timeout",
            "closed",
            "communicating",
            "lookup",
            "shutting down",
            "starting up",
        ],
        "the database can't be reached",
    ),
];

/// `None`: the error is not the database's.
pub(super) fn why(error: &StoreError) -> Option<&'static str> {
    let words = match error {
        StoreError::Database(words) => words.to_lowercase(),
        StoreError::Closed => return Some("the store is closed: the router has to be started again"),
        StoreError::Busy | StoreError::Full | StoreError::LeaseLost => return None,
    };
    let meaning = MEANINGS.iter().find(|(signs, _)| signs.iter().any(|sign| words.contains(sign)));
    Some(meaning.map_or("the database refuses writes: the log has its words", |(_, meaning)| meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_database_become_ours() {
        for (words, meaning) in [
            ("database or disk is full", "no room"),
            ("could not extend file: No space left on device", "no room"),
            ("attempt to write a readonly database", "read-only"),
            ("cannot execute INSERT in a read-only transaction", "read-only"),
            ("database is locked", "locked"),
            ("password authentication failed for user \"ada\"", "refuses this user"),
            ("permission denied for table work", "refuses this user"),
            ("error connecting to server: Connection refused (os error 111)", "can't be reached"),
            ("connection closed", "can't be reached"),
            ("the database system is shutting down", "can't be reached"),
            ("disk I/O error", "refuses writes"),
        ] {
            let said = why(&StoreError::Database(words.to_owned())).unwrap();
            assert!(said.contains(meaning), "{words}: {said}");
            assert!(!said.contains("ada"));
        }
        assert!(why(&StoreError::Closed).is_some());
        for ours in [StoreError::Busy, StoreError::Full, StoreError::LeaseLost] {
            assert_eq!(why(&ours), None);
        }
    }
}
