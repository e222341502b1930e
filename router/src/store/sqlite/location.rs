//! `DATABASE_URL` for SQLite: which file, and one clear line when it can't be used.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    str::FromStr,
};

/// A file named by `sqlite://relative/path.db` or `sqlite:///absolute/path.db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(pub PathBuf);

impl FromStr for Location {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("sqlite:") else {
            let scheme = url.split_once(':').map_or("no scheme", |(scheme, _)| scheme);
            return Err(format!("only sqlite:// is supported by this version, not {scheme}"));
        };
        let path = rest.strip_prefix("//").unwrap_or(rest);
        if path.contains(['?', '#']) {
            return Err("parameters after the file name are not supported".to_owned());
        }
        if path.is_empty() || path.ends_with('/') || path == ":memory:" {
            return Err("it has to name a file: what is only in memory would be lost".to_owned());
        }
        Ok(Self(PathBuf::from(path)))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    #[error("the folder {folder} can't be made: {source}; make it, or name another file in DATABASE_URL")]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error(
        "{path} can't be written: {source}; give the router's user the right to write the file and its folder, \
         or name another file in DATABASE_URL"
    )]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} is in use by another router process: stop that one first; \
         two routers can't share one SQLite file"
    )]
    InUse { path: PathBuf },
    #[error(
        "{path} has a second name (a hard link), under which another router could use it unnoticed: \
         remove the link, or name another file in DATABASE_URL"
    )]
    Linked { path: PathBuf },
}

/// Holds the file for this process alone, for as long as it lives; the kernel ends it with the process.
#[derive(Debug)]
pub struct Exclusive(#[expect(dead_code, reason = "held for its lock")] File);

/// Makes sure that the file can be written and that no other router uses it; says where it really is, so that a
/// second path to the same file finds the same lock.
pub fn prepare(path: &Path) -> Result<(PathBuf, Exclusive), LocationError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder)
            .map_err(|source| LocationError::Folder { folder: folder.to_owned(), source })?;
    }
    let file = writable(path)?;
    let unusable = |source| LocationError::File { path: path.to_owned(), source };
    let path = path.canonicalize().map_err(unusable)?;
    if names(&file.metadata().map_err(unusable)?) > 1 {
        return Err(LocationError::Linked { path });
    }
    // A file beside the database: SQLite's own locks on the database come and go with each transaction.
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let lock = writable(&lock_path)?;
    match lock.try_lock() {
        Ok(()) => Ok((path, Exclusive(lock))),
        Err(TryLockError::WouldBlock) => Err(LocationError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(LocationError::File { path: lock_path, source }),
    }
}

/// Opens or makes it, for the router's user alone: it holds messages and numbers.
fn writable(path: &Path) -> Result<File, LocationError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| LocationError::File { path: path.to_owned(), source })
}

/// How many names the file has.
fn names(metadata: &Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(metadata);
    #[cfg(not(unix))]
    return u64::from(metadata.is_file());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let path = |url: &str| url.parse::<Location>().map(|location| location.0);
        assert_eq!(path("sqlite://data/router.db"), Ok(PathBuf::from("data/router.db")));
        assert_eq!(path("sqlite:///data/router.db"), Ok(PathBuf::from("/data/router.db")));
        for wrong in [
            "sqlite://",
            "sqlite::memory:",
            "sqlite:///data/",
            "mysql://x/y",
            "router.db",
            "sqlite://a?mode=ro",
        ] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_second_router_is_kept_out_until_the_first_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/router.db");
        let first = prepare(&path).unwrap();
        assert!(matches!(prepare(&path), Err(LocationError::InUse { .. })));
        drop(first);
        prepare(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn another_path_to_the_same_file_is_noticed() {
        use std::os::unix::fs::{MetadataExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.db");
        let (_, first) = prepare(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let link = folder.path().join("link.db");
        symlink(&path, &link).unwrap();
        assert!(matches!(prepare(&link), Err(LocationError::InUse { .. })));
        drop(first);
        std::fs::hard_link(&path, folder.path().join("hard.db")).unwrap();
        assert!(matches!(prepare(&path), Err(LocationError::Linked { .. })));
    }

    #[test]
    fn a_folder_in_place_of_the_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(prepare(folder.path()), Err(LocationError::File { .. })));
    }
}
