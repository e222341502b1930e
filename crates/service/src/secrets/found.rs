//! Reads a folder of mounted secrets: `<folder>/<name>/<key>`, and files directly in it.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::Read,
    path::{Path, PathBuf},
};

use super::{SecretId, Values, id::is_name, text::clean};

/// A token is far shorter; a file this long is something else that ended up in the folder.
const MOST_BYTES: u64 = 64 * 1024;
/// In one folder. A folder with more is not a folder of secrets.
const MOST_FILES: usize = 1_000;
/// How often a folder is read again because it was swapped meanwhile.
const ATTEMPTS: usize = 10;
/// Where Kubernetes has all the files of one mount: a link that it swaps, so that they change together.
const DATA: &str = "..data";

/// What is in a folder.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) values: Values,
    pub(crate) unreadable: Vec<Unreadable>,
    /// The folders that hold files, to be watched.
    pub(crate) folders: Vec<PathBuf>,
}

/// What is there and can't be read. What was known of it before is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) scope: Scope,
    pub(crate) path: PathBuf,
    why: String,
}

/// Which secrets are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Everything,
    Name(String),
    One(SecretId),
}

impl Unreadable {
    pub(crate) fn concerns(&self, id: &SecretId) -> bool {
        match &self.scope {
            Scope::Everything => true,
            Scope::Name(name) => *name == id.name,
            Scope::One(one) => one == id,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can't be read: {}", self.path.display(), self.why)
    }
}

/// Everything below `folder`. A folder that does not exist is one without secrets.
pub(crate) fn read(folder: &Path) -> Found {
    let mut found = Found::default();
    let Some(top) = found.level(folder, "") else { return found };
    for (name, path) in top {
        found.level(&path, &name);
    }
    found
}

/// What one reading of a folder came to.
#[derive(Default)]
struct Level {
    values: Values,
    unreadable: Vec<Unreadable>,
    folders: BTreeMap<String, PathBuf>,
}

impl Found {
    /// Takes in the files of one folder, and answers the folders in it. None: there is nothing to read.
    fn level(&mut self, folder: &Path, name: &str) -> Option<BTreeMap<String, PathBuf>> {
        match stable(folder, name) {
            Ok(Some(level)) => {
                self.values.extend(level.values);
                self.unreadable.extend(level.unreadable);
                self.folders.push(folder.to_owned());
                Some(level.folders)
            }
            Ok(None) => None,
            Err(error) => {
                let scope = if name.is_empty() { Scope::Everything } else { Scope::Name(name.to_owned()) };
                self.unreadable.push(Unreadable { scope, path: folder.to_owned(), why: reason(&error) });
                None
            }
        }
    }
}

/// All files of a folder as they were at one moment, as far as the folder has a link that is swapped.
fn stable(folder: &Path, name: &str) -> io::Result<Option<Level>> {
    for _ in 0..ATTEMPTS {
        let before = match data(folder) {
            Err(error) if is_missing(&error) => return Ok(None),
            // The link was swapped and its old target removed while it was followed.
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle => continue,
            other => other?,
        };
        let level = match entries(folder, before.as_deref(), name) {
            Err(error) if is_missing(&error) => continue,
            other => other?,
        };
        if data(folder).is_ok_and(|after| after == before) {
            return Ok(Some(level));
        }
    }
    Err(io::Error::other("it changes faster than it can be read, or its link ..data leads nowhere"))
}

/// Where the link leads at this moment; None for a folder without one.
fn data(folder: &Path) -> io::Result<Option<PathBuf>> {
    let link = folder.join(DATA);
    match fs::canonicalize(&link) {
        Ok(target) => Ok(Some(target)),
        Err(error) if is_missing(&error) => match fs::symlink_metadata(&link) {
            Ok(_) => Err(io::ErrorKind::StaleNetworkFileHandle.into()),
            // The folder itself may be missing, which is another matter.
            Err(error) if is_missing(&error) => fs::metadata(folder).map(|_| None),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// The files and folders in `folder`; those that are links into `data` are taken from there.
fn entries(folder: &Path, data: Option<&Path>, name: &str) -> io::Result<Level> {
    let mut paths = listed(folder)?;
    if let Some(data) = data {
        let through_link = |path: &PathBuf| fs::read_link(path).is_ok_and(|target| target.starts_with(DATA));
        paths.retain(|_, path| !through_link(path));
        paths.extend(listed(data)?);
    }
    let mut level = Level::default();
    if paths.len() > MOST_FILES {
        return Err(io::Error::other(format!(
            "it has more than {MOST_FILES} files, so it is no folder of secrets"
        )));
    }
    for (key, path) in paths {
        let id = SecretId::new(name, key);
        match value(&path) {
            Ok(Entry::File(text)) => {
                if let Some(secret) = clean(&text) {
                    level.values.insert(id, secret);
                }
            }
            Ok(Entry::Folder) => {
                level.folders.insert(id.key, path);
            }
            Ok(Entry::Nothing) => {}
            Err(error) => {
                level.unreadable.push(Unreadable { scope: Scope::One(id), path, why: reason(&error) });
            }
        }
    }
    Ok(level)
}

/// What is in a folder by its name, without names that no secret has.
fn listed(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut paths = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && is_name(&name)
        {
            paths.insert(name, entry.path());
        }
    }
    Ok(paths)
}

enum Entry {
    File(String),
    Folder,
    /// Gone meanwhile, a link that leads nowhere, or something that is not read, such as a pipe.
    Nothing,
}

fn value(path: &Path) -> io::Result<Entry> {
    let file = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(Entry::Folder),
        Ok(metadata) if metadata.is_file() => match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if is_missing(&error) => return Ok(Entry::Nothing),
            Err(error) => return Err(error),
        },
        Ok(_) => return Ok(Entry::Nothing),
        Err(error) if is_missing(&error) => return Ok(Entry::Nothing),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::other("it is longer than 64 KiB, so it is no secret"));
    }
    String::from_utf8(bytes).map(Entry::File).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What is wrong, and what to do where that is not the same.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{error}; let the user that this process runs as read it")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
#[path = "found_tests.rs"]
mod tests;
