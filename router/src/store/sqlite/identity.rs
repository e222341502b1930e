//! Whether the files that are written to are still the ones under the database's name. A file that was removed takes
//! writes without complaint, and all of them are gone with the process.

use std::{
    fs::Metadata,
    io,
    path::{Path, PathBuf},
};

/// What a file is recognised by.
type Mark = (u64, u64);

#[derive(Debug)]
pub(super) struct Identity {
    database: (PathBuf, Mark),
    log: (PathBuf, Mark),
}

impl Identity {
    /// Of the files as they are now; the log exists once something was written in WAL mode.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        let mark = |path: &Path| path.metadata().map(|metadata| mark(&metadata));
        Ok(Self { database: (path.to_owned(), mark(path)?), log: (log.clone(), mark(&log)?) })
    }

    /// The error says what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        for (path, known) in [&self.database, &self.log] {
            match path.metadata() {
                Ok(metadata) if mark(&metadata) != *known => {
                    return Err(format!(
                        "{} was replaced while the router ran: start it again",
                        path.display()
                    ));
                }
                Ok(metadata) if metadata.len() == 0 && *path == self.database.0 => {
                    return Err(format!("{} was emptied while the router ran: restore it", path.display()));
                }
                Ok(_) => {}
                Err(error) => {
                    return Err(format!(
                        "{} is gone ({error}): put it back from a backup, or start the router again with an empty one",
                        path.display()
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
fn mark(metadata: &Metadata) -> Mark {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn mark(_: &Metadata) -> Mark {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_gone_replaced_or_emptied_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.db");
        let log = folder.path().join("router.db-wal");
        let make = || {
            std::fs::write(&path, "x").unwrap();
            std::fs::write(&log, "").unwrap();
            Identity::of(&path).unwrap()
        };
        let identity = make();
        assert_eq!(identity.check(), Ok(()));
        std::fs::write(&path, "").unwrap();
        assert!(identity.check().unwrap_err().contains("emptied"));
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        assert!(identity.check().unwrap_err().contains("gone"));
        std::fs::write(&path, "another").unwrap();
        assert!(identity.check().unwrap_err().contains("replaced"));
        let identity = make();
        std::fs::remove_file(&log).unwrap();
        assert!(identity.check().unwrap_err().contains("gone"));
    }
}
